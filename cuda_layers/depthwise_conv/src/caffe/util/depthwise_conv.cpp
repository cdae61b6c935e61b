// Written for caffeflow; BSD-2-Clause.
//
// Every loop here comes down to one: rows of a plane, shifted by the filter's
// taps, times weights. Planes are first copied to where that is simple; see
// depthwise_planes.hpp.
#include <algorithm>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/util/depthwise_blocks.hpp"
#include "caffe/util/depthwise_conv.hpp"
#include "caffe/util/depthwise_planes.hpp"
#include "caffe/util/depthwise_rows.hpp"

namespace caffe {

namespace {

using depthwise::AddProducts;
using depthwise::CopyRow;
using depthwise::MergeTwo;
using depthwise::Pack;
using depthwise::PaddedPlane;
using depthwise::RowPairs;
using depthwise::RunBlocks;
using depthwise::SumRow;
using depthwise::Taps;
using depthwise::TopPlanes;
using depthwise::Widest;

double CountMultiplications(const DepthwiseShape& shape) {
  return static_cast<double>(shape.num) * shape.channels * shape.multiplier
      * shape.top_height * shape.top_width * shape.kernel_h * shape.kernel_w;
}

// Planes that follow one another are done together, so that small ones are
// read in pieces of some length.
class PlaneBlocks {
 public:
  PlaneBlocks(int num_planes, int plane_count)
      : num_planes_(num_planes),
        per_block_(std::max(1, 4096 / std::max(1, plane_count))) {}

  int count() const { return (num_planes_ + per_block_ - 1) / per_block_; }
  int per_block() const { return per_block_; }
  int Begin(int block) const { return block * per_block_; }
  int End(int block) const {
    return std::min(num_planes_, (block + 1) * per_block_);
  }

 private:
  const int num_planes_;
  const int per_block_;
};

// Rows of sums are written in whole packs. What the last pack has too much
// falls on the next row, which is written afterwards; `spare` is for the rows
// at the end of a plane, where it would fall outside.
template <typename Dtype, int kBytes>
CAFFE_INLINE void SumRowOfPlane(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int width, int left_in_plane,
    Dtype* spare, Dtype* to) {
  const int kLanes = Pack<Dtype, kBytes>::kLanes;
  const bool fits = (width + kLanes - 1) / kLanes * kLanes <= left_in_plane;
  SumRow<Dtype, kBytes>(
      from, taps, filter, initial, width, fits ? to : spare);
  if (!fits) { CopyRow<Dtype, kBytes>(spare, width, to); }
}

template <typename Dtype>
class ForwardWorker {
 public:
  ForwardWorker(const DepthwiseShape& shape, const Dtype* bottom,
      const Dtype* weight, const Dtype* bias, Dtype* top)
      : shape_(shape), bottom_(bottom), weight_(weight), bias_(bias),
        top_(top), plane_(shape), taps_(plane_.AllTaps()),
        spare_(Widest<Dtype>::RoundUp(shape.top_width)) {}

  // A block is of planes of the bottom, of any channel and image.
  PlaneBlocks blocks() const {
    return PlaneBlocks(shape_.num * shape_.channels,
        shape_.height * shape_.width);
  }

  template <int kBytes>
  CAFFE_INLINE void Run(int block) {
    const PlaneBlocks planes = blocks();
    for (int i = planes.Begin(block); i < planes.End(block); ++i) {
      plane_.template Fill<kBytes>(bottom_ + i * shape_.height * shape_.width);
      for (int m = 0; m < shape_.multiplier; ++m) { RunPlane<kBytes>(i, m); }
    }
  }

 private:
  template <int kBytes>
  CAFFE_INLINE void RunPlane(int bottom_plane, int m) {
    const int count = shape_.top_height * shape_.top_width;
    const int k = bottom_plane % shape_.channels * shape_.multiplier + m;
    const Dtype* filter = weight_ + k * shape_.kernel_h * shape_.kernel_w;
    const Dtype bias = bias_ ? bias_[k] : Dtype(0);
    Dtype* to = top_ + (bottom_plane * shape_.multiplier + m) * count;
    for (int row = 0; row < shape_.top_height; ++row) {
      const int done = row * shape_.top_width;
      SumRowOfPlane<Dtype, kBytes>(plane_.WindowRow(row), taps_, filter, bias,
          shape_.top_width, count - done, &spare_[0], to + done);
    }
  }

