#ifndef CAFFE_UTIL_CUDNN_ALGORITHMS_H_
#define CAFFE_UTIL_CUDNN_ALGORITHMS_H_
#ifdef USE_CUDNN

#include "caffe/util/cudnn.hpp"

namespace caffe {

namespace cudnn {

// cuDNN 8 dropped the queries for the best algorithm within a limit. The ones
// that are left list all algorithms, the best first, each with the workspace
// it takes; the functions here choose from that list.

// More than cuDNN has: each of its eight, with each kind of arithmetic.
const int kMaxAlgorithms = 32;

// Finds the first algorithm of the list that runs within the limit.
template <typename Listed, typename Algorithm>
inline cudnnStatus_t FirstWithin(size_t limit_bytes, const Listed* listed,
    int count, Algorithm* algorithm) {
  for (int i = 0; i < count; ++i) {
    if (listed[i].status == CUDNN_STATUS_SUCCESS &&
        listed[i].memory <= limit_bytes) {
      *algorithm = listed[i].algo;
      return CUDNN_STATUS_SUCCESS;
    }
  }
  return CUDNN_STATUS_NOT_SUPPORTED;
}

inline cudnnStatus_t GetForwardAlgorithm(cudnnHandle_t handle,
    cudnnTensorDescriptor_t bottom, cudnnFilterDescriptor_t filter,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t top,
    size_t limit_bytes, cudnnConvolutionFwdAlgo_t* algorithm) {
#if CUDNN_VERSION >= 7000
  cudnnConvolutionFwdAlgoPerf_t listed[kMaxAlgorithms];
  int count = 0;
  const cudnnStatus_t status = cudnnGetConvolutionForwardAlgorithm_v7(handle,
      bottom, filter, conv, top, kMaxAlgorithms, &count, listed);
  return status == CUDNN_STATUS_SUCCESS ?
      FirstWithin(limit_bytes, listed, count, algorithm) : status;
#else
  return cudnnGetConvolutionForwardAlgorithm(handle, bottom, filter, conv, top,
      CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT, limit_bytes, algorithm);
#endif
}

inline cudnnStatus_t GetBackwardFilterAlgorithm(cudnnHandle_t handle,
    cudnnTensorDescriptor_t bottom, cudnnTensorDescriptor_t top,
    cudnnConvolutionDescriptor_t conv, cudnnFilterDescriptor_t filter,
    size_t limit_bytes, cudnnConvolutionBwdFilterAlgo_t* algorithm) {
#if CUDNN_VERSION >= 7000
  cudnnConvolutionBwdFilterAlgoPerf_t listed[kMaxAlgorithms];
  int count = 0;
  const cudnnStatus_t status = cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      handle, bottom, top, conv, filter, kMaxAlgorithms, &count, listed);
  return status == CUDNN_STATUS_SUCCESS ?
      FirstWithin(limit_bytes, listed, count, algorithm) : status;
#else
  return cudnnGetConvolutionBackwardFilterAlgorithm(handle, bottom, top, conv,
      filter, CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT,
      limit_bytes, algorithm);
#endif
}

inline cudnnStatus_t GetBackwardDataAlgorithm(cudnnHandle_t handle,
    cudnnFilterDescriptor_t filter, cudnnTensorDescriptor_t top,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t bottom,
    size_t limit_bytes, cudnnConvolutionBwdDataAlgo_t* algorithm) {
#if CUDNN_VERSION >= 7000
  cudnnConvolutionBwdDataAlgoPerf_t listed[kMaxAlgorithms];
  int count = 0;
  const cudnnStatus_t status = cudnnGetConvolutionBackwardDataAlgorithm_v7(
      handle, filter, top, conv, bottom, kMaxAlgorithms, &count, listed);
  return status == CUDNN_STATUS_SUCCESS ?
      FirstWithin(limit_bytes, listed, count, algorithm) : status;
#else
  return cudnnGetConvolutionBackwardDataAlgorithm(handle, filter, top, conv,
      bottom, CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT, limit_bytes,
      algorithm);
#endif
}

}  // namespace cudnn

}  // namespace caffe

#endif  // USE_CUDNN
#endif  // CAFFE_UTIL_CUDNN_ALGORITHMS_H_
