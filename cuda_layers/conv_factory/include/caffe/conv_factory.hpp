// Written for caffeflow, BSD-2-Clause: who makes a convolution by groups.
#ifndef CAFFE_CONV_FACTORY_HPP_
#define CAFFE_CONV_FACTORY_HPP_

#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/depthwise_conv_layer.hpp"
#include "caffe/proto/caffe.pb.h"

#ifdef USE_CUDNN
#include "caffe/layers/cudnn_grouped_conv_layer.hpp"
#endif

namespace caffe {

/**
 * @brief Makes the layer of a plain Convolution with group > 1, so that nets
 *        need no layer types of their own to run fast; empty where the tree's
 *        own choice stands.
 *
 * engine    num_output == group           otherwise
 * CAFFE     DepthwiseConvolutionLayer     DepthwiseConvolutionLayer
 * CUDNN     grouped cuDNN                 grouped cuDNN
 * DEFAULT   DepthwiseConvolutionLayer     grouped cuDNN
 *
 * Grouped cuDNN where the build has cuDNN 7 or later. Only the layer's
 * parameters are known here, not the bottom: DepthwiseConvolutionLayer is
 * ConvolutionLayer where channels and group turn out to differ.
 */
template <typename Dtype>
shared_ptr<Layer<Dtype> > FindGroupedConvolutionLayer(
    const LayerParameter& param) {
  const ConvolutionParameter& conv_param = param.convolution_param();
  const ConvolutionParameter_Engine engine = conv_param.engine();
  if (conv_param.group() <= 1) {
    return shared_ptr<Layer<Dtype> >();
  }
  const bool has_one_output_a_group =
      conv_param.num_output() == conv_param.group();
  if (engine == ConvolutionParameter_Engine_CAFFE ||
      (engine == ConvolutionParameter_Engine_DEFAULT
       && has_one_output_a_group)) {
    return shared_ptr<Layer<Dtype> >(
        new DepthwiseConvolutionLayer<Dtype>(param));
  }
#ifdef USE_CUDNN
#if CUDNN_VERSION_MIN(7, 0, 0)
  return shared_ptr<Layer<Dtype> >(
      new CuDNNGroupedConvolutionLayer<Dtype>(param));
#endif
#endif
  return shared_ptr<Layer<Dtype> >();
}

}  // namespace caffe

#endif  // CAFFE_CONV_FACTORY_HPP_
