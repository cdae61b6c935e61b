// Written for caffeflow; BSD-2-Clause.
#ifndef CAFFE_DEPTHWISE_CONV_LAYER_HPP_
#define CAFFE_DEPTHWISE_CONV_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

#include "caffe/layers/conv_layer.hpp"
#include "caffe/util/depthwise_conv.hpp"

namespace caffe {

/**
 * @brief ConvolutionLayer that is fast where each channel is its own group.
 *
 * Caffe multiplies one small matrix a group. With as many groups as channels
 * the matrices have a single row, and most of the time goes into calls and
 * im2col. Here such a layer is computed directly; weights, biases, fillers and
 * results are those of ConvolutionLayer. On a CPU it takes as many threads as
 * OpenBLAS would, and computes the same whatever their number.
 *
 * Whether it is such a layer shows only with the bottom, in LayerSetUp; where
 * it is not, or has other than two spatial axes, or pads as only a fork does,
 * ConvolutionLayer does the work. In a layer whose type says that it is
 * depthwise, num_output and group may be left out.
 */
template <typename Dtype>
class DepthwiseConvolutionLayer : public ConvolutionLayer<Dtype> {
 public:
  explicit DepthwiseConvolutionLayer(const LayerParameter& param)
      : ConvolutionLayer<Dtype>(param), is_direct_(false), shape_() {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);

  // The factory makes this class for a plain Convolution, too.
  virtual inline const char* type() const {
    return this->layer_param_.has_type() ?
        this->layer_param_.type().c_str() : "DepthwiseConvolution";
  }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);

  // Whether the loops and kernels of util/depthwise_conv do the work.
  bool is_direct_;
  DepthwiseShape shape_;
};

}  // namespace caffe

#endif  // CAFFE_DEPTHWISE_CONV_LAYER_HPP_
