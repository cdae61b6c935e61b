// Written for caffeflow; BSD-2-Clause.
#include "caffe/common.hpp"
#include "caffe/util/depthwise_conv.hpp"

namespace caffe {

// One thread an element of the top. kKernel is the side of a square kernel
// where it is known when compiling, so that the loops unroll, else 0.
template <typename Dtype, int kKernel>
__global__ void DepthwiseForward(const int n, const DepthwiseShape shape,
    const Dtype* bottom, const Dtype* weight, const Dtype* bias, Dtype* top) {
  const int kernel_h = kKernel ? kKernel : shape.kernel_h;
  const int kernel_w = kKernel ? kKernel : shape.kernel_w;
  CUDA_KERNEL_LOOP(index, n) {
    const int w = index % shape.top_width;
    const int h = index / shape.top_width % shape.top_height;
    const int plane = index / shape.top_width / shape.top_height;
    const int k = plane % (shape.channels * shape.multiplier);
    const Dtype* in =
        bottom + plane / shape.multiplier * shape.height * shape.width;
    const Dtype* filter = weight + k * kernel_h * kernel_w;
    Dtype sum = bias ? bias[k] : Dtype(0);
    for (int p = 0; p < kernel_h; ++p) {
      const int y = h * shape.stride_h - shape.pad_h + p * shape.dilation_h;
      if (y < 0 || y >= shape.height) { continue; }
      for (int q = 0; q < kernel_w; ++q) {
        const int x = w * shape.stride_w - shape.pad_w + q * shape.dilation_w;
        if (x < 0 || x >= shape.width) { continue; }
        sum += filter[p * kernel_w + q] * in[y * shape.width + x];
      }
    }
    top[index] = sum;
  }
}

// One thread an element of the bottom: it collects what the windows over it
// send back, so that no two threads write to one place.
template <typename Dtype, int kKernel>
__global__ void DepthwiseBackwardBottom(const int n,
    const DepthwiseShape shape, const Dtype* top_diff, const Dtype* weight,
    Dtype* bottom_diff) {
  const int kernel_h = kKernel ? kKernel : shape.kernel_h;
  const int kernel_w = kKernel ? kKernel : shape.kernel_w;
  const int top_count = shape.top_height * shape.top_width;
  CUDA_KERNEL_LOOP(index, n) {
    const int x = index % shape.width + shape.pad_w;
    const int y = index / shape.width % shape.height + shape.pad_h;
    const int plane = index / shape.width / shape.height;
    Dtype sum = 0;
    for (int m = 0; m < shape.multiplier; ++m) {
      const Dtype* diff =
          top_diff + (plane * shape.multiplier + m) * top_count;
      const Dtype* filter = weight + kernel_h * kernel_w
          * (plane % shape.channels * shape.multiplier + m);
      for (int p = 0; p < kernel_h; ++p) {
        const int from_y = y - p * shape.dilation_h;
        const int h = from_y / shape.stride_h;
        if (from_y < 0 || from_y % shape.stride_h || h >= shape.top_height) {
          continue;
        }
        for (int q = 0; q < kernel_w; ++q) {
          const int from_x = x - q * shape.dilation_w;
          const int w = from_x / shape.stride_w;
          if (from_x < 0 || from_x % shape.stride_w || w >= shape.top_width) {
            continue;
          }
          sum += filter[p * kernel_w + q] * diff[h * shape.top_width + w];
        }
      }
    }
    bottom_diff[index] = sum;
  }
}

// Adds up what the threads of a block bring; thread 0 gets the whole. The
// order of additions is fixed, so a gradient is the same in every run.
template <typename Dtype>
__device__ Dtype SumOverBlock(const Dtype part) {
  __shared__ Dtype parts[CAFFE_CUDA_NUM_THREADS];
  parts[threadIdx.x] = part;
  __syncthreads();
  for (int half = CAFFE_CUDA_NUM_THREADS / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    __syncthreads();
  }
  return parts[0];
}

// One block a weight, its threads spread over images and places of the top.
template <typename Dtype>
__global__ void DepthwiseBackwardWeight(const DepthwiseShape shape,
    const Dtype* bottom, const Dtype* top_diff, Dtype* weight_diff) {
  const int q = blockIdx.x % shape.kernel_w;
  const int p = blockIdx.x / shape.kernel_w % shape.kernel_h;
  const int k = blockIdx.x / shape.kernel_w / shape.kernel_h;
  const int top_count = shape.top_height * shape.top_width;
  Dtype part = 0;
  for (int i = threadIdx.x; i < shape.num * top_count; i += blockDim.x) {
    const int w = i % shape.top_width;
    const int h = i / shape.top_width % shape.top_height;
    const int n = i / top_count;
    const int y = h * shape.stride_h - shape.pad_h + p * shape.dilation_h;
    const int x = w * shape.stride_w - shape.pad_w + q * shape.dilation_w;
    if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) { continue; }
    const int c = n * shape.channels + k / shape.multiplier;
    const int plane = n * shape.channels * shape.multiplier + k;
    part += bottom[(c * shape.height + y) * shape.width + x]
        * top_diff[plane * top_count + h * shape.top_width + w];
  }
  const Dtype sum = SumOverBlock(part);
  if (threadIdx.x == 0) { weight_diff[blockIdx.x] += sum; }
}

