// Written for caffeflow; BSD-2-Clause.
//
// The inner loops of depthwise convolutions on a CPU. They are written with
// the compiler's vector types, because g++ -O2 leaves plain loops scalar, and
// compiled twice: for the plain x86-64 and for AVX2, chosen when running.
#ifndef CAFFE_UTIL_DEPTHWISE_ROWS_HPP_
#define CAFFE_UTIL_DEPTHWISE_ROWS_HPP_

#include <algorithm>
#include <cstring>
#include <vector>

#define CAFFE_INLINE inline __attribute__((always_inline))

namespace caffe {
namespace depthwise {

// Buffers are wide enough to be read in whole steps.
template <typename Dtype>
struct Step {
  static const int kLanes = 64 / sizeof(Dtype);

  static int RoundUp(int count) {
    return (count + kLanes - 1) / kLanes * kLanes;
  }
};

// As many values as one register holds.
template <typename Dtype, int kBytes>
struct Pack {
  static const int kLanes = kBytes / sizeof(Dtype);
  typedef Dtype Type __attribute__((vector_size(kBytes)));

  static CAFFE_INLINE void Load(const Dtype* from, Type* pack) {
    std::memcpy(pack, from, kBytes);  // NOLINT(caffe/alt_fn)
  }
  static CAFFE_INLINE void Store(const Type& pack, Dtype* to) {
    std::memcpy(to, &pack, kBytes);  // NOLINT(caffe/alt_fn)
  }
};

// The taps of a sum: where the row of each begins, and where in the filter
// its weight is. They are the same for every plane, so made once.
struct Taps {
  std::vector<int> offsets;
  std::vector<int> places;

  void Add(int offset, int place) {
    offsets.push_back(offset);
    places.push_back(place);
  }
};

// kTaps is the number of taps where it is known when compiling, else 0.
template <typename Dtype, int kBytes, int kPacks, int kTaps>
CAFFE_INLINE void SumPacks(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int count, Dtype* sums) {
  typedef Pack<Dtype, kBytes> PackOf;
  typedef typename PackOf::Type PackType;
  const int kLanes = PackOf::kLanes;
  const int num_taps = kTaps ? kTaps : taps.offsets.size();
  PackType packs[kPacks];
  for (int j = 0; j < kPacks; ++j) { packs[j] = PackType() + initial; }
#pragma GCC unroll 9
  for (int t = 0; t < num_taps; ++t) {
    const Dtype* row = from + taps.offsets[t];
    const PackType weight = PackType() + filter[taps.places[t]];
    for (int j = 0; j < kPacks; ++j) {
      PackType values;
      PackOf::Load(row + j * kLanes, &values);
      packs[j] += weight * values;
    }
  }
  Dtype end[kPacks * PackOf::kLanes];
  Dtype* to = count >= kPacks * kLanes ? sums : end;
  for (int j = 0; j < kPacks; ++j) { PackOf::Store(packs[j], to + j * kLanes); }
  if (to == end) { std::copy(end, end + count, sums); }
}

template <typename Dtype, int kBytes, int kTaps>
CAFFE_INLINE void SumRow(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int count, Dtype* sums) {
  const int kLanes = Pack<Dtype, kBytes>::kLanes;
  int i = 0;
  for (; count - i > kLanes; i += 2 * kLanes) {
    SumPacks<Dtype, kBytes, 2, kTaps>(
        from + i, taps, filter, initial, count - i, sums + i);
  }
  if (i < count) {
    SumPacks<Dtype, kBytes, 1, kTaps>(
        from + i, taps, filter, initial, count - i, sums + i);
  }
}

template <typename Dtype, int kBytes>
CAFFE_INLINE void SumTapsWith(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int count, Dtype* sums) {
  if (taps.offsets.size() == 9) {
    SumRow<Dtype, kBytes, 9>(from, taps, filter, initial, count, sums);
  } else {
    SumRow<Dtype, kBytes, 0>(from, taps, filter, initial, count, sums);
  }
}

template <typename Dtype, int kBytes, int kTaps>
CAFFE_INLINE void AddRow(const Dtype* from, const Taps& taps,
    const Dtype* row, int count, Dtype* sums) {
  typedef Pack<Dtype, kBytes> PackOf;
  typedef typename PackOf::Type PackType;
  const int kWidth = Step<Dtype>::kLanes;
  PackType packs[kTaps];
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; ++t) {
    PackOf::Load(sums + t * kWidth, &packs[t]);
  }
  for (int i = 0; i < count; i += PackOf::kLanes) {
    PackType diff, values;
    PackOf::Load(row + i, &diff);
#pragma GCC unroll 9
    for (int t = 0; t < kTaps; ++t) {
      PackOf::Load(from + taps.offsets[t] + i, &values);
      packs[t] += diff * values;
    }
  }
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; ++t) {
    PackOf::Store(packs[t], sums + t * kWidth);
  }
}

