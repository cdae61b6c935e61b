// Written for caffeflow; BSD-2-Clause.
#ifndef CAFFE_UTIL_DEPTHWISE_CONV_HPP_
#define CAFFE_UTIL_DEPTHWISE_CONV_HPP_

namespace caffe {

/**
 * @brief The sizes of a depthwise convolution over two spatial axes.
 *
 * Each channel of the bottom has `multiplier` filters of its own; top channel
 * k is filter k over bottom channel k / multiplier. Weights are laid out as
 * top channel x kernel_h x kernel_w.
 */
struct DepthwiseShape {
  int num;
  int channels;
  int multiplier;
  int height;
  int width;
  int top_height;
  int top_width;
  int kernel_h;
  int kernel_w;
  int stride_h;
  int stride_w;
  int pad_h;
  int pad_w;
  int dilation_h;
  int dilation_w;
};

// Forward and the bottom's gradient overwrite their result; the gradients of
// weights and biases are added to it. A bias of NULL is no bias.

template <typename Dtype>
void depthwise_forward_cpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* weight, const Dtype* bias, Dtype* top);

// All gradients in one pass over the top's; NULL for those not wanted.
template <typename Dtype>
void depthwise_backward_cpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* top_diff, const Dtype* weight, Dtype* bottom_diff,
    Dtype* weight_diff, Dtype* bias_diff);

#ifndef CPU_ONLY
template <typename Dtype>
void depthwise_forward_gpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* weight, const Dtype* bias, Dtype* top);

template <typename Dtype>
void depthwise_backward_bottom_gpu(const DepthwiseShape& shape,
    const Dtype* top_diff, const Dtype* weight, Dtype* bottom_diff);

template <typename Dtype>
void depthwise_backward_weight_gpu(const DepthwiseShape& shape,
    const Dtype* bottom, const Dtype* top_diff, Dtype* weight_diff);

template <typename Dtype>
void depthwise_backward_bias_gpu(const DepthwiseShape& shape,
    const Dtype* top_diff, Dtype* bias_diff);
#endif

}  // namespace caffe

#endif  // CAFFE_UTIL_DEPTHWISE_CONV_HPP_