// One block a channel of the top.
template <typename Dtype>
__global__ void DepthwiseBackwardBias(const DepthwiseShape shape,
    const Dtype* top_diff, Dtype* bias_diff) {
  const int top_channels = shape.channels * shape.multiplier;
  const int top_count = shape.top_height * shape.top_width;
  Dtype part = 0;
  for (int i = threadIdx.x; i < shape.num * top_count; i += blockDim.x) {
    const int plane = i / top_count * top_channels + blockIdx.x;
    part += top_diff[plane * top_count + i % top_count];
  }
  const Dtype sum = SumOverBlock(part);
  if (threadIdx.x == 0) { bias_diff[blockIdx.x] += sum; }
}

static bool IsThreeByThree(const DepthwiseShape& shape) {
  return shape.kernel_h == 3 && shape.kernel_w == 3;
}

template <typename Dtype>
void depthwise_forward_gpu(const DepthwiseShape& shape, const Dtype* bottom,
    const Dtype* weight, const Dtype* bias, Dtype* top) {
  const int n = shape.num * shape.channels * shape.multiplier
      * shape.top_height * shape.top_width;
  if (IsThreeByThree(shape)) {
    // NOLINT_NEXT_LINE(whitespace/operators)
    DepthwiseForward<Dtype, 3><<<CAFFE_GET_BLOCKS(n), CAFFE_CUDA_NUM_THREADS>>>(
        n, shape, bottom, weight, bias, top);
  } else {
    // NOLINT_NEXT_LINE(whitespace/operators)
    DepthwiseForward<Dtype, 0><<<CAFFE_GET_BLOCKS(n), CAFFE_CUDA_NUM_THREADS>>>(
        n, shape, bottom, weight, bias, top);
  }
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void depthwise_backward_bottom_gpu(const DepthwiseShape& shape,
    const Dtype* top_diff, const Dtype* weight, Dtype* bottom_diff) {
  const int n = shape.num * shape.channels * shape.height * shape.width;
  const int blocks = CAFFE_GET_BLOCKS(n);
  if (IsThreeByThree(shape)) {
    // NOLINT_NEXT_LINE(whitespace/operators)
    DepthwiseBackwardBottom<Dtype, 3><<<blocks, CAFFE_CUDA_NUM_THREADS>>>(
        n, shape, top_diff, weight, bottom_diff);
  } else {
    // NOLINT_NEXT_LINE(whitespace/operators)
    DepthwiseBackwardBottom<Dtype, 0><<<blocks, CAFFE_CUDA_NUM_THREADS>>>(
        n, shape, top_diff, weight, bottom_diff);
  }
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void depthwise_backward_weight_gpu(const DepthwiseShape& shape,
    const Dtype* bottom, const Dtype* top_diff, Dtype* weight_diff) {
  const int blocks =
      shape.channels * shape.multiplier * shape.kernel_h * shape.kernel_w;
  // NOLINT_NEXT_LINE(whitespace/operators)
  DepthwiseBackwardWeight<Dtype><<<blocks, CAFFE_CUDA_NUM_THREADS>>>(
      shape, bottom, top_diff, weight_diff);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void depthwise_backward_bias_gpu(const DepthwiseShape& shape,
    const Dtype* top_diff, Dtype* bias_diff) {
  const int blocks = shape.channels * shape.multiplier;
  // NOLINT_NEXT_LINE(whitespace/operators)
  DepthwiseBackwardBias<Dtype><<<blocks, CAFFE_CUDA_NUM_THREADS>>>(
      shape, top_diff, bias_diff);
  CUDA_POST_KERNEL_CHECK;
}

#define INSTANTIATE_DEPTHWISE_GPU(Dtype) \
  template void depthwise_forward_gpu<Dtype>(const DepthwiseShape& shape, \
      const Dtype* bottom, const Dtype* weight, const Dtype* bias, \
      Dtype* top); \
  template void depthwise_backward_bottom_gpu<Dtype>( \
      const DepthwiseShape& shape, const Dtype* top_diff, \
      const Dtype* weight, Dtype* bottom_diff); \
  template void depthwise_backward_weight_gpu<Dtype>( \
      const DepthwiseShape& shape, const Dtype* bottom, \
      const Dtype* top_diff, Dtype* weight_diff); \
  template void depthwise_backward_bias_gpu<Dtype>( \
      const DepthwiseShape& shape, const Dtype* top_diff, Dtype* bias_diff)

INSTANTIATE_DEPTHWISE_GPU(float);  // NOLINT(readability/function)
INSTANTIATE_DEPTHWISE_GPU(double);  // NOLINT(readability/function)

}  // namespace caffe
