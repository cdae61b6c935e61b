// Written for caffeflow, BSD-2-Clause: convolution by groups in one cuDNN call.
#ifndef CAFFE_CUDNN_GROUPED_CONV_LAYER_HPP_
#define CAFFE_CUDNN_GROUPED_CONV_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

#ifdef USE_CUDNN
#if CUDNN_VERSION_MIN(7, 0, 0)  // the first that knows groups

/**
 * @brief Convolution by groups as one cuDNN call over all channels.
 *
 * CuDNNConvolutionLayer runs one small convolution a group, and keeps three
 * streams, handles and workspaces for each: a depthwise layer of 512 channels
 * is 512 launches and 1536 handles, which is where MobileNets run out of
 * memory. Here cuDNN is told the number of groups; the three streams are those
 * of the three gradients, which do not depend on each other.
 *
 * Dilation is cuDNN's too. On the CPU this is ConvolutionLayer, and so it is on
 * the GPU where a fork's tf_pad pads two sides differently, which cuDNN cannot.
 * Nothing of cuDNN is made before the layer is first shaped in GPU mode.
 */
template <typename Dtype>
class CuDNNGroupedConvolutionLayer : public ConvolutionLayer<Dtype> {
 public:
  explicit CuDNNGroupedConvolutionLayer(const LayerParameter& param)
      : ConvolutionLayer<Dtype>(param), is_for_cudnn_(false),
        is_set_up_(false), workspace_(NULL), workspace_bytes_(0),
        lane_bytes_(0) {}
  virtual ~CuDNNGroupedConvolutionLayer();
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);

 protected:
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
      const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
      const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom);

 private:
  /// @brief A stream, its handle and its workspace. Forward runs on the first;
  ///        each of the three gradients has its own.
  enum Lane { BIAS_LANE = 0, WEIGHT_LANE = 1, BOTTOM_LANE = 2, LANES = 3 };
  static const Lane FORWARD_LANE = BIAS_LANE;

  void CreateHandles();
  void DescribeShapes(const Blob<Dtype>& bottom, const Blob<Dtype>& top);
  /// @brief Takes the fastest algorithms that cuDNN expects to need no more
  ///        than limit_bytes each, else those that need least.
  void ChooseAlgorithms(size_t limit_bytes);
  void ChooseForward(size_t limit_bytes);
  void ChooseBackwardWeight(size_t limit_bytes);
  void ChooseBackwardBottom(size_t limit_bytes);
  /// @brief Makes room for all lanes; false where the GPU has no such room.
  bool ReserveWorkspace();
  inline void* workspace(Lane lane) {
    return static_cast<char*>(workspace_) + lane * lane_bytes_;
  }

  bool is_for_cudnn_;  // else ConvolutionLayer does the work
  bool is_set_up_;
  cudaStream_t stream_[LANES];
  cudnnHandle_t handle_[LANES];
  /// The bottom shape that descriptors and algorithms are for: all bottoms
  /// have the same one, and Reshape is called before each forward pass.
  vector<int> described_shape_;

  cudnnTensorDescriptor_t bottom_desc_, top_desc_, bias_desc_;
  cudnnFilterDescriptor_t filter_desc_;
  cudnnConvolutionDescriptor_t conv_desc_;

  cudnnConvolutionFwdAlgo_t forward_algo_;
  cudnnConvolutionBwdFilterAlgo_t weight_algo_;
  cudnnConvolutionBwdDataAlgo_t bottom_algo_;
  size_t forward_bytes_, weight_bytes_, bottom_bytes_;

  void* workspace_;         // one allocation, cut into LANES pieces
  size_t workspace_bytes_;  // of all of it
  size_t lane_bytes_;       // of a piece
};

#endif  // CUDNN_VERSION_MIN(7, 0, 0)
#endif  // USE_CUDNN

}  // namespace caffe

#endif  // CAFFE_CUDNN_GROUPED_CONV_LAYER_HPP_
