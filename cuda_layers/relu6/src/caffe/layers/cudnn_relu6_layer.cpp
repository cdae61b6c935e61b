// Written for caffeflow; BSD-2-Clause.
#ifdef USE_CUDNN
#include <vector>

#include "caffe/layers/cudnn_relu6_layer.hpp"

namespace caffe {

template <typename Dtype>
void CuDNNReLU6Layer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
    const vector<Blob<Dtype>*>& top) {
  ReLU6Layer<Dtype>::LayerSetUp(bottom, top);
  CUDNN_CHECK(cudnnCreate(&handle_));
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&blob_desc_));
  CUDNN_CHECK(cudnnCreateActivationDescriptor(&activation_desc_));
  CUDNN_CHECK(cudnnSetActivationDescriptor(activation_desc_,
      CUDNN_ACTIVATION_CLIPPED_RELU, CUDNN_PROPAGATE_NAN, 6.));
  is_set_up_ = true;
}

template <typename Dtype>
void CuDNNReLU6Layer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
    const vector<Blob<Dtype>*>& top) {
  ReLU6Layer<Dtype>::Reshape(bottom, top);
  // Element by element, so a blob of any number of axes is one long row.
  cudnn::setTensor4dDesc<Dtype>(&blob_desc_, 1, 1, 1, bottom[0]->count());
}

template <typename Dtype>
CuDNNReLU6Layer<Dtype>::~CuDNNReLU6Layer() {
  if (!is_set_up_) { return; }
  cudnnDestroyActivationDescriptor(activation_desc_);
  cudnnDestroyTensorDescriptor(blob_desc_);
  cudnnDestroy(handle_);
}

INSTANTIATE_CLASS(CuDNNReLU6Layer);

}  // namespace caffe
#endif