  const DepthwiseShape shape_;
  const Dtype* const bottom_;
  const Dtype* const weight_;
  const Dtype* const bias_;
  Dtype* const top_;
  PaddedPlane<Dtype> plane_;
  const Taps taps_;
  std::vector<Dtype> spare_;
};

// The gradient of one channel of the bottom: each value collects from the
// windows over it.
template <typename Dtype>
class BottomGradient {
 public:
  BottomGradient(const DepthwiseShape& shape, const TopPlanes<Dtype>& top)
      : shape_(shape),
        row_room_(Widest<Dtype>::RoundUp(shape.width)),
        sums_(shape.stride_w * row_room_) {
    for (int y = 0; y < shape.stride_h; ++y) {
      for (int x = 0; x < shape.stride_w; ++x) {
        windows_.push_back(top.WindowsOver((y + shape.pad_h) % shape.stride_h,
            (x + shape.pad_w) % shape.stride_w));
      }
    }
  }

  template <int kBytes>
  CAFFE_INLINE void Run(const TopPlanes<Dtype>& top, const Dtype* filters,
      Dtype* bottom_diff) {
    for (int y = 0; y < shape_.height; ++y) {
      const Taps* windows =
          &windows_[y % shape_.stride_h * shape_.stride_w];
      const int row = (y + shape_.pad_h) / shape_.stride_h;
      Dtype* to = bottom_diff + y * shape_.width;
      if (shape_.stride_w == 1) {
        SumRowOfPlane<Dtype, kBytes>(top.At(0, row, shape_.pad_w), *windows,
            filters, Dtype(0), shape_.width,
            (shape_.height - y) * shape_.width, &sums_[0], to);
        continue;
      }
      for (int x = 0; x < std::min(shape_.stride_w, shape_.width); ++x) {
        const int count = (shape_.width - x - 1) / shape_.stride_w + 1;
        SumRow<Dtype, kBytes>(
            top.At(0, row, (x + shape_.pad_w) / shape_.stride_w), windows[x],
            filters, Dtype(0), count, &sums_[x * row_room_]);
      }
      Merge(to);
    }
  }

 private:
  // Every column has its sums among those of its remainder by the stride.
  CAFFE_INLINE void Merge(Dtype* to) const {
    if (shape_.stride_w == 2) {
      const Dtype* const halves[] = {&sums_[0], &sums_[row_room_]};
      MergeTwo(halves, shape_.width, to);
      return;
    }
    for (int x = 0; x < shape_.width; ++x) {
      to[x] = sums_[x % shape_.stride_w * row_room_ + x / shape_.stride_w];
    }
  }

  const DepthwiseShape shape_;
  const int row_room_;
  std::vector<Dtype> sums_;
  std::vector<Taps> windows_;
};

template <typename Dtype>
class BackwardWorker {
 public:
  BackwardWorker(const DepthwiseShape& shape, const Dtype* bottom,
      const Dtype* top_diff, const Dtype* weight, Dtype* bottom_diff,
      Dtype* weight_diff, Dtype* bias_diff)
      : shape_(shape), bottom_(bottom), top_diff_(top_diff), weight_(weight),
        bottom_diff_(bottom_diff), weight_diff_(weight_diff),
        bias_diff_(bias_diff), plane_(shape), top_(shape),
        taps_(plane_.AllTaps()), gradient_(shape, top_),
        sums_(blocks().per_block() * SumsOfChannel()) {}

  // A block is of channels, each of all images: the sums over the images are
  // one thread's, so that their order is always the same.
  PlaneBlocks blocks() const {
    return PlaneBlocks(shape_.channels, shape_.height * shape_.width);
  }

  template <int kBytes>
  CAFFE_INLINE void Run(int block) {
    const int begin = blocks().Begin(block), end = blocks().End(block);
    std::fill(sums_.begin(), sums_.end(), Dtype(0));
    for (int n = 0; n < shape_.num; ++n) {
      for (int c = begin; c < end; ++c) {
        RunPlane<kBytes>(n, c, &sums_[(c - begin) * SumsOfChannel()]);
      }
    }
    if (weight_diff_) { AddToWeights(begin, end); }
  }

