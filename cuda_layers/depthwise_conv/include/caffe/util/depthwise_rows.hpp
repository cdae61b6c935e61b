// Written for caffeflow; BSD-2-Clause.
//
// The inner loops of depthwise convolutions on a CPU, a row at a time. They
// are written with the compiler's vector types, kBytes of them at once, since
// trees are compiled for the plain x86-64, and g++ -O2 leaves loops scalar.
// All is inlined into a caller that may be compiled for a newer processor.
#ifndef CAFFE_UTIL_DEPTHWISE_ROWS_HPP_
#define CAFFE_UTIL_DEPTHWISE_ROWS_HPP_

#include <cstring>
#include <vector>

#define CAFFE_INLINE inline __attribute__((always_inline))

namespace caffe {
namespace depthwise {

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

// The most values in a pack. Buffers have room for whole packs at their ends.
template <typename Dtype>
struct Widest {
  static const int kLanes = 32 / sizeof(Dtype);

  static int RoundUp(int count) {
    return (count + kLanes - 1) / kLanes * kLanes;
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

// Sums of kPacks packs side by side, so that none waits for another.
template <typename Dtype, int kBytes, int kPacks, int kTaps>
CAFFE_INLINE void SumPacks(const Dtype* const* rows, int at,
    const typename Pack<Dtype, kBytes>::Type* weights, Dtype initial,
    Dtype* sums) {
  typedef Pack<Dtype, kBytes> PackOf;
  typename PackOf::Type packs[kPacks], values;
#pragma GCC unroll 4
  for (int j = 0; j < kPacks; ++j) {
    packs[j] = typename PackOf::Type() + initial;
  }
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; ++t) {
#pragma GCC unroll 4
    for (int j = 0; j < kPacks; ++j) {
      PackOf::Load(rows[t] + at + j * PackOf::kLanes, &values);
      packs[j] += weights[t] * values;
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kPacks; ++j) {
    PackOf::Store(packs[j], sums + at + j * PackOf::kLanes);
  }
}

// A row of sums over taps whose number is known when compiling: their weights
// stay in registers.
template <typename Dtype, int kBytes, int kTaps>
CAFFE_INLINE void SumRowOf(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int count, Dtype* sums) {
  typedef Pack<Dtype, kBytes> PackOf;
  const int kLanes = PackOf::kLanes;
  const Dtype* rows[kTaps];
  typename PackOf::Type weights[kTaps];
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; ++t) {
    rows[t] = from + taps.offsets[t];
    weights[t] = typename PackOf::Type() + filter[taps.places[t]];
  }
  int i = 0;
  for (; i + 3 * kLanes < count; i += 4 * kLanes) {
    SumPacks<Dtype, kBytes, 4, kTaps>(rows, i, weights, initial, sums);
  }
  for (; i + kLanes < count; i += 2 * kLanes) {
    SumPacks<Dtype, kBytes, 2, kTaps>(rows, i, weights, initial, sums);
  }
  if (i < count) {
    SumPacks<Dtype, kBytes, 1, kTaps>(rows, i, weights, initial, sums);
  }
}

// The same of any number of taps.
template <typename Dtype, int kBytes>
CAFFE_INLINE void SumRowOfAny(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int count, Dtype* sums) {
  typedef Pack<Dtype, kBytes> PackOf;
  const int num_taps = taps.offsets.size();
  for (int i = 0; i < count; i += PackOf::kLanes) {
    typename PackOf::Type pack = typename PackOf::Type() + initial, values;
    for (int t = 0; t < num_taps; ++t) {
      PackOf::Load(from + taps.offsets[t] + i, &values);
      pack += filter[taps.places[t]] * values;
    }
    PackOf::Store(pack, sums + i);
  }
}

// sums[i] = initial + sum over the taps of filter[place] * from[offset + i].
// `sums` is written in whole packs.
template <typename Dtype, int kBytes>
CAFFE_INLINE void SumRow(const Dtype* from, const Taps& taps,
    const Dtype* filter, Dtype initial, int count, Dtype* sums) {
  switch (taps.offsets.size()) {
  case 9:  // 3 x 3; the others are its parts where the stride is 2
    return SumRowOf<Dtype, kBytes, 9>(
        from, taps, filter, initial, count, sums);
  case 4:
    return SumRowOf<Dtype, kBytes, 4>(
        from, taps, filter, initial, count, sums);
  case 2:
    return SumRowOf<Dtype, kBytes, 2>(
        from, taps, filter, initial, count, sums);
  case 1:
    return SumRowOf<Dtype, kBytes, 1>(
        from, taps, filter, initial, count, sums);
  default:
    return SumRowOfAny<Dtype, kBytes>(
        from, taps, filter, initial, count, sums);
  }
}

// Two arrays of rows to multiply; `width` is that of `right`, whose rows end
// in zeros up to a whole pack.
template <typename Dtype>
struct RowPairs {
  const Dtype* left;
  int left_step;
  const Dtype* right;
  int right_step;
  int count;
  int width;
};

template <typename Dtype, int kBytes, int kTaps>
CAFFE_INLINE void AddProductsOf(const RowPairs<Dtype>& rows,
    const int* offsets, Dtype* sums) {
  typedef Pack<Dtype, kBytes> PackOf;
  const int kWidest = Widest<Dtype>::kLanes;
  typename PackOf::Type packs[kTaps], left, right;
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; ++t) {
    PackOf::Load(sums + t * kWidest, &packs[t]);
  }
  for (int row = 0; row < rows.count; ++row) {
    const Dtype* from = rows.left + row * rows.left_step;
    for (int i = 0; i < rows.width; i += PackOf::kLanes) {
      PackOf::Load(rows.right + row * rows.right_step + i, &right);
#pragma GCC unroll 9
      for (int t = 0; t < kTaps; ++t) {
        PackOf::Load(from + offsets[t] + i, &left);
        packs[t] += left * right;
      }
    }
  }
#pragma GCC unroll 9
  for (int t = 0; t < kTaps; ++t) {
    PackOf::Store(packs[t], sums + t * kWidest);
  }
}

// Adds left[offset + i] * right[i] of all rows to the partial sums of each
// tap, a widest pack of them for each.
template <typename Dtype, int kBytes>
CAFFE_INLINE void AddProducts(const RowPairs<Dtype>& rows, const Taps& taps,
    Dtype* sums) {
  const int kWidest = Widest<Dtype>::kLanes;
  const int num_taps = taps.offsets.size();
  int t = 0;
  for (; t + 9 <= num_taps; t += 9) {
    AddProductsOf<Dtype, kBytes, 9>(
        rows, &taps.offsets[t], sums + t * kWidest);
  }
  for (; t < num_taps; ++t) {
    AddProductsOf<Dtype, kBytes, 1>(
        rows, &taps.offsets[t], sums + t * kWidest);
  }
}

// to[i] = from[i]. A call of memcpy takes longer than a short row does here.
template <typename Dtype, int kBytes>
CAFFE_INLINE void CopyRow(const Dtype* from, int count, Dtype* to) {
  typedef Pack<Dtype, kBytes> PackOf;
  typename PackOf::Type pack;
  int i = 0;
  for (; i + PackOf::kLanes <= count; i += PackOf::kLanes) {
    PackOf::Load(from + i, &pack);
    PackOf::Store(pack, to + i);
  }
  // What is left is less than a pack: the bits of its length say how much.
#pragma GCC unroll 4
  for (int lanes = PackOf::kLanes / 2; lanes > 0; lanes /= 2) {
    if (((count - i) & lanes) == 0) { continue; }
    std::memcpy(to + i, from + i,  // NOLINT(caffe/alt_fn)
        lanes * sizeof(Dtype));
    i += lanes;
  }
}

// A shuffle of two packs takes lane i of the first by i, of the second by
// kLanes + i.
template <typename Dtype>
struct Shuffle {
  typedef int Lanes __attribute__((vector_size(16)));
};
template <>
struct Shuffle<double> {
  typedef long long Lanes __attribute__((vector_size(16)));  // NOLINT
};

// The even values of two packs, or from 1 on the odd ones.
template <typename Dtype>
CAFFE_INLINE typename Shuffle<Dtype>::Lanes EverySecond(int from) {
  typename Shuffle<Dtype>::Lanes lanes;
#pragma GCC unroll 4
  for (int i = 0; i < Pack<Dtype, 16>::kLanes; ++i) { lanes[i] = 2 * i + from; }
  return lanes;
}

// The values of two packs by turns, beginning with the `from`th of each.
template <typename Dtype>
CAFFE_INLINE typename Shuffle<Dtype>::Lanes ByTurns(int from) {
  const int kLanes = Pack<Dtype, 16>::kLanes;
  typename Shuffle<Dtype>::Lanes lanes;
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; ++i) {
    lanes[i] = from + i / 2 + i % 2 * kLanes;
  }
  return lanes;
}

// to[j][i] = from[i * 2 + j], over `count` values.
template <typename Dtype>
CAFFE_INLINE void SplitInTwo(const Dtype* from, int count, Dtype* const* to) {
  int i = 0;
#ifndef __clang__
  typedef Pack<Dtype, 16> PackOf;
  typename PackOf::Type low, high;
  for (; 2 * (i + PackOf::kLanes) <= count; i += PackOf::kLanes) {
    PackOf::Load(from + 2 * i, &low);
    PackOf::Load(from + 2 * i + PackOf::kLanes, &high);
    PackOf::Store(__builtin_shuffle(low, high, EverySecond<Dtype>(0)),
        to[0] + i);
    PackOf::Store(__builtin_shuffle(low, high, EverySecond<Dtype>(1)),
        to[1] + i);
  }
#endif
  for (int j = 2 * i; j < count; ++j) { to[j % 2][j / 2] = from[j]; }
}

// to[i * 2 + j] = from[j][i], over `count` values.
template <typename Dtype>
CAFFE_INLINE void MergeTwo(const Dtype* const* from, int count, Dtype* to) {
  int i = 0;
#ifndef __clang__
  typedef Pack<Dtype, 16> PackOf;
  typename PackOf::Type even, odd;
  for (; 2 * (i + PackOf::kLanes) <= count; i += PackOf::kLanes) {
    PackOf::Load(from[0] + i, &even);
    PackOf::Load(from[1] + i, &odd);
    const int kHalf = PackOf::kLanes / 2;
    PackOf::Store(__builtin_shuffle(even, odd, ByTurns<Dtype>(0)),
        to + 2 * i);
    PackOf::Store(__builtin_shuffle(even, odd, ByTurns<Dtype>(kHalf)),
        to + 2 * i + PackOf::kLanes);
  }
#endif
  for (int j = 2 * i; j < count; ++j) { to[j] = from[j % 2][j / 2]; }
}

}  // namespace depthwise
}  // namespace caffe

#endif  // CAFFE_UTIL_DEPTHWISE_ROWS_HPP_
