// What CUDA adds to C++, with a meaning on the host, so that kernels run
// under g++ and its sanitizers.
//
// A block's threads are real threads, as __syncthreads needs; blocks follow
// one another, so a __shared__ variable may be a static one. The launch
// `kernel<<<grid, block>>>(...)` is no C++; the tests rewrite it, in a copy of
// the file, to `cuda_on_host::Launch(kernel, grid, block)(...)`.
#ifndef CUDA_ON_HOST_H_
#define CUDA_ON_HOST_H_

#include <pthread.h>

#include <thread>
#include <vector>

#define __global__
#define __device__
#define __shared__ static

namespace cuda_on_host {

struct Index {
  unsigned x;
};

// Counts the launches, so that a test knows that kernels ran at all.
inline int& launches() {
  static int count = 0;
  return count;
}

inline pthread_barrier_t& barrier() {
  static pthread_barrier_t of_the_block;
  return of_the_block;
}

}  // namespace cuda_on_host

static thread_local cuda_on_host::Index threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() {
  pthread_barrier_wait(&cuda_on_host::barrier());
}

#define CUDA_KERNEL_LOOP(i, n) \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); \
       i += blockDim.x * gridDim.x)
#define CUDA_POST_KERNEL_CHECK

namespace cuda_on_host {

template <typename... Params>
struct Launcher {
  void (*kernel)(Params...);
  unsigned grid, block;

  void operator()(Params... params) const {
    ++launches();
    pthread_barrier_init(&barrier(), NULL, block);
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < block; ++thread) {
      threads.emplace_back([=] {
        blockDim.x = block;
        gridDim.x = grid;
        threadIdx.x = thread;
        for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
          kernel(params...);
          __syncthreads();
        }
      });
    }
    for (std::thread& thread : threads) { thread.join(); }
    pthread_barrier_destroy(&barrier());
  }
};

template <typename... Params>
Launcher<Params...> Launch(void (*kernel)(Params...), int grid, int block) {
  return Launcher<Params...>{kernel, static_cast<unsigned>(grid),
                             static_cast<unsigned>(block)};
}

}  // namespace cuda_on_host

namespace caffe {

// Few threads and fewer blocks than there is work for, so that kernels loop.
const int CAFFE_CUDA_NUM_THREADS = 8;

inline int CAFFE_GET_BLOCKS(const int n) {
  const int blocks = (n + CAFFE_CUDA_NUM_THREADS - 1) / CAFFE_CUDA_NUM_THREADS;
  return blocks < 3 ? blocks : 3;
}

}  // namespace caffe

#endif  // CUDA_ON_HOST_H_