 private:
  CAFFE_INLINE int kernel_count() const {
    return shape_.kernel_h * shape_.kernel_w;
  }
  CAFFE_INLINE int top_count() const {
    return shape_.top_height * shape_.top_width;
  }
  CAFFE_INLINE int SumsOfChannel() const {
    return shape_.multiplier * kernel_count() * Widest<Dtype>::kLanes;
  }

  template <int kBytes>
  CAFFE_INLINE void RunPlane(int n, int c, Dtype* sums) {
    const int i = n * shape_.channels + c;
    const int bottom_place = i * shape_.height * shape_.width;
    const Dtype* top_diff = top_diff_ + i * shape_.multiplier * top_count();
    top_.template Fill<kBytes>(top_diff);
    if (bottom_diff_) {
      gradient_.template Run<kBytes>(top_,
          weight_ + c * shape_.multiplier * kernel_count(),
          bottom_diff_ + bottom_place);
    }
    if (weight_diff_) {
      plane_.template Fill<kBytes>(bottom_ + bottom_place);
      AddWindows<kBytes>(sums);
    }
    if (bias_diff_) { AddToBiases(c, top_diff); }
  }

  template <int kBytes>
  CAFFE_INLINE void AddWindows(Dtype* sums) {
    for (int m = 0; m < shape_.multiplier; ++m) {
      const RowPairs<Dtype> rows = {
          plane_.WindowRow(0), plane_.window_step(), top_.At(m, 0, 0),
          top_.row_size(), shape_.top_height, shape_.top_width};
      AddProducts<Dtype, kBytes>(rows, taps_,
          sums + m * kernel_count() * Widest<Dtype>::kLanes);
    }
  }

  void AddToWeights(int begin, int end) {
    const int lanes = Widest<Dtype>::kLanes;
    const int weights = shape_.multiplier * kernel_count();
    for (int j = 0; j < (end - begin) * weights * lanes; ++j) {
      weight_diff_[begin * weights + j / lanes] += sums_[j];
    }
  }

  void AddToBiases(int c, const Dtype* top_diff) {
    for (int m = 0; m < shape_.multiplier; ++m) {
      Dtype sum = 0;
      for (int j = 0; j < top_count(); ++j) { sum += *top_diff++; }
      bias_diff_[c * shape_.multiplier + m] += sum;
    }
  }

  const DepthwiseShape shape_;
  const Dtype* const bottom_;
  const Dtype* const top_diff_;
  const Dtype* const weight_;
  Dtype* const bottom_diff_;
  Dtype* const weight_diff_;
  Dtype* const bias_diff_;
  PaddedPlane<Dtype> plane_;
  TopPlanes<Dtype> top_;
  const Taps taps_;
  BottomGradient<Dtype> gradient_;
  std::vector<Dtype> sums_;
};

}  // namespace

template <typename Dtype>
void depthwise_forward_cpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* weight, const Dtype* bias, Dtype* top) {
  const ForwardWorker<Dtype> worker(shape, bottom, weight, bias, top);
  RunBlocks(worker, worker.blocks().count(), CountMultiplications(shape));
}

template <typename Dtype>
void depthwise_backward_cpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* top_diff, const Dtype* weight, Dtype* bottom_diff,
    Dtype* weight_diff, Dtype* bias_diff) {
  const BackwardWorker<Dtype> worker(shape, bottom, top_diff, weight,
      bottom_diff, weight_diff, bias_diff);
  RunBlocks(worker, worker.blocks().count(), 2 * CountMultiplications(shape));
}

#define INSTANTIATE_DEPTHWISE_CPU(Dtype) \
  template void depthwise_forward_cpu<Dtype>(const DepthwiseShape& shape, \
      const Dtype* bottom, const Dtype* weight, const Dtype* bias, \
      Dtype* top); \
  template void depthwise_backward_cpu<Dtype>(const DepthwiseShape& shape, \
      const Dtype* bottom, const Dtype* top_diff, const Dtype* weight, \
      Dtype* bottom_diff, Dtype* weight_diff, Dtype* bias_diff)

INSTANTIATE_DEPTHWISE_CPU(float);  // NOLINT(readability/function)
INSTANTIATE_DEPTHWISE_CPU(double);  // NOLINT(readability/function)

}  // namespace caffe
