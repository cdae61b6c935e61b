// Runs DepthwiseConvolutionLayer on cases. Settings: gpu, double, the bottom's
// four sizes, num_output, group, bias, then height and width of kernel, stride,
// pad and dilation. Arrays: bottom, the top's gradient, the weights, the
// gradient they have already, and the same two for the biases, if any.
// Gives back top and the gradients of bottom, weights and biases.
#include "cases.h"
#include "caffe/layers/depthwise_conv_layer.hpp"

caffe::LayerParameter ReadSettings(const std::vector<std::int64_t>& values) {
  caffe::LayerParameter param;
  caffe::ConvolutionParameter* convolution = param.mutable_convolution_param();
  convolution->set_num_output(values[6]);
  convolution->set_group(values[7]);
  convolution->bias_term = values[8];
  for (int i = 0; i < 2; ++i) {
    convolution->kernel[i] = values[9 + i];
    convolution->stride[i] = values[11 + i];
    convolution->pad[i] = values[13 + i];
    convolution->dilation[i] = values[15 + i];
  }
  return param;
}

template <typename Dtype>
void Run(const Case& given, std::ostream& out) {
  const bool gpu = given.settings[0];
  caffe::Blob<Dtype> bottom, top;
  bottom.Reshape(std::vector<int>(given.settings.begin() + 2,
                                  given.settings.begin() + 6));
  caffe::DepthwiseConvolutionLayer<Dtype> layer(ReadSettings(given.settings));
  layer.LayerSetUp({&bottom}, {&top});
  layer.Reshape({&bottom}, {&top});
  CopyTo(given.arrays[0], bottom.mutable_cpu_data());
  for (int i = 0; i < layer.blobs().size(); ++i) {
    CopyTo(given.arrays[2 + 2 * i], layer.blobs()[i]->mutable_cpu_data());
    CopyTo(given.arrays[3 + 2 * i], layer.blobs()[i]->mutable_cpu_diff());
  }
  Spoil(top.mutable_cpu_data(), top.count());
  Spoil(bottom.mutable_cpu_diff(), bottom.count());
  layer.Forward(gpu, {&bottom}, {&top});
  CopyTo(given.arrays[1], top.mutable_cpu_diff());
  layer.Backward(gpu, {&top}, {&bottom});
  WriteArray(out, top.cpu_data(), top.count());
  WriteArray(out, bottom.cpu_diff(), bottom.count());
  for (auto& blob : layer.blobs()) {
    WriteArray(out, blob->cpu_diff(), blob->count());
  }
}

int main(int argc, char** argv) {
  std::ifstream in(argv[1], std::ios::binary);
  std::ofstream out(argv[2], std::ios::binary);
  Case given;
  int kernels = 0;
  while (ReadCase(in, &given)) {
    kernels += given.settings[0] ? 3 + given.settings[8] : 0;
    given.settings[1] ? Run<double>(given, out) : Run<float>(given, out);
  }
  CHECK(kernels == cuda_on_host::launches()) << "kernels ran "
      << cuda_on_host::launches() << " times, not " << kernels;
}
