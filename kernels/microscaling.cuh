// Rounding in the formats of small groups: NVFP4, MXFP4 and MXFP8. microscaling.cu has the contracts
// of the kernels.
#pragma once

#include "elements.cuh"
#include "scales.cuh"
#include "tiles.cuh"

namespace quench {

// Neighbouring elements that a lane takes: one or two groups.
constexpr int SPAN = RUNS * RUN;

// E2M1 codes, groups of 16, E4M3 scales that are divided by a global scale; arithmetic in float.
template <typename T>
struct Nvfp4 {
  static constexpr int GROUP = 16;
  using Codes = E2m1Codes;
  using Divide = WideDivisor<T>;
  float globalScale;

  __device__ __forceinline__ static Codes codes(bool packed) { return Codes(packed); }
  __device__ __forceinline__ static Levels levels() { return {-6, 6, true}; }
  __device__ __forceinline__ static float valueOf(uint32_t code) { return e2m1Value(code); }
  __device__ __forceinline__ uint32_t scaleOf(float magnitude) const {
    return e4m3ScaleOf<T>(magnitude, 6, globalScale);
  }
  __device__ __forceinline__ float scaleValue(uint32_t scale) const {
    return e4m3Value(scale) / globalScale;
  }
};

// E2M1 codes, groups of 32, E8M0 scales; arithmetic in the dtype of the elements.
template <typename T>
struct Mxfp4 {
  static constexpr int GROUP = 32;
  using Codes = E2m1Codes;
  using Divide = PowerDivisor<T>;
  float globalScale;  // 1

  __device__ __forceinline__ static Codes codes(bool packed) { return Codes(packed); }
  __device__ __forceinline__ static Levels levels() { return {-6, 6, true}; }
  __device__ __forceinline__ static float valueOf(uint32_t code) { return e2m1Value(code); }
  __device__ __forceinline__ static uint32_t scaleOf(float magnitude) {
    return powerOf<T>(magnitude, 2);
  }
  __device__ __forceinline__ static float scaleValue(uint32_t scale) { return e8m0Value(scale); }
};

// The same with E4M3 codes.
template <typename T>
struct Mxfp8 {
  static constexpr int GROUP = 32;
  using Codes = FloatCodes;
  using Divide = PowerDivisor<T>;
  float globalScale;  // 1

