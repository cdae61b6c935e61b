// As much of Caffe as our layers touch, for tests without a tree: blobs whose
// CPU and GPU memory are the same, settings as plain members, the base classes.
// The layers' own C++ tests run on the real thing.
#ifndef CAFFE_STAND_IN_H_
#define CAFFE_STAND_IN_H_

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cuda_on_host.h"

// NOLINTNEXTLINE(readability/braces)
#define CHECK(condition) if (condition) {} else caffe::Fatal()

#define INSTANTIATE_CLASS(name) \
  template class name<float>; \
  template class name<double>
#define INSTANTIATE_LAYER_GPU_FUNCS_OF(name, Dtype) \
  template void name<Dtype>::Forward_gpu( \
      const std::vector<Blob<Dtype>*>&, const std::vector<Blob<Dtype>*>&); \
  template void name<Dtype>::Backward_gpu( \
      const std::vector<Blob<Dtype>*>&, const std::vector<bool>&, \
      const std::vector<Blob<Dtype>*>&)
#define INSTANTIATE_LAYER_GPU_FUNCS(name) \
  INSTANTIATE_LAYER_GPU_FUNCS_OF(name, float); \
  INSTANTIATE_LAYER_GPU_FUNCS_OF(name, double)
#define REGISTER_LAYER_CREATOR(type, creator) \
  static shared_ptr<Layer<float> > (*const creator_of_##type)( \
      const LayerParameter&) __attribute__((unused)) = creator<float>
