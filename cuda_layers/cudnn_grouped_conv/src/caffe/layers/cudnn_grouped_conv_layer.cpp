// Written for caffeflow, BSD-2-Clause: convolution by groups in one cuDNN call.
#ifdef USE_CUDNN
#include <algorithm>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"

#include "caffe/layers/cudnn_grouped_conv_layer.hpp"

#if CUDNN_VERSION_MIN(7, 0, 0)

namespace caffe {

namespace {

// What one algorithm may use: as much as the tree's own cuDNN convolution.
const size_t kWorkspaceLimit = 8 * 1024 * 1024;
// Pieces of the workspace begin where an allocation of their own would.
const size_t kAlignment = 256;

// Tensor cores round the factors of float products to 10 bits.
inline bool KeepsPrecision(cudnnMathType_t math) {
  return math != CUDNN_TENSOR_OP_MATH
#if CUDNN_VERSION_MIN(7, 2, 0)
      && math != CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION
#endif
      ;  // NOLINT(whitespace/semicolon)
}

// Returns the first (the fastest, as cuDNN expects) that fits into the limit;
// if none does, the one that needs least.
template <typename Result>
const Result& Choose(const vector<Result>& results, int found, size_t limit,
    const string& layer) {
  const Result* least = NULL;
  for (int i = 0; i < found; ++i) {
    const Result& result = results[i];
    if (result.status != CUDNN_STATUS_SUCCESS
        || !KeepsPrecision(result.mathType)) {
      continue;
    }
    if (result.memory <= limit) {
      return result;
    }
    if (least == NULL || result.memory < least->memory) {
      least = &result;
    }
  }
  CHECK(least != NULL) << "Layer " << layer << ": cuDNN has no algorithm for "
      << "this convolution; set engine: CAFFE.";
  return *least;
}

// Whether a fork's tf_pad decides where the zeros go; trees without that
// field have no name for it.
bool PadsAsTensorFlow(const ConvolutionParameter& param) {
  const google::protobuf::FieldDescriptor* field =
      param.GetDescriptor()->FindFieldByName("tf_pad");
  return field != NULL && param.GetReflection()->HasField(param, field);
}

// A destructor may run while the driver shuts down: it tells and goes on.
inline void WarnUnless(bool is_released, const char* what) {
  LOG_IF(WARNING, !is_released) << "cuDNN grouped convolution: " << what
      << " was not released.";
}

}  // namespace

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::Reshape(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ConvolutionLayer<Dtype>::Reshape(bottom, top);
  is_for_cudnn_ = Caffe::mode() == Caffe::GPU &&
      !PadsAsTensorFlow(this->layer_param_.convolution_param());
  if (!is_for_cudnn_) { return; }
  CHECK_EQ(2, this->num_spatial_axes_)
      << "Layer " << this->layer_param_.name() << ": cuDNN convolves over "
      << "height and width only; set engine: CAFFE for other axes.";
  if (!is_set_up_) {
    CreateHandles();
  }
  if (bottom[0]->shape() == described_shape_) { return; }
  DescribeShapes(*bottom[0], *top[0]);
  ChooseAlgorithms(kWorkspaceLimit);
  if (!ReserveWorkspace()) {
    ChooseAlgorithms(0);
    CHECK(ReserveWorkspace()) << "Layer " << this->layer_param_.name()
        << ": the GPU has no memory left for a workspace of " << lane_bytes_
        << " bytes; lower batch_size.";
  }
  described_shape_ = bottom[0]->shape();
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::CreateHandles() {
  for (int lane = 0; lane < LANES; ++lane) {
    CUDA_CHECK(cudaStreamCreate(&stream_[lane]));
    CUDNN_CHECK(cudnnCreate(&handle_[lane]));
    CUDNN_CHECK(cudnnSetStream(handle_[lane], stream_[lane]));
  }
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&bottom_desc_));
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&top_desc_));
  CUDNN_CHECK(cudnnCreateTensorDescriptor(&bias_desc_));
  CUDNN_CHECK(cudnnCreateFilterDescriptor(&filter_desc_));
  CUDNN_CHECK(cudnnCreateConvolutionDescriptor(&conv_desc_));
  is_set_up_ = true;
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::DescribeShapes(
    const Blob<Dtype>& bottom, const Blob<Dtype>& top) {
  const cudnnDataType_t type = cudnn::dataType<Dtype>::type;
  const int height_axis = this->channel_axis_ + 1;
  const int width_axis = this->channel_axis_ + 2;
  CUDNN_CHECK(cudnnSetTensor4dDescriptor(bottom_desc_, CUDNN_TENSOR_NCHW, type,
      this->num_, this->channels_, bottom.shape(height_axis),
      bottom.shape(width_axis)));
  CUDNN_CHECK(cudnnSetTensor4dDescriptor(top_desc_, CUDNN_TENSOR_NCHW, type,
      this->num_, this->num_output_, top.shape(height_axis),
      top.shape(width_axis)));
  CUDNN_CHECK(cudnnSetTensor4dDescriptor(bias_desc_, CUDNN_TENSOR_NCHW, type,
      1, this->num_output_, 1, 1));

  const int* kernel = this->kernel_shape_.cpu_data();
  CUDNN_CHECK(cudnnSetFilter4dDescriptor(filter_desc_, type, CUDNN_TENSOR_NCHW,
      this->num_output_, this->channels_ / this->group_, kernel[0], kernel[1]));

  const int* pad = this->pad_.cpu_data();
  const int* stride = this->stride_.cpu_data();
  const int* dilation = this->dilation_.cpu_data();
  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(conv_desc_, pad[0], pad[1],
      stride[0], stride[1], dilation[0], dilation[1],
      CUDNN_CROSS_CORRELATION, type));
  // Before any query: the answers depend on it.
  CUDNN_CHECK(cudnnSetConvolutionGroupCount(conv_desc_, this->group_));