  __device__ __forceinline__ static Codes codes(bool) { return Codes(); }
  __device__ __forceinline__ static Levels levels() { return {-448, 448, true}; }
  __device__ __forceinline__ static float valueOf(uint32_t code) { return e4m3Value(code); }
  __device__ __forceinline__ static uint32_t scaleOf(float magnitude) {
    return powerOf<T>(magnitude, 8);
  }
  __device__ __forceinline__ static float scaleValue(uint32_t scale) { return e8m0Value(scale); }
};

// The runs of a group, from `column` on, of the row that x starts.
template <typename T, int kRuns>
__device__ __forceinline__ void loadGroup(Run<T> (&runs)[kRuns], const T* __restrict__ x,
                                          int column, int columns, bool whole) {
#pragma unroll
  for (int k = 0; k < kRuns; ++k) {
    const int at = column + k * RUN;
    if (whole) {
      runs[k] = at < columns ? loadWholeRun(x + at) : zeroRun<T>();
    } else {
      runs[k] = loadCutRun(x + at, runLength(at, columns));
    }
  }
}

template <typename T, int kRuns>
__device__ __forceinline__ Pair<T> largestOf(const Run<T> (&runs)[kRuns]) {
  Range<T> range;
#pragma unroll
  for (int k = 0; k < kRuns; ++k) {
    range.add(runs[k]);
  }
  return keyOf(range);
}

// Codes of a whole group to a place that is aligned to their size.
template <int kRuns>
__device__ __forceinline__ void storeGroup(uint8_t* target, int width,
                                           const uint2 (&codes)[kRuns]) {
  uint32_t words[2 * kRuns];
  if (width == 4) {
    uint32_t halves[kRuns];
#pragma unroll
    for (int k = 0; k < kRuns; ++k) {
      halves[k] = codes[k].x | codes[k].y << 16;
    }
    storeWords(target, halves);
  } else {
#pragma unroll
    for (int k = 0; k < kRuns; ++k) {
      words[2 * k] = codes[k].x;
      words[2 * k + 1] = codes[k].y;
    }
    storeWords(target, words);
  }
}

// Codes of the group from `column` on. `whole`: groups of this row can be stored at once.
template <typename T, typename Rounder, int kRuns>
__device__ __forceinline__ void roundGroup(const Run<T> (&runs)[kRuns], Pair<T> key,
                                           const Rounder& rounder, const T* __restrict__ x,
                                           int column, int columns, CodeRow row, bool whole) {
  constexpr int GROUP = kRuns * RUN;
  if (whole && column + GROUP <= columns && rounder.isUsual && isModerate(key)) {
    uint2 codes[kRuns];
#pragma unroll
    for (int k = 0; k < kRuns; ++k) {
      codes[k] = rounder.codesOfRun(runs[k]);
    }
    storeGroup(row.at(column), row.width, codes);
  } else {
#pragma unroll 1
    for (int k = 0; k < kRuns; ++k) {
      const int at = column + k * RUN;
      const int count = runLength(at, columns);
      if (count > 0) {
        row.store(at, count, at + RUN >= columns, rounder.codesOfAny(x + at, count));
      }
    }
  }
}

// Whether groups of a row can be loaded and stored at once.
template <int kGroup, typename T>
__device__ __forceinline__ bool hasWholeGroups(const T* x, int columns, CodeRow row) {
  return isWhole(x, columns) && isAligned(row.bytes, ::min(kGroup * row.width / 8, 16));
}

// A lane's first column.
__device__ __forceinline__ int spanOf(int chunk) {
  return chunk * CHUNK + static_cast<int>(threadIdx.x % 32) * SPAN;
}

template <typename Format, typename T>
__device__ __forceinline__ void nearestSpans(const T* __restrict__ x, i64 xStride, i64 rows,
                                             int columns, Format format, uint8_t* scale,
                                             i64 scaleStride, i8* zeroPoint, i64 zeroPointStride,
                                             uint8_t* target, i64 targetStride, int targetBytes,
                                             bool packed, int warpsLog) {
  constexpr int GROUP = Format::GROUP;
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const auto codes = Format::codes(packed);
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  const bool whole = hasWholeGroups<GROUP>(x, columns, row);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
#pragma unroll
    for (int column = spanOf(chunk), i = 0; i < SPAN / GROUP; ++i, column += GROUP) {
      if (column >= columns) {
        break;
      }
      Run<T> runs[GROUP / RUN];
      loadGroup(runs, x, column, columns, whole);
      const Pair<T> key = largestOf<T>(runs);
      const float2 ends = widen(key);
      const uint32_t scaleCode = format.scaleOf(larger(ends.x, ends.y));
      scale[column / GROUP] = static_cast<uint8_t>(scaleCode);
      zeroPoint[column / GROUP] = 0;
      const Rounder<T, typename Format::Codes, typename Format::Divide> rounder(
          Parameters{format.scaleValue(scaleCode), 0}, Format::levels(), codes);
      roundGroup(runs, key, rounder, x, column, columns, row, whole);
    }
  }
}

template <typename Format, typename T>
__device__ __forceinline__ void quantizeSpans(const T* __restrict__ x, i64 xStride, i64 rows,
                                              int columns, Format format,
                                              const uint8_t* __restrict__ scale, i64 scaleStride,
                                              const i8* __restrict__ zeroPoint,
                                              i64 zeroPointStride, uint8_t* target,
                                              i64 targetStride, int targetBytes, bool packed,
                                              int warpsLog) {
  constexpr int GROUP = Format::GROUP;
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const auto codes = Format::codes(packed);
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  const bool whole = hasWholeGroups<GROUP>(x, columns, row);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
#pragma unroll
    for (int column = spanOf(chunk), i = 0; i < SPAN / GROUP; ++i, column += GROUP) {
      if (column >= columns) {
        break;
      }
      Run<T> runs[GROUP / RUN];
      loadGroup(runs, x, column, columns, whole);
      const Parameters parameters{format.scaleValue(scale[column / GROUP]),
                                  static_cast<float>(zeroPoint[column / GROUP])};
      const Rounder<T, typename Format::Codes, typename Format::Divide> rounder(
          parameters, Format::levels(), codes);
      roundGroup(runs, largestOf<T>(runs), rounder, x, column, columns, row, whole);
    }
  }
}

