// Written for caffeflow; BSD-2-Clause.
//
// Every loop here comes down to one: rows of a plane, shifted by the filter's
// taps, times weights. Planes are first copied to where that is simple: with
// the padding as real zeros, and, where the stride is s, split into s phases
// (columns 0, s, 2s, ..., then 1, s + 1, ...), so that a row of results meets
// rows of inputs without gaps and no border needs a case of its own.
#include <algorithm>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/util/depthwise_conv.hpp"
#include "caffe/util/depthwise_rows.hpp"

namespace caffe {

namespace {

using depthwise::AddProducts;
using depthwise::Gather;
using depthwise::Step;
using depthwise::SumTaps;
using depthwise::Taps;

// Where a phase of the padded columns meets the columns of the bottom.
struct PhaseColumns {
  int begin;  // the first place of the phase that is not padding
  int column;  // the column of the bottom there
  int count;  // how many places are columns of the bottom

  PhaseColumns(const DepthwiseShape& shape, int phase) {
    const int stride = shape.stride_w;
    begin = std::max(0, shape.pad_w - phase + stride - 1) / stride;
    column = begin * stride + phase - shape.pad_w;
    count = column < shape.width ?
        (shape.width - column + stride - 1) / stride : 0;
  }

  static vector<PhaseColumns> All(const DepthwiseShape& shape) {
    vector<PhaseColumns> phases;
    for (int i = 0; i < shape.stride_w; ++i) {
      phases.push_back(PhaseColumns(shape, i));
    }
    return phases;
  }
};

// One channel of the bottom with its padding, in phases.
template <typename Dtype>
class PaddedPlane {
 public:
  explicit PaddedPlane(const DepthwiseShape& shape)
      : shape_(shape), phases_(PhaseColumns::All(shape)) {
    const int last_tap =
        (shape.kernel_w - 1) * shape.dilation_w / shape.stride_w;
    phase_width_ = last_tap + Step<Dtype>::RoundUp(shape.top_width);
    row_size_ = shape.stride_w * phase_width_;
    rows_ = (shape.top_height - 1) * shape.stride_h
        + (shape.kernel_h - 1) * shape.dilation_h + 1;
    values_.resize(rows_ * row_size_, Dtype(0));
  }

  // What the windows never reach is left out.
  void Fill(const Dtype* plane) {
    const int height = std::min(shape_.height, rows_ - shape_.pad_h);
    for (int y = 0; y < height; ++y) {
      for (int phase = 0; phase < shape_.stride_w; ++phase) {
        const PhaseColumns& place = phases_[phase];
        const int count = std::min(place.count, phase_width_ - place.begin);
        if (count <= 0) { continue; }
        Dtype* to = &values_[(y + shape_.pad_h) * row_size_
            + phase * phase_width_ + place.begin];
        const Dtype* from = plane + y * shape_.width + place.column;
        Gather(from, shape_.stride_w, count, to);
      }
    }
  }

  // The values under the first tap of the first window of a row of the top.
  const Dtype* WindowRow(int top_row) const {
    return &values_[top_row * shape_.stride_h * row_size_];
  }

  // How far from there the values under each tap are.
  Taps AllTaps() const {
    Taps taps;
    for (int t = 0; t < shape_.kernel_h * shape_.kernel_w; ++t) {
      const int row = t / shape_.kernel_w * shape_.dilation_h;
      const int column = t % shape_.kernel_w * shape_.dilation_w;
      taps.Add(row * row_size_ + column % shape_.stride_w * phase_width_
          + column / shape_.stride_w, t);
    }
    return taps;
  }

 private:
  const DepthwiseShape shape_;
  const vector<PhaseColumns> phases_;
  int phase_width_;
  int row_size_;
  int rows_;
  vector<Dtype> values_;
};

// Planes of the top's gradient, their rows with zeros before and after.
template <typename Dtype>
class TopPlanes {
 public:
  TopPlanes(const DepthwiseShape& shape, int planes, int before, int after)
      : shape_(shape), before_(before) {
    row_size_ = before + Step<Dtype>::RoundUp(shape.top_width) + after;
    values_.resize(planes * shape.top_height * row_size_, Dtype(0));
  }

  // Copies as many planes as there is room for.
  void Fill(const Dtype* planes) {
    const int rows = values_.size() / row_size_;
    for (int row = 0; row < rows; ++row) {
      const Dtype* from = planes + row * shape_.top_width;
      std::copy(from, from + shape_.top_width,
          &values_[row * row_size_ + before_]);
    }
  }

  const Dtype* values() const { return &values_[0]; }

  // Where the first value of a row is.
  int RowOffset(int plane, int row) const {
    return (plane * shape_.top_height + row) * row_size_ + before_;
  }

