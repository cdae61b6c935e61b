// Written for caffeflow, BSD-2-Clause: convolution by groups in one cuDNN call.
#ifdef USE_CUDNN
#include <vector>

#include "caffe/layers/cudnn_grouped_conv_layer.hpp"

#if CUDNN_VERSION_MIN(7, 0, 0)

namespace caffe {

namespace {

// Does nothing, on the default stream: what comes after waits for all lanes,
// and the host waits for none of them.
__global__ void JoinLanes() {}

}  // namespace

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::Forward_gpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!is_for_cudnn_) {
    return ConvolutionLayer<Dtype>::Forward_gpu(bottom, top);
  }
  const void* one = cudnn::dataType<Dtype>::one;
  const void* zero = cudnn::dataType<Dtype>::zero;
  const cudnnHandle_t handle = handle_[FORWARD_LANE];
  const Dtype* weight = this->blobs_[0]->gpu_data();
  for (int i = 0; i < bottom.size(); ++i) {
    const Dtype* bottom_data = bottom[i]->gpu_data();
    Dtype* top_data = top[i]->mutable_gpu_data();
    CUDNN_CHECK(cudnnConvolutionForward(handle,
        one, bottom_desc_, bottom_data, filter_desc_, weight, conv_desc_,
        forward_algo_, workspace(FORWARD_LANE), forward_bytes_,
        zero, top_desc_, top_data));
    if (this->bias_term_) {
      const Dtype* bias = this->blobs_[1]->gpu_data();
      CUDNN_CHECK(cudnnAddTensor(handle,
          one, bias_desc_, bias, one, top_desc_, top_data));
    }
  }
  // NOLINT_NEXT_LINE(whitespace/operators)
  JoinLanes<<<1, 1>>>();
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (!is_for_cudnn_) {
    return ConvolutionLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  }
  const void* one = cudnn::dataType<Dtype>::one;
  const void* zero = cudnn::dataType<Dtype>::zero;
  const bool has_bias_diff =
      this->bias_term_ && this->param_propagate_down_[1];
  const bool has_weight_diff = this->param_propagate_down_[0];
  const Dtype* weight = this->blobs_[0]->gpu_data();
  Dtype* weight_diff =
      has_weight_diff ? this->blobs_[0]->mutable_gpu_diff() : NULL;
  Dtype* bias_diff =
      has_bias_diff ? this->blobs_[1]->mutable_gpu_diff() : NULL;
  for (int i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->gpu_diff();
    const Dtype* bottom_data = bottom[i]->gpu_data();
    // Diffs of parameters add up over bottoms and passes, those of bottoms are
    // written.
    if (has_bias_diff) {
      CUDNN_CHECK(cudnnConvolutionBackwardBias(handle_[BIAS_LANE],
          one, top_desc_, top_diff, one, bias_desc_, bias_diff));
    }
    if (has_weight_diff) {
      CUDNN_CHECK(cudnnConvolutionBackwardFilter(handle_[WEIGHT_LANE],
          one, bottom_desc_, bottom_data, top_desc_, top_diff, conv_desc_,
          weight_algo_, workspace(WEIGHT_LANE), weight_bytes_,
          one, filter_desc_, weight_diff));
    }
    if (propagate_down[i]) {
      Dtype* bottom_diff = bottom[i]->mutable_gpu_diff();
      CUDNN_CHECK(cudnnConvolutionBackwardData(handle_[BOTTOM_LANE],
          one, filter_desc_, weight, top_desc_, top_diff, conv_desc_,
          bottom_algo_, workspace(BOTTOM_LANE), bottom_bytes_,
          zero, bottom_desc_, bottom_diff));
    }
  }
  // NOLINT_NEXT_LINE(whitespace/operators)
  JoinLanes<<<1, 1>>>();
  CUDA_POST_KERNEL_CHECK;
}

INSTANTIATE_LAYER_GPU_FUNCS(CuDNNGroupedConvolutionLayer);

}  // namespace caffe

#endif  // CUDNN_VERSION_MIN(7, 0, 0)
#endif  // USE_CUDNN