// Values of codes, a byte each, in float, then in T.
template <typename Format, typename T>
__device__ __forceinline__ void dequantizeSpans(const uint8_t* __restrict__ codes, i64 codesStride,
                                                i64 rows, int columns, Format format,
                                                const uint8_t* __restrict__ scale, i64 scaleStride,
                                                const i8* __restrict__ zeroPoint,
                                                i64 zeroPointStride, T* x, i64 xStride,
                                                int warpsLog) {
  constexpr int GROUP = Format::GROUP;
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const bool whole = isAligned(codes, 16) && isWide(x);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
#pragma unroll
    for (int column = spanOf(chunk), i = 0; i < SPAN / GROUP; ++i, column += GROUP) {
      if (column >= columns) {
        break;
      }
      const float s = format.scaleValue(scale[column / GROUP]);
      const float z = static_cast<float>(zeroPoint[column / GROUP]);
      const auto valueOf = [=](uint32_t code) { return (Format::valueOf(code) - z) * s; };
      if (whole && column + GROUP <= columns) {
        uint4 words[GROUP / 16];
#pragma unroll
        for (int k = 0; k < GROUP / 16; ++k) {
          words[k] = __ldg(reinterpret_cast<const uint4*>(codes + column) + k);
        }
        uint32_t quads[GROUP / 4];
        memcpy(quads, words, sizeof(quads));
#pragma unroll
        for (int k = 0; k < GROUP / RUN; ++k) {
          Run<T> run;
#pragma unroll
          for (int j = 0; j < RUN / 2; ++j) {
            const uint32_t pair = quads[2 * k + j / 2] >> (16 * (j % 2));
            run.pairs[j] = narrow<T>(make_float2(valueOf(pair & 0xFF), valueOf(pair >> 8 & 0xFF)));
          }
          storeWholeRun(x + column + k * RUN, run);
        }
      } else {
        const int end = ::min(column + GROUP, columns);
#pragma unroll 1
        for (int c = column; c < end; ++c) {
          x[c] = fromFloat<T>(valueOf(codes[c]));
        }
      }
    }
  }
}

}  // namespace quench

#define QUENCH_MICRO(T, NAME, Format)                                                           \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantize_to_nearest_##T##_##NAME( \
      const T* __restrict__ x, i64 xStride, i64 rows, int columns, float globalScale,           \
      uint8_t* scale, i64 scaleStride, i8* zeroPoint, i64 zeroPointStride, uint8_t* codes,      \
      i64 codesStride, int codesBytes, int packed, int warpsLog) {                              \
    nearestSpans(x, xStride, rows, columns, Format<T>{globalScale}, scale, scaleStride,         \
                 zeroPoint, zeroPointStride, codes, codesStride, codesBytes, packed != 0,       \
                 warpsLog);                                                                     \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantize_##T##_##NAME(            \
      const T* __restrict__ x, i64 xStride, i64 rows, int columns, float globalScale,           \
      const uint8_t* __restrict__ scale, i64 scaleStride, const i8* __restrict__ zeroPoint,     \
      i64 zeroPointStride, uint8_t* codes, i64 codesStride, int codesBytes, int packed,         \
      int warpsLog) {                                                                           \
    quantizeSpans(x, xStride, rows, columns, Format<T>{globalScale}, scale, scaleStride,        \
                  zeroPoint, zeroPointStride, codes, codesStride, codesBytes, packed != 0,      \
                  warpsLog);                                                                    \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_dequantize_##NAME##_##T(          \
      const uint8_t* __restrict__ codes, i64 codesStride, i64 rows, int columns,                \
      float globalScale, const uint8_t* __restrict__ scale, i64 scaleStride,                    \
      const i8* __restrict__ zeroPoint, i64 zeroPointStride, T* x, i64 xStride, int warpsLog) { \
    dequantizeSpans(codes, codesStride, rows, columns, Format<T>{globalScale}, scale,           \
                    scaleStride, zeroPoint, zeroPointStride, x, xStride, warpsLog);             \
  }
