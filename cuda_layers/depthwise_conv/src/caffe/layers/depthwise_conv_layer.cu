// Written for caffeflow; BSD-2-Clause.
#include <vector>

#include "caffe/layers/depthwise_conv_layer.hpp"

namespace caffe {

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Forward_gpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!is_direct_) {
    return ConvolutionLayer<Dtype>::Forward_gpu(bottom, top);
  }
  const Dtype* weight = this->blobs_[0]->gpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->gpu_data() : NULL;
  for (int i = 0; i < bottom.size(); ++i) {
    depthwise_forward_gpu(shape_, bottom[i]->gpu_data(), weight, bias,
        top[i]->mutable_gpu_data());
  }
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (!is_direct_) {
    return ConvolutionLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  }
  for (int i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->gpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      depthwise_backward_bias_gpu(shape_, top_diff,
          this->blobs_[1]->mutable_gpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      depthwise_backward_weight_gpu(shape_, bottom[i]->gpu_data(), top_diff,
          this->blobs_[0]->mutable_gpu_diff());
    }
    if (propagate_down[i]) {
      depthwise_backward_bottom_gpu(shape_, top_diff,
          this->blobs_[0]->gpu_data(), bottom[i]->mutable_gpu_diff());
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(DepthwiseConvolutionLayer);

}  // namespace caffe
