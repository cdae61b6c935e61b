// Written for caffeflow; BSD-2-Clause.
#ifndef CAFFE_RELU6_LAYER_HPP_
#define CAFFE_RELU6_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

#include "caffe/layers/neuron_layer.hpp"

namespace caffe {

/**
 * @brief Rectified linear unit with a ceiling,
 *        @f$ y = \min(\max(x, 0), 6) @f$.
 *
 * The gradient passes where 0 < x < 6; it is 0 at both ends. That makes y as
 * good as x for it, so that the layer may run in place.
 */
template <typename Dtype>
class ReLU6Layer : public NeuronLayer<Dtype> {
 public:
  explicit ReLU6Layer(const LayerParameter& param)
      : NeuronLayer<Dtype>(param) {}

  virtual inline const char* type() const { return "ReLU6"; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);
};

}  // namespace caffe

#endif  // CAFFE_RELU6_LAYER_HPP_