#if CUDNN_VERSION_MIN(8, 0, 0)
  // By default later GPUs may use tensor cores for floats.
  CUDNN_CHECK(cudnnSetConvolutionMathType(conv_desc_, CUDNN_FMA_MATH));
#endif
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::ChooseAlgorithms(size_t limit_bytes) {
  ChooseForward(limit_bytes);
  ChooseBackwardWeight(limit_bytes);
  ChooseBackwardBottom(limit_bytes);
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::ChooseForward(size_t limit_bytes) {
  vector<cudnnConvolutionFwdAlgoPerf_t> results(
      CUDNN_CONVOLUTION_FWD_ALGO_COUNT);
  int found = 0;
  CUDNN_CHECK(cudnnGetConvolutionForwardAlgorithm_v7(handle_[FORWARD_LANE],
      bottom_desc_, filter_desc_, conv_desc_, top_desc_, results.size(),
      &found, &results[0]));
  forward_algo_ = Choose(results, found, limit_bytes,
      this->layer_param_.name()).algo;
  CUDNN_CHECK(cudnnGetConvolutionForwardWorkspaceSize(handle_[FORWARD_LANE],
      bottom_desc_, filter_desc_, conv_desc_, top_desc_, forward_algo_,
      &forward_bytes_));
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::ChooseBackwardWeight(
    size_t limit_bytes) {
  vector<cudnnConvolutionBwdFilterAlgoPerf_t> results(
      CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT);
  int found = 0;
  CUDNN_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      handle_[WEIGHT_LANE], bottom_desc_, top_desc_, conv_desc_, filter_desc_,
      results.size(), &found, &results[0]));
  weight_algo_ = Choose(results, found, limit_bytes,
      this->layer_param_.name()).algo;
  CUDNN_CHECK(cudnnGetConvolutionBackwardFilterWorkspaceSize(
      handle_[WEIGHT_LANE], bottom_desc_, top_desc_, conv_desc_, filter_desc_,
      weight_algo_, &weight_bytes_));
}

template <typename Dtype>
void CuDNNGroupedConvolutionLayer<Dtype>::ChooseBackwardBottom(
    size_t limit_bytes) {
  vector<cudnnConvolutionBwdDataAlgoPerf_t> results(
      CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT);
  int found = 0;
  CUDNN_CHECK(cudnnGetConvolutionBackwardDataAlgorithm_v7(
      handle_[BOTTOM_LANE], filter_desc_, top_desc_, conv_desc_, bottom_desc_,
      results.size(), &found, &results[0]));
  bottom_algo_ = Choose(results, found, limit_bytes,
      this->layer_param_.name()).algo;
  CUDNN_CHECK(cudnnGetConvolutionBackwardDataWorkspaceSize(
      handle_[BOTTOM_LANE], filter_desc_, top_desc_, conv_desc_, bottom_desc_,
      bottom_algo_, &bottom_bytes_));
}

template <typename Dtype>
bool CuDNNGroupedConvolutionLayer<Dtype>::ReserveWorkspace() {
  const size_t most = std::max(forward_bytes_,
      std::max(weight_bytes_, bottom_bytes_));
  lane_bytes_ = (most + kAlignment - 1) / kAlignment * kAlignment;
  if (LANES * lane_bytes_ <= workspace_bytes_) { return true; }
  CUDA_CHECK(cudaFree(workspace_));
  workspace_ = NULL;
  workspace_bytes_ = 0;
  const cudaError_t error = cudaMalloc(&workspace_, LANES * lane_bytes_);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // else the next kernel's check finds this error
    workspace_ = NULL;
    return false;
  }
  CUDA_CHECK(error);
  workspace_bytes_ = LANES * lane_bytes_;
  return true;
}

template <typename Dtype>
CuDNNGroupedConvolutionLayer<Dtype>::~CuDNNGroupedConvolutionLayer() {
  if (!is_set_up_) { return; }
  const cudnnStatus_t done = CUDNN_STATUS_SUCCESS;
  WarnUnless(cudnnDestroyTensorDescriptor(bottom_desc_) == done, "the bottom");
  WarnUnless(cudnnDestroyTensorDescriptor(top_desc_) == done, "the top");
  WarnUnless(cudnnDestroyTensorDescriptor(bias_desc_) == done, "the bias");
  WarnUnless(cudnnDestroyFilterDescriptor(filter_desc_) == done, "the filter");
  WarnUnless(cudnnDestroyConvolutionDescriptor(conv_desc_) == done,
      "the convolution");
  for (int lane = 0; lane < LANES; ++lane) {
    WarnUnless(cudnnDestroy(handle_[lane]) == done, "a handle");
    WarnUnless(cudaStreamDestroy(stream_[lane]) == cudaSuccess, "a stream");
  }
  WarnUnless(cudaFree(workspace_) == cudaSuccess, "the workspace");
}

INSTANTIATE_CLASS(CuDNNGroupedConvolutionLayer);

}  // namespace caffe

#endif  // CUDNN_VERSION_MIN(7, 0, 0)
#endif  // USE_CUDNN
