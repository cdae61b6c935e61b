# The GPUs that the CUDA at hand builds for. Needs CUDA_VERSION.
#
# One architecture of each major kind, since a binary runs on the later GPUs of
# its kind too; GPUs of kinds yet to come run the PTX of the newest one.

if(CUDA_VERSION VERSION_LESS "8.0")
  set(Caffe_known_gpu_archs "20 21(20) 30 35 50")
elseif(CUDA_VERSION VERSION_LESS "9.0")
  set(Caffe_known_gpu_archs "20 21(20) 30 35 50 60 61")
elseif(CUDA_VERSION VERSION_LESS "10.0")
  set(Caffe_known_gpu_archs "30 35 50 60 61 70")
elseif(CUDA_VERSION VERSION_LESS "11.0")
  set(Caffe_known_gpu_archs "30 35 50 60 61 70 75")
elseif(CUDA_VERSION VERSION_LESS "11.8")
  set(Caffe_known_gpu_archs "35 50 60 61 70 75 80")
elseif(CUDA_VERSION VERSION_LESS "12.0")
  set(Caffe_known_gpu_archs "35 50 60 61 70 75 80 90")
elseif(CUDA_VERSION VERSION_LESS "12.8")
  set(Caffe_known_gpu_archs "50 60 61 70 75 80 90")
elseif(CUDA_VERSION VERSION_LESS "13.0")
  set(Caffe_known_gpu_archs "50 60 61 70 75 80 90 100 120")
else()
  set(Caffe_known_gpu_archs "75 80 90 100 120")
endif()

string(REGEX MATCH "[0-9]+$" Caffe_newest_gpu_arch "${Caffe_known_gpu_archs}")
