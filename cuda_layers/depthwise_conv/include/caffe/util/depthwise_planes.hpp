// Written for caffeflow; BSD-2-Clause.
//
// Planes as the inner loops want them. The bottom's have their padding as real
// zeros and, where the stride is s, rows split into s phases (columns 0, s,
// 2s, ..., then 1, s + 1, ...), so that a row of results meets rows of inputs
// without gaps. The top's gradient has zeros around it wherever a window could
// be thought of. So no border needs a case of its own.
#ifndef CAFFE_UTIL_DEPTHWISE_PLANES_HPP_
#define CAFFE_UTIL_DEPTHWISE_PLANES_HPP_

#include <algorithm>
#include <vector>

#include "caffe/util/depthwise_conv.hpp"
#include "caffe/util/depthwise_rows.hpp"

namespace caffe {
namespace depthwise {

// One channel of the bottom with its padding, in phases.
template <typename Dtype>
class PaddedPlane {
 public:
  explicit PaddedPlane(const DepthwiseShape& shape) : shape_(shape) {
    const int reach_h = (shape.kernel_h - 1) * shape.dilation_h;
    const int reach_w = (shape.kernel_w - 1) * shape.dilation_w;
    rows_ = (shape.top_height - 1) * shape.stride_h + reach_h + 1;
    phase_size_ = reach_w / shape.stride_w
        + Widest<Dtype>::RoundUp(shape.top_width);
    row_size_ = shape.stride_w * phase_size_;
    values_.resize(rows_ * row_size_, Dtype(0));
    // What the windows never reach is left out.
    height_ = std::min(shape.height, rows_ - shape.pad_h);
    width_ = std::min(shape.width, reach_w + 1 - shape.pad_w
        + (shape.top_width - 1) * shape.stride_w);
  }

  template <int kBytes>
  CAFFE_INLINE void Fill(const Dtype* plane) {
    for (int y = 0; y < height_; ++y) {
      Dtype* row = &values_[(y + shape_.pad_h) * row_size_];
      const Dtype* from = plane + y * shape_.width;
      if (shape_.stride_w == 1) {
        CopyRow<Dtype, kBytes>(from, width_, row + shape_.pad_w);
      } else if (shape_.stride_w == 2) {
        Dtype* const phases[] = {Place(row, 0), Place(row, 1)};
        SplitInTwo(from, width_, phases);
      } else {
        for (int x = 0; x < width_; ++x) { *Place(row, x) = from[x]; }
      }
    }
  }

  // The values under the first tap of the first window of a row of the top.
  CAFFE_INLINE const Dtype* WindowRow(int top_row) const {
    return &values_[top_row * window_step()];
  }

  // From a row of windows to the next one.
  CAFFE_INLINE int window_step() const { return shape_.stride_h * row_size_; }

  // How far from the first tap the values under each tap are.
  Taps AllTaps() const {
    Taps taps;
    for (int t = 0; t < shape_.kernel_h * shape_.kernel_w; ++t) {
      const int row = t / shape_.kernel_w * shape_.dilation_h;
      const int column = t % shape_.kernel_w * shape_.dilation_w;
      taps.Add(row * row_size_ + PhasePlace(column), t);
    }
    return taps;
  }

 private:
  CAFFE_INLINE int PhasePlace(int padded_column) const {
    return padded_column % shape_.stride_w * phase_size_
        + padded_column / shape_.stride_w;
  }

  CAFFE_INLINE Dtype* Place(Dtype* row, int column) const {
    return row + PhasePlace(column + shape_.pad_w);
  }

  const DepthwiseShape shape_;
  int rows_;
  int phase_size_;
  int row_size_;
  int height_;
  int width_;
  std::vector<Dtype> values_;
};

// The top's gradient for one channel of the bottom, `multiplier` planes of it.
template <typename Dtype>
class TopPlanes {
 public:
  explicit TopPlanes(const DepthwiseShape& shape) : shape_(shape) {
    above_ = (shape.kernel_h - 1) * shape.dilation_h / shape.stride_h;
    before_ = (shape.kernel_w - 1) * shape.dilation_w / shape.stride_w;
    // The last row and column at which a value of the bottom looks.
    const int bottom_row = (shape.pad_h + shape.height - 1) / shape.stride_h;
    const int bottom_end = (shape.pad_w + shape.width - 1) / shape.stride_w;
    row_size_ = std::max(Widest<Dtype>::RoundUp(shape.top_width),
        before_ + std::max(shape.top_width, bottom_end + 1));
    plane_size_ = row_size_
        * (above_ + std::max(shape.top_height, bottom_row + 1));
    values_.resize(shape.multiplier * plane_size_ + before_
        + 2 * Widest<Dtype>::kLanes, Dtype(0));
  }

  template <int kBytes>
  CAFFE_INLINE void Fill(const Dtype* planes) {
    for (int m = 0; m < shape_.multiplier; ++m) {
      for (int row = 0; row < shape_.top_height; ++row) {
        CopyRow<Dtype, kBytes>(planes, shape_.top_width,
            &values_[m * plane_size_ + Offset(row, 0)]);
        planes += shape_.top_width;
      }
    }
  }

  CAFFE_INLINE const Dtype* At(int plane, int row, int column) const {
    return &values_[plane * plane_size_ + Offset(row, column)];
  }

  CAFFE_INLINE int row_size() const { return row_size_; }

  // The windows that have something of the padded bottom under a tap, where
  // its row and column leave these remainders by the strides.
  Taps WindowsOver(int row_phase, int column_phase) const {
    Taps taps;
    for (int t = 0; t < shape_.multiplier * shape_.kernel_h * shape_.kernel_w;
         ++t) {
      const int plane = t / shape_.kernel_w / shape_.kernel_h;
      const int row =
          t / shape_.kernel_w % shape_.kernel_h * shape_.dilation_h;
      const int column = t % shape_.kernel_w * shape_.dilation_w;
      if (row % shape_.stride_h != row_phase
          || column % shape_.stride_w != column_phase) {
        continue;
      }
      taps.Add(plane * plane_size_ - row / shape_.stride_h * row_size_
          - column / shape_.stride_w, t);
    }
    return taps;
  }

 private:
  CAFFE_INLINE int Offset(int row, int column) const {
    return (above_ + row) * row_size_ + before_ + column;
  }

  const DepthwiseShape shape_;
  int above_;
  int before_;
  int row_size_;
  int plane_size_;
  std::vector<Dtype> values_;
};

}  // namespace depthwise
}  // namespace caffe

#endif  // CAFFE_UTIL_DEPTHWISE_PLANES_HPP_
