// Runs: eight neighbouring elements of a row, which one thread handles. A run starts at a multiple
// of eight from where its row starts, so eight codes of b bits are b whole bytes; the last run of a
// row may be cut.
#pragma once

#include "arithmetic.cuh"

namespace quench {

constexpr int RUN = 8;

// Runs that a thread has in hand at once: their loads overlap, and they share the work of finding a
// scale.
constexpr int RUNS = 4;

// Elements in the run that starts at `column`, of a row or block that ends at `end`.
__device__ __forceinline__ int runLength(int column, int end) {
  return max(0, min(RUN, end - column));
}

// Whether runs of a row can be loaded and stored 16 bytes at a time.
template <typename T>
__device__ __forceinline__ bool isWide(const T* row) {
  return isAligned(row, 16);
}

template <typename T>
struct Run {
  Pair<T> pairs[RUN / 2];
};

// All eight elements, of a row that is wide.
template <typename T>
__device__ __forceinline__ Run<T> loadWholeRun(const T* __restrict__ x) {
  Run<T> run;
#pragma unroll
  for (int i = 0; i < RUN / 2; i += 16 / sizeof(Pair<T>)) {
    const uint4 words = __ldg(reinterpret_cast<const uint4*>(x + 2 * i));
    memcpy(&run.pairs[i], &words, 16);
  }
  return run;
}

// The first `count` elements; the others are 0.
template <typename T>
__device__ __forceinline__ Run<T> loadCutRun(const T* __restrict__ x, int count) {
  Run<T> run;
  const T zero = fromFloat<T>(0);
#pragma unroll
  for (int i = 0; i < RUN / 2; ++i) {
    const T first = 2 * i < count ? x[2 * i] : zero;
    const T second = 2 * i + 1 < count ? x[2 * i + 1] : zero;
    run.pairs[i] = pairOf(first, second);
  }
  return run;
}

template <typename T>
__device__ __forceinline__ Run<T> loadRun(const T* __restrict__ x, int count, bool wide) {
  return wide && count == RUN ? loadWholeRun(x) : loadCutRun(x, count);
}

template <typename T>
__device__ __forceinline__ void storeWholeRun(T* x, const Run<T>& run) {
#pragma unroll
  for (int i = 0; i < RUN / 2; i += 16 / sizeof(Pair<T>)) {
    uint4 words;
    memcpy(&words, &run.pairs[i], 16);
    *reinterpret_cast<uint4*>(x + 2 * i) = words;
  }
}

// Bytes of a row of codes, of which each has `width` bits. The codes of a run are two words of four
// codes each, the first in the lowest bits.
struct CodeRow {
  uint8_t* bytes;
  int size;   // bytes of the row; what no code takes of them is 0
  int width;
  bool wide;  // the row is aligned for storing as many bytes at once as a run's codes allow

  __device__ __forceinline__ CodeRow(uint8_t* bytes, int size, int width)
      : bytes(bytes), size(size), width(width), wide(isAligned(bytes, width & -width)) {}

  // All eight codes from `column` on; more columns follow, or the row ends with a whole word.
  __device__ __forceinline__ void store(int column, uint2 codes) const {
    uint8_t* target = bytes + static_cast<uint32_t>(column) / RUN * width;
    if (width == 8) {
      *reinterpret_cast<uint2*>(target) = codes;
    } else if (width == 4) {
      *reinterpret_cast<uint32_t*>(target) = codes.x | codes.y << 16;
    } else {
      storeBytes(target, width, joined(codes));
    }
  }

  // The first `count` codes from `column` on; if it is the last run, also what is left of the row.
  __device__ __forceinline__ void store(int column, int count, bool last, uint2 codes) const {
    const int at = static_cast<uint32_t>(column) / RUN * width;
    const uint64_t bits = joined(codes);
    const uint64_t kept = count == RUN ? bits : bits & ((1ull << (count * width)) - 1);
    storeBytes(bytes + at, last ? size - at : width, kept);
  }

 private:
  __device__ __forceinline__ uint64_t joined(uint2 codes) const {
    return codes.x | static_cast<uint64_t>(codes.y) << (4 * width);
  }

  // What lies beyond the eighth byte is 0.
  __device__ __forceinline__ static void storeBytes(uint8_t* target, int count, uint64_t value) {
#pragma unroll 1
    for (int i = 0; i < count; ++i) {
      target[i] = static_cast<uint8_t>(value);
      value >>= 8;
    }
  }
};

}  // namespace quench
