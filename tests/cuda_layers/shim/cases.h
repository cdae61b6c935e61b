// How a driver gets its cases and gives back what a layer made of them: whole
// numbers and arrays of doubles, each list with its length before it.
#ifndef CASES_H_
#define CASES_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <vector>

#include "caffe_stand_in.h"

struct Case {
  std::vector<std::int64_t> settings;
  std::vector<std::vector<double> > arrays;
};

template <typename Value>
std::vector<Value> ReadList(std::istream& in) {
  std::int64_t count = 0;
  in.read(reinterpret_cast<char*>(&count), sizeof(count));
  std::vector<Value> values(in ? count : 0);
  in.read(reinterpret_cast<char*>(values.data()),
          values.size() * sizeof(Value));
  return values;
}

inline bool ReadCase(std::istream& in, Case* next) {
  if (in.peek() == EOF) { return false; }
  next->settings = ReadList<std::int64_t>(in);
  next->arrays.clear();
  const std::vector<std::int64_t> count = ReadList<std::int64_t>(in);
  for (int i = 0; i < count.at(0); ++i) {
    next->arrays.push_back(ReadList<double>(in));
  }
  return true;
}

template <typename Dtype>
void WriteArray(std::ostream& out, const Dtype* values, std::int64_t count) {
  out.write(reinterpret_cast<const char*>(&count), sizeof(count));
  const std::vector<double> doubles(values, values + count);
  out.write(reinterpret_cast<const char*>(doubles.data()),
            count * sizeof(double));
}

template <typename Dtype>
void CopyTo(const std::vector<double>& values, Dtype* to) {
  std::copy(values.begin(), values.end(), to);
}

// What a layer must overwrite: whatever is left of it shows.
template <typename Dtype>
void Spoil(Dtype* values, int count) {
  std::fill(values, values + count, std::numeric_limits<Dtype>::quiet_NaN());
}

#endif  // CASES_H_
