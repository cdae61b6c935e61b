#ifndef CAFFE_UTIL_DEVICE_ATTRIBUTES_H_
#define CAFFE_UTIL_DEVICE_ATTRIBUTES_H_
#ifndef CPU_ONLY

#include "caffe/common.hpp"

namespace caffe {

// What CUDA 13 took out of cudaDeviceProp, asked of the device in use.

inline int DeviceAttribute(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  CUDA_CHECK(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}

// In kHz.
inline int DeviceClockRate() { return DeviceAttribute(cudaDevAttrClockRate); }

// Whether it copies memory while a kernel runs.
inline bool DeviceOverlaps() {
  return DeviceAttribute(cudaDevAttrGpuOverlap) != 0;
}

// Whether kernels that run for long are killed.
inline bool DeviceHasTimeout() {
  return DeviceAttribute(cudaDevAttrKernelExecTimeout) != 0;
}

}  // namespace caffe

#endif  // CPU_ONLY
#endif  // CAFFE_UTIL_DEVICE_ATTRIBUTES_H_
