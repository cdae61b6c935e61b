// Written for caffeflow; BSD-2-Clause.
//
// Work in blocks that do not touch one another, spread over threads, and
// compiled twice: for the plain x86-64 and for AVX2, chosen when running.
#ifndef CAFFE_UTIL_DEPTHWISE_BLOCKS_HPP_
#define CAFFE_UTIL_DEPTHWISE_BLOCKS_HPP_

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

namespace caffe {
namespace depthwise {

// The number that a variable of the environment holds, or 0.
inline int ThreadsByEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::max(0, std::atoi(value)) : 0;
}

inline int UsableCores() {
#ifdef __linux__
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    return CPU_COUNT(&cores);
  }
#endif
  return std::max<int>(1, std::thread::hardware_concurrency());
}

// As many as OpenBLAS takes: what is set for it holds here, too.
inline int MaxThreads() {
  const char* names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"};
  for (int i = 0; i < 2; ++i) {
    const int threads = ThreadsByEnvironment(names[i]);
    if (threads > 0) { return threads; }
  }
  return UsableCores();
}

#if defined(__x86_64__) && !defined(CAFFE_WITHOUT_AVX2)
#define CAFFE_WITH_AVX2

inline bool HasAvx2() {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}

template <typename Worker>
__attribute__((target("avx2,fma"))) void RunBlockAvx2(
    Worker* worker, int block) {
  worker->template Run<32>(block);
}
#endif

template <typename Worker>
void RunBlock(Worker* worker, int block) {
#ifdef CAFFE_WITH_AVX2
  if (HasAvx2()) { return RunBlockAvx2(worker, block); }
#endif
  worker->template Run<16>(block);
}

// A thread's work: with a worker of its own, one block after another, until
// all are taken.
template <typename Worker>
void TakeBlocks(const Worker& model, int num_blocks, std::atomic<int>* next) {
  Worker worker(model);
  for (int i = (*next)++; i < num_blocks; i = (*next)++) {
    RunBlock(&worker, i);
  }
}

// Has all blocks done by copies of a worker, whose Run(block) is compiled for
// the width of registers. Which thread does which block is left to chance: no
// result may depend on it. A thread must be worth its start, so there is one
// for each `kGrain` of `cost`, which counts multiplications.
template <typename Worker>
void RunBlocks(const Worker& model, int num_blocks, double cost) {
  static const int max_threads = MaxThreads();
  const double kGrain = 500000;
  const int num_threads = std::min<double>(
      std::min(max_threads, num_blocks), 1 + cost / kGrain);
  std::atomic<int> next(0);
  std::vector<std::thread> others;
  try {
    while (static_cast<int>(others.size()) + 1 < num_threads) {
      others.push_back(std::thread(TakeBlocks<Worker>, std::cref(model),
          num_blocks, &next));
    }
  } catch (const std::system_error&) {
    // The system gives no more threads; fewer do the same.
  }
  TakeBlocks(model, num_blocks, &next);
  for (int i = 0; i < others.size(); ++i) { others[i].join(); }
}

}  // namespace depthwise
}  // namespace caffe

#endif  // CAFFE_UTIL_DEPTHWISE_BLOCKS_HPP_
