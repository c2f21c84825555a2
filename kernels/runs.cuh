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

// The same, and the last run isn't cut.
template <typename T>
__device__ __forceinline__ bool isWhole(const T* row, int columns) {
  return isWide(row) && columns % RUN == 0;
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

template <typename T>
__device__ __forceinline__ Run<T> zeroRun() {
  Run<T> run;
#pragma unroll
  for (int i = 0; i < RUN / 2; ++i) {
    run.pairs[i] = both<T>(0);
  }
  return run;
}

// Where codes of `width` bits go. The codes of a run are two words of four codes each, the first in
// the lowest bits.

// Whether all codes of a run can be stored at once.
__device__ __forceinline__ bool isWideForCodes(const uint8_t* row, int width) {
  return isAligned(row, width & -width);
}

// Eight codes, to a place that is wide for them.
__device__ __forceinline__ void storeWholeCodes(uint8_t* target, int width, uint2 codes) {
  if (width == 8) {
    *reinterpret_cast<uint2*>(target) = codes;
  } else if (width == 4) {
    *reinterpret_cast<uint32_t*>(target) = codes.x | codes.y << 16;
  } else {
    uint64_t bits = codes.x | static_cast<uint64_t>(codes.y) << (4 * width);
    if (width % 2 == 0) {
#pragma unroll 1
      for (int i = 0; i < width; i += 2) {
        *reinterpret_cast<uint16_t*>(target + i) = static_cast<uint16_t>(bits);
        bits >>= 16;
      }
    } else {
#pragma unroll 1
      for (int i = 0; i < width; ++i) {
        target[i] = static_cast<uint8_t>(bits);
        bits >>= 8;
      }
    }
  }
}

// A row of codes.
struct CodeRow {
  uint8_t* bytes;
  int size;  // in bytes; what no code takes of them is 0
  int width;

  __device__ __forceinline__ uint8_t* at(int column) const {
    return bytes + static_cast<uint32_t>(column) / RUN * width;
  }

  // Whether codes can be stored a whole run at a time, and leave nothing of the row.
  __device__ __forceinline__ bool isWhole(int columns) const {
    return isWideForCodes(bytes, width) && i64{size} * 8 == i64{columns} * width;
  }

  // The first `count` codes of a run; if it is the row's last, also what is left of the row.
  __device__ __forceinline__ void store(int column, int count, bool last, uint2 codes) const {
    uint64_t bits = codes.x | static_cast<uint64_t>(codes.y) << (4 * width);
    if (count < RUN) {
      bits &= (1ull << (count * width)) - 1;
    }
    uint8_t* target = at(column);
    uint8_t* const end = last ? bytes + size : target + width;
#pragma unroll 1
    for (; target < end; ++target) {
      *target = static_cast<uint8_t>(bits);
      bits >>= 8;
    }
  }
};

}  // namespace quench