 private:
  const DepthwiseShape shape_;
  const int before_;
  int row_size_;
  vector<Dtype> values_;
};

// The windows that have a row and a phase of the padded bottom under a tap,
// as taps on the top's gradient.
template <typename Dtype>
Taps CollectWindows(const DepthwiseShape& shape, const TopPlanes<Dtype>& top,
    int padded_row, int phase) {
  Taps taps;
  for (int m = 0; m < shape.multiplier; ++m) {
    for (int p = 0; p < shape.kernel_h; ++p) {
      const int from = padded_row - p * shape.dilation_h;
      const int row = from / shape.stride_h;
      if (from < 0 || from % shape.stride_h || row >= shape.top_height) {
        continue;
      }
      for (int q = 0; q < shape.kernel_w; ++q) {
        const int column = q * shape.dilation_w;
        if (column % shape.stride_w != phase) { continue; }
        taps.Add(top.RowOffset(m, row) - column / shape.stride_w,
            (m * shape.kernel_h + p) * shape.kernel_w + q);
      }
    }
  }
  return taps;
}

}  // namespace

template <typename Dtype>
void depthwise_forward_cpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* weight, const Dtype* bias, Dtype* top) {
  const int kernel = shape.kernel_h * shape.kernel_w;
  PaddedPlane<Dtype> plane(shape);
  const Taps taps = plane.AllTaps();
  for (int i = 0; i < shape.num * shape.channels; ++i) {
    plane.Fill(bottom + i * shape.height * shape.width);
    for (int m = 0; m < shape.multiplier; ++m) {
      const int k = i % shape.channels * shape.multiplier + m;
      for (int row = 0; row < shape.top_height; ++row) {
        SumTaps(plane.WindowRow(row), taps, weight + k * kernel,
            bias ? bias[k] : Dtype(0), shape.top_width, top);
        top += shape.top_width;
      }
    }
  }
}

template <typename Dtype>
void depthwise_backward_bottom_cpu(const DepthwiseShape& shape,
    const Dtype* top_diff, const Dtype* weight, Dtype* bottom_diff) {
  const int stride = shape.stride_w;
  const int planes = shape.multiplier;
  const int kernel = shape.kernel_h * shape.kernel_w;
  const int before = (shape.kernel_w - 1) * shape.dilation_w / stride;
  // As far as the bottom goes beyond the last window, and a step.
  const int after = (shape.pad_w + shape.width) / stride
      + Step<Dtype>::kLanes;
  TopPlanes<Dtype> top(shape, planes, before, after);
  const vector<PhaseColumns> phases = PhaseColumns::All(shape);
  vector<Taps> windows;
  for (int i = 0; i < shape.height * stride; ++i) {
    windows.push_back(CollectWindows(shape, top,
        i / stride + shape.pad_h, i % stride));
  }
  vector<Dtype> sums(shape.width);
  for (int i = 0; i < shape.num * shape.channels; ++i) {
    top.Fill(top_diff + i * planes * shape.top_height * shape.top_width);
    const Dtype* filters = weight + i % shape.channels * planes * kernel;
    for (int y = 0; y < shape.height; ++y) {
      for (int phase = 0; phase < stride; ++phase) {
        const PhaseColumns& place = phases[phase];
        Dtype* to = stride == 1 ? bottom_diff : &sums[0];
        SumTaps(top.values() + place.begin, windows[y * stride + phase],
            filters, Dtype(0), place.count, to);
        if (stride == 1) { continue; }
        for (int j = 0; j < place.count; ++j) {
          bottom_diff[place.column + j * stride] = sums[j];
        }
      }
      bottom_diff += shape.width;
    }
  }
}

template <typename Dtype>
void depthwise_backward_weight_cpu(const DepthwiseShape& shape,
    const Dtype* bottom, const Dtype* top_diff, Dtype* weight_diff) {
  const int lanes = Step<Dtype>::kLanes;
  const int kernel = shape.kernel_h * shape.kernel_w;
  PaddedPlane<Dtype> plane(shape);
  TopPlanes<Dtype> top(shape, 1, 0, 0);
  const Taps taps = plane.AllTaps();
  vector<Dtype> sums(kernel * lanes);
  for (int i = 0; i < shape.num * shape.channels * shape.multiplier; ++i) {
    if (i % shape.multiplier == 0) {
      plane.Fill(bottom + i / shape.multiplier * shape.height * shape.width);
    }
    top.Fill(top_diff + i * shape.top_height * shape.top_width);
    std::fill(sums.begin(), sums.end(), Dtype(0));
    for (int row = 0; row < shape.top_height; ++row) {
      AddProducts(plane.WindowRow(row), taps,
          top.values() + top.RowOffset(0, row), shape.top_width, &sums[0]);
    }
    const int k = i % (shape.channels * shape.multiplier);
    for (int j = 0; j < kernel * lanes; ++j) {
      weight_diff[k * kernel + j / lanes] += sums[j];
    }
  }
}

template <typename Dtype>
void depthwise_backward_bias_cpu(const DepthwiseShape& shape,
    const Dtype* top_diff, Dtype* bias_diff) {
  const int top_channels = shape.channels * shape.multiplier;
  const int top_count = shape.top_height * shape.top_width;
  for (int i = 0; i < shape.num * top_channels; ++i) {
    Dtype sum = 0;
    for (int j = 0; j < top_count; ++j) { sum += *top_diff++; }
    bias_diff[i % top_channels] += sum;
  }
}

#define INSTANTIATE_DEPTHWISE_CPU(Dtype) \
  template void depthwise_forward_cpu<Dtype>(const DepthwiseShape& shape, \
      const Dtype* bottom, const Dtype* weight, const Dtype* bias, \
      Dtype* top); \
  template void depthwise_backward_bottom_cpu<Dtype>( \
      const DepthwiseShape& shape, const Dtype* top_diff, \
      const Dtype* weight, Dtype* bottom_diff); \
  template void depthwise_backward_weight_cpu<Dtype>( \
      const DepthwiseShape& shape, const Dtype* bottom, \
      const Dtype* top_diff, Dtype* weight_diff); \
  template void depthwise_backward_bias_cpu<Dtype>( \
      const DepthwiseShape& shape, const Dtype* top_diff, Dtype* bias_diff)

INSTANTIATE_DEPTHWISE_CPU(float);  // NOLINT(readability/function)
INSTANTIATE_DEPTHWISE_CPU(double);  // NOLINT(readability/function)

}  // namespace caffe