#define REGISTER_LAYER_CLASS(type) \
  template <typename Dtype> \
  shared_ptr<Layer<Dtype> > Creator_##type##Layer( \
      const LayerParameter& param) { \
    return shared_ptr<Layer<Dtype> >(new type##Layer<Dtype>(param)); \
  } \
  REGISTER_LAYER_CREATOR(type, Creator_##type##Layer)

namespace google {
namespace protobuf {
struct FieldDescriptor {};
struct Descriptor {
  // BVLC's settings have no field of a fork's.
  const FieldDescriptor* FindFieldByName(const std::string&) const {
    return NULL;
  }
};
struct Reflection {
  template <typename Message>
  bool HasField(const Message&, const FieldDescriptor*) const { return false; }
};
}  // namespace protobuf
}  // namespace google

namespace caffe {

using std::shared_ptr;
using std::string;
using std::vector;

struct Fatal {
  ~Fatal() {
    std::cerr << std::endl;
    std::abort();
  }
  template <typename Value>
  Fatal& operator<<(const Value& value) {
    std::cerr << value;
    return *this;
  }
};

enum ReLU6Parameter_Engine {
  ReLU6Parameter_Engine_DEFAULT,
  ReLU6Parameter_Engine_CAFFE,
  ReLU6Parameter_Engine_CUDNN
};

struct ReLU6Parameter {
  ReLU6Parameter_Engine engine() const { return ReLU6Parameter_Engine_DEFAULT; }
};

struct ConvolutionParameter {
  int num_output_ = 0, group_ = 0;
  bool bias_term = true;
  int kernel[2], stride[2], pad[2], dilation[2];

  int axis() const { return 1; }
  bool has_num_output() const { return num_output_ > 0; }
  bool has_group() const { return group_ > 0; }
  void set_num_output(int value) { num_output_ = value; }
  void set_group(int value) { group_ = value; }
  const google::protobuf::Descriptor* GetDescriptor() const {
    static const google::protobuf::Descriptor descriptor{};
    return &descriptor;
  }
  const google::protobuf::Reflection* GetReflection() const {
    static const google::protobuf::Reflection reflection{};
    return &reflection;
  }
};

struct LayerParameter {
  string type_;
  ConvolutionParameter convolution;

  string name() const { return "layer"; }
  bool has_type() const { return !type_.empty(); }
  const string& type() const { return type_; }
  const ConvolutionParameter& convolution_param() const { return convolution; }
  ConvolutionParameter* mutable_convolution_param() { return &convolution; }
  ReLU6Parameter relu6_param() const { return ReLU6Parameter(); }
};

template <typename Dtype>
class Blob {
 public:
  void Reshape(const vector<int>& shape) {
    shape_ = shape;
    int size = 1;
    for (int dim : shape) { size *= dim; }
    data_.resize(size);
    diff_.resize(size);
  }
  const vector<int>& shape() const { return shape_; }
  int shape(int axis) const { return shape_[axis]; }
  int count() const { return data_.size(); }
  int CanonicalAxisIndex(int axis) const { return axis; }
  const Dtype* cpu_data() const { return data_.data(); }
  const Dtype* gpu_data() const { return data_.data(); }
  const Dtype* cpu_diff() const { return diff_.data(); }
  const Dtype* gpu_diff() const { return diff_.data(); }
  Dtype* mutable_cpu_data() { return data_.data(); }
  Dtype* mutable_gpu_data() { return data_.data(); }
  Dtype* mutable_cpu_diff() { return diff_.data(); }
  Dtype* mutable_gpu_diff() { return diff_.data(); }

 private:
  vector<int> shape_;
  vector<Dtype> data_, diff_;
};

template <typename Dtype>
class Layer {
 public:
  typedef vector<Blob<Dtype>*> Blobs;

  explicit Layer(const LayerParameter& param) : layer_param_(param) {}
  virtual ~Layer() {}
  virtual void LayerSetUp(const Blobs&, const Blobs&) {}
  virtual void Reshape(const Blobs& bottom, const Blobs& top) = 0;
  virtual const char* type() const = 0;

  void Forward(bool gpu, const Blobs& bottom, const Blobs& top) {
    gpu ? Forward_gpu(bottom, top) : Forward_cpu(bottom, top);
  }
  void Backward(bool gpu, const Blobs& top, const Blobs& bottom) {
    const vector<bool> all(bottom.size(), true);
    gpu ? Backward_gpu(top, all, bottom) : Backward_cpu(top, all, bottom);
  }
  vector<shared_ptr<Blob<Dtype> > >& blobs() { return blobs_; }

 protected:
  virtual void Forward_cpu(const Blobs&, const Blobs&) = 0;
  virtual void Forward_gpu(const Blobs&, const Blobs&) = 0;
  virtual void Backward_cpu(
      const Blobs&, const vector<bool>&, const Blobs&) = 0;
  virtual void Backward_gpu(
      const Blobs&, const vector<bool>&, const Blobs&) = 0;

  LayerParameter layer_param_;
  vector<shared_ptr<Blob<Dtype> > > blobs_;
  vector<bool> param_propagate_down_;
};

template <typename Dtype>
class NeuronLayer : public Layer<Dtype> {
 public:
  explicit NeuronLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(
      const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    if (top[0] != bottom[0]) { top[0]->Reshape(bottom[0]->shape()); }
  }
};

template <typename Dtype>
class ConvolutionLayer : public Layer<Dtype> {
 public:
  typedef vector<Blob<Dtype>*> Blobs;

  explicit ConvolutionLayer(const LayerParameter& param)
      : Layer<Dtype>(param) {}

  virtual void LayerSetUp(const Blobs& bottom, const Blobs&) {
    const ConvolutionParameter& param = this->layer_param_.convolution_param();
    channels_ = bottom[0]->shape(1);
    num_output_ = param.num_output_;
    group_ = param.group_;
    bias_term_ = param.bias_term;
    num_spatial_axes_ = 2;
    Copy(param.kernel, &kernel_shape_);
    Copy(param.stride, &stride_);
    Copy(param.pad, &pad_);
    Copy(param.dilation, &dilation_);
    this->blobs_.resize(1 + bias_term_);
    for (auto& blob : this->blobs_) { blob.reset(new Blob<Dtype>()); }
    this->blobs_[0]->Reshape({num_output_, channels_ / group_,
                              param.kernel[0], param.kernel[1]});
    if (bias_term_) { this->blobs_[1]->Reshape({num_output_}); }
    this->param_propagate_down_.assign(this->blobs_.size(), true);
  }

  virtual void Reshape(const Blobs& bottom, const Blobs& top) {
    num_ = bottom[0]->shape(0);
    bottom_shape_ = bottom[0]->shape();
    output_shape_.clear();
    for (int i = 0; i < 2; ++i) {
      const int extent =
          dilation_.cpu_data()[i] * (kernel_shape_.cpu_data()[i] - 1) + 1;
      output_shape_.push_back(
          (input_shape(i + 1) + 2 * pad_.cpu_data()[i] - extent)
              / stride_.cpu_data()[i] + 1);
    }
    top[0]->Reshape({num_, num_output_, output_shape_[0], output_shape_[1]});
  }

 protected:
  int input_shape(int i) const { return bottom_shape_[1 + i]; }

  // The stock computation is the tree's; a layer under test must not need it.
  virtual void Forward_cpu(const Blobs&, const Blobs&) { Stock(); }
  virtual void Forward_gpu(const Blobs&, const Blobs&) { Stock(); }
  virtual void Backward_cpu(const Blobs&, const vector<bool>&, const Blobs&) {
    Stock();
  }
  virtual void Backward_gpu(const Blobs&, const vector<bool>&, const Blobs&) {
    Stock();
  }

  Blob<int> kernel_shape_, stride_, pad_, dilation_;
  vector<int> bottom_shape_, output_shape_;
  int num_, channels_, group_, num_output_, num_spatial_axes_;
  bool bias_term_;

 private:
  static void Stock() { Fatal() << "the stock computation was called"; }
  static void Copy(const int (&values)[2], Blob<int>* blob) {
    blob->Reshape({2});
    for (int i = 0; i < 2; ++i) { blob->mutable_cpu_data()[i] = values[i]; }
  }
};

}  // namespace caffe

#endif  // CAFFE_STAND_IN_H_
