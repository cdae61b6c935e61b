// Written for caffeflow; BSD-2-Clause.
#ifdef USE_CUDNN
#include <vector>

#include "caffe/layers/cudnn_relu6_layer.hpp"

namespace caffe {

template <typename Dtype>
void CuDNNReLU6Layer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
    const vector<Blob<Dtype>*>& top) {
  CUDNN_CHECK(cudnnActivationForward(handle_, activation_desc_,
      cudnn::dataType<Dtype>::one, blob_desc_, bottom[0]->gpu_data(),
      cudnn::dataType<Dtype>::zero, blob_desc_, top[0]->mutable_gpu_data()));
}

template void CuDNNReLU6Layer<float>::Forward_gpu(
    const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top);
template void CuDNNReLU6Layer<double>::Forward_gpu(
    const vector<Blob<double>*>& bottom, const vector<Blob<double>*>& top);

}  // namespace caffe
#endif