template <typename Dtype, int kBytes>
CAFFE_INLINE void AddProductsWith(const Dtype* from, const Taps& taps,
    const Dtype* row, int count, Dtype* sums) {
  if (taps.offsets.size() == 9) {
    AddRow<Dtype, kBytes, 9>(from, taps, row, count, sums);
    return;
  }
  Taps one;
  one.Add(0, 0);
  for (int t = 0; t < taps.offsets.size(); ++t) {
    AddRow<Dtype, kBytes, 1>(from + taps.offsets[t], one, row, count,
        sums + t * Step<Dtype>::kLanes);
  }
}

#if defined(__x86_64__) && !defined(CAFFE_WITHOUT_AVX2)
inline bool HasAvx2() {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}

template <typename Dtype>
__attribute__((target("avx2,fma"))) void SumTapsAvx2(const Dtype* from,
    const Taps& taps, const Dtype* filter, Dtype initial, int count,
    Dtype* sums) {
  SumTapsWith<Dtype, 32>(from, taps, filter, initial, count, sums);
}

template <typename Dtype>
__attribute__((target("avx2,fma"))) void AddProductsAvx2(const Dtype* from,
    const Taps& taps, const Dtype* row, int count, Dtype* sums) {
  AddProductsWith<Dtype, 32>(from, taps, row, count, sums);
}
#endif

// sums[i] = initial + sum over the taps of filter[place] * from[offset + i].
template <typename Dtype>
void SumTaps(const Dtype* from, const Taps& taps, const Dtype* filter,
    Dtype initial, int count, Dtype* sums) {
#if defined(__x86_64__) && !defined(CAFFE_WITHOUT_AVX2)
  if (HasAvx2()) {
    return SumTapsAvx2(from, taps, filter, initial, count, sums);
  }
#endif
  SumTapsWith<Dtype, 16>(from, taps, filter, initial, count, sums);
}

// Adds row[i] * from[offset + i] to the partial sums of each tap, a step of
// them for each. `row` ends in zeros up to a whole step.
template <typename Dtype>
void AddProducts(const Dtype* from, const Taps& taps, const Dtype* row,
    int count, Dtype* sums) {
#if defined(__x86_64__) && !defined(CAFFE_WITHOUT_AVX2)
  if (HasAvx2()) { return AddProductsAvx2(from, taps, row, count, sums); }
#endif
  AddProductsWith<Dtype, 16>(from, taps, row, count, sums);
}

// Which values of two packs have an even place.
template <typename Dtype>
struct Evens {
  typedef int Mask __attribute__((vector_size(16)));
  static Mask All() {
    const Mask places = {0, 2, 4, 6};
    return places;
  }
};
template <>
struct Evens<double> {
  typedef long long Mask __attribute__((vector_size(16)));  // NOLINT
  static Mask All() {
    const Mask places = {0, 2};
    return places;
  }
};

// to[i] = from[i * stride]
template <typename Dtype>
void Gather(const Dtype* from, int stride, int count, Dtype* to) {
  if (stride == 1) {
    std::copy(from, from + count, to);
    return;
  }
  int i = 0;
#ifndef __clang__
  typedef Pack<Dtype, 16> PackOf;
  // One value more must be there, since both packs are read whole.
  for (; stride == 2 && i + PackOf::kLanes < count; i += PackOf::kLanes) {
    typename PackOf::Type first, second;
    PackOf::Load(from + 2 * i, &first);
    PackOf::Load(from + 2 * i + PackOf::kLanes, &second);
    PackOf::Store(
        __builtin_shuffle(first, second, Evens<Dtype>::All()), to + i);
  }
#endif
  for (; i < count; ++i) { to[i] = from[i * stride]; }
}

}  // namespace depthwise
}  // namespace caffe

#endif  // CAFFE_UTIL_DEPTHWISE_ROWS_HPP_
