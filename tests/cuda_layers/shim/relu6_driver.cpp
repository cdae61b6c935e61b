// Runs ReLU6Layer on cases: settings are gpu, double, in_place and the shape;
// arrays are bottom and the top's gradient. Gives back top and bottom gradient.
#include "cases.h"
#include "caffe/layers/relu6_layer.hpp"

template <typename Dtype>
void Run(const Case& given, std::ostream& out) {
  const bool gpu = given.settings[0];
  const bool in_place = given.settings[2];
  caffe::Blob<Dtype> bottom, own_top;
  caffe::Blob<Dtype>* top = in_place ? &bottom : &own_top;
  bottom.Reshape(std::vector<int>(given.settings.begin() + 3,
                                  given.settings.end()));
  caffe::ReLU6Layer<Dtype> layer((caffe::LayerParameter()));
  layer.LayerSetUp({&bottom}, {top});
  layer.Reshape({&bottom}, {top});
  CopyTo(given.arrays[0], bottom.mutable_cpu_data());
  if (!in_place) {
    Spoil(top->mutable_cpu_data(), top->count());
    Spoil(bottom.mutable_cpu_diff(), bottom.count());
  }
  layer.Forward(gpu, {&bottom}, {top});
  CopyTo(given.arrays[1], top->mutable_cpu_diff());
  layer.Backward(gpu, {top}, {&bottom});
  WriteArray(out, top->cpu_data(), top->count());
  WriteArray(out, bottom.cpu_diff(), bottom.count());
}

int main(int argc, char** argv) {
  std::ifstream in(argv[1], std::ios::binary);
  std::ofstream out(argv[2], std::ios::binary);
  Case given;
  int kernels = 0;
  while (ReadCase(in, &given)) {
    kernels += given.settings[0] ? 2 : 0;
    given.settings[1] ? Run<double>(given, out) : Run<float>(given, out);
  }
  CHECK(kernels == cuda_on_host::launches()) << "kernels ran "
      << cuda_on_host::launches() << " times, not " << kernels;
}
