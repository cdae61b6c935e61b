// Written for caffeflow; BSD-2-Clause.
#ifndef CAFFE_CUDNN_RELU6_LAYER_HPP_
#define CAFFE_CUDNN_RELU6_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

#include "caffe/layers/relu6_layer.hpp"

namespace caffe {

#ifdef USE_CUDNN
/**
 * @brief ReLU6Layer with cuDNN's clipped ReLU as its forward.
 *
 * The backward is the base class's kernel: cuDNN does not say what its
 * gradient is at 0 and at 6, which is where an in-place layer has most of its
 * values, and the operation is bound by memory either way.
 */
template <typename Dtype>
class CuDNNReLU6Layer : public ReLU6Layer<Dtype> {
 public:
  explicit CuDNNReLU6Layer(const LayerParameter& param)
      : ReLU6Layer<Dtype>(param), is_set_up_(false) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual ~CuDNNReLU6Layer();

 protected:
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);

  bool is_set_up_;
  cudnnHandle_t handle_;
  // Bottom and top have one shape, so one descriptor serves both.
  cudnnTensorDescriptor_t blob_desc_;
  cudnnActivationDescriptor_t activation_desc_;
};
#endif

}  // namespace caffe

#endif  // CAFFE_CUDNN_RELU6_LAYER_HPP_
