// Written for caffeflow; BSD-2-Clause.
#include <algorithm>
#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/relu6_layer.hpp"

#ifdef USE_CUDNN
#include "caffe/layers/cudnn_relu6_layer.hpp"
#endif

namespace caffe {

template <typename Dtype>
void ReLU6Layer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
    const vector<Blob<Dtype>*>& top) {
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype* top_data = top[0]->mutable_cpu_data();
  const int count = bottom[0]->count();
  for (int i = 0; i < count; ++i) {
    top_data[i] = std::min(std::max(bottom_data[i], Dtype(0)), Dtype(6));
  }
}

template <typename Dtype>
void ReLU6Layer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
    const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) { return; }
  const Dtype* bottom_data = bottom[0]->cpu_data();
  const Dtype* top_diff = top[0]->cpu_diff();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const int count = bottom[0]->count();
  for (int i = 0; i < count; ++i) {
    const bool passes = bottom_data[i] > 0 && bottom_data[i] < 6;
    bottom_diff[i] = passes ? top_diff[i] : Dtype(0);
  }
}

#ifdef CPU_ONLY
STUB_GPU(ReLU6Layer);
#endif

INSTANTIATE_CLASS(ReLU6Layer);

// Makes the class that relu6_param's engine asks for.
template <typename Dtype>
shared_ptr<Layer<Dtype> > GetReLU6Layer(const LayerParameter& param) {
  const ReLU6Parameter_Engine engine = param.relu6_param().engine();
#ifdef USE_CUDNN
  if (engine != ReLU6Parameter_Engine_CAFFE) {
    return shared_ptr<Layer<Dtype> >(new CuDNNReLU6Layer<Dtype>(param));
  }
#else
  CHECK(engine != ReLU6Parameter_Engine_CUDNN) << "Layer " << param.name()
      << ": engine is CUDNN, but this Caffe is built without cuDNN; "
      << "take the line out of relu6_param.";
#endif
  return shared_ptr<Layer<Dtype> >(new ReLU6Layer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(ReLU6, GetReLU6Layer);

}  // namespace caffe
