// Written for caffeflow; BSD-2-Clause.
#include <vector>

#include "google/protobuf/descriptor.h"

#include "caffe/layer_factory.hpp"
#include "caffe/layers/depthwise_conv_layer.hpp"

namespace caffe {

// Whether a fork's tf_pad decides where the zeros go; trees without that
// field have no name for it.
static bool PadsAsTensorFlow(const ConvolutionParameter& param) {
  const google::protobuf::FieldDescriptor* field =
      param.GetDescriptor()->FindFieldByName("tf_pad");
  return field != NULL && param.GetReflection()->HasField(param, field);
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::LayerSetUp(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ConvolutionParameter* param = this->layer_param_.mutable_convolution_param();
  if (this->layer_param_.type() != "Convolution") {
    const int channels =
        bottom[0]->shape(bottom[0]->CanonicalAxisIndex(param->axis()));
    if (!param->has_num_output()) { param->set_num_output(channels); }
    if (!param->has_group()) { param->set_group(channels); }
  }
  ConvolutionLayer<Dtype>::LayerSetUp(bottom, top);
  is_direct_ = this->group_ == this->channels_
      && this->num_spatial_axes_ == 2 && !PadsAsTensorFlow(*param);
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Reshape(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ConvolutionLayer<Dtype>::Reshape(bottom, top);
  if (!is_direct_) { return; }
  shape_.num = this->num_;
  shape_.channels = this->channels_;
  shape_.multiplier = this->num_output_ / this->channels_;
  shape_.height = this->input_shape(1);
  shape_.width = this->input_shape(2);
  shape_.top_height = this->output_shape_[0];
  shape_.top_width = this->output_shape_[1];
  shape_.kernel_h = this->kernel_shape_.cpu_data()[0];
  shape_.kernel_w = this->kernel_shape_.cpu_data()[1];
  shape_.stride_h = this->stride_.cpu_data()[0];
  shape_.stride_w = this->stride_.cpu_data()[1];
  shape_.pad_h = this->pad_.cpu_data()[0];
  shape_.pad_w = this->pad_.cpu_data()[1];
  shape_.dilation_h = this->dilation_.cpu_data()[0];
  shape_.dilation_w = this->dilation_.cpu_data()[1];
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Forward_cpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!is_direct_) {
    return ConvolutionLayer<Dtype>::Forward_cpu(bottom, top);
  }
  const Dtype* weight = this->blobs_[0]->cpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : NULL;
  for (int i = 0; i < bottom.size(); ++i) {
    depthwise_forward_cpu(shape_, bottom[i]->cpu_data(), weight, bias,
        top[i]->mutable_cpu_data());
  }
}

template <typename Dtype>
void DepthwiseConvolutionLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (!is_direct_) {
    return ConvolutionLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
  }
  const Dtype* weight = this->blobs_[0]->cpu_data();
  Dtype* weight_diff = this->param_propagate_down_[0] ?
      this->blobs_[0]->mutable_cpu_diff() : NULL;
  Dtype* bias_diff = this->bias_term_ && this->param_propagate_down_[1] ?
      this->blobs_[1]->mutable_cpu_diff() : NULL;
  for (int i = 0; i < top.size(); ++i) {
    depthwise_backward_cpu(shape_, bottom[i]->cpu_data(), top[i]->cpu_diff(),
        weight, propagate_down[i] ? bottom[i]->mutable_cpu_diff() : NULL,
        weight_diff, bias_diff);
  }
}

#ifdef CPU_ONLY
STUB_GPU(DepthwiseConvolutionLayer);
#endif

INSTANTIATE_CLASS(DepthwiseConvolutionLayer);

REGISTER_LAYER_CLASS(DepthwiseConvolution);
REGISTER_LAYER_CREATOR(ConvolutionDepthwise,
    Creator_DepthwiseConvolutionLayer);

}  // namespace caffe
