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
    // For dtypes of 16 bits the product is the same: no quotient by 6 is so near to the middle of two
    // numbers, but for those in it, which the product meets too, since RN(1 / 6) is off by less than
    // half a unit in the last place of a float.
    const float sixth = sizeof(T) == 2 ? magnitude * (1.0f / 6) : magnitude / 6;
    return e4m3ScaleOf(roundTo<T>(sixth), globalScale);
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

// A whole group of a row that is wide.
template <typename T, int kRuns>
__device__ __forceinline__ void loadGroup(Run<T> (&runs)[kRuns], const T* __restrict__ x) {
#pragma unroll
  for (int k = 0; k < kRuns; ++k) {
    runs[k] = loadWholeRun(x + k * RUN);
  }
}

template <typename T, int kRuns>
__device__ __forceinline__ Pair<T> keyOfGroup(const Run<T> (&runs)[kRuns]) {
  Range<T> range;
#pragma unroll
  for (int k = 0; k < kRuns; ++k) {
    range.add(runs[k]);
  }
  return keyOf(range);
}

// The same of `count` elements one by one.
template <typename T>
__device__ __forceinline__ Pair<T> keyOfElements(const T* __restrict__ x, int count) {
  Range<T> range;
#pragma unroll 1
  for (int i = 0; i < count; i += RUN) {
    range.add(loadCutRun(x + i, runLength(i, count)));
  }
  return keyOf(range);
}

template <typename P>
__device__ __forceinline__ float magnitudeOf(P key) {
  const float2 ends = widen(key);
  return larger(ends.x, ends.y);
}

// Codes of a whole group, to a place that is aligned to their size or 16 bytes.
template <typename T, typename Rounder, int kRuns>
__device__ __forceinline__ void storeGroup(const Run<T> (&runs)[kRuns], const Rounder& rounder,
                                           uint8_t* target, int width) {
  uint2 codes[kRuns];
#pragma unroll
  for (int k = 0; k < kRuns; ++k) {
    codes[k] = rounder.codesOfRun(runs[k]);
  }
  if (width == 4) {
    uint32_t words[kRuns];
#pragma unroll
    for (int k = 0; k < kRuns; ++k) {
      words[k] = codes[k].x | codes[k].y << 16;
    }
    storeWords(target, words);
  } else {
    uint32_t words[2 * kRuns];
#pragma unroll
    for (int k = 0; k < kRuns; ++k) {
      words[2 * k] = codes[k].x;
      words[2 * k + 1] = codes[k].y;
    }
    storeWords(target, words);
  }
}

// Codes by definition from `column` to `end`, of the row that x starts.
template <typename T, typename Rounder>
__device__ __forceinline__ void storeAny(const T* __restrict__ x, int column, int end, int columns,
                                         const Rounder& rounder, CodeRow row) {
#pragma unroll 1
  for (; column < end; column += RUN) {
    const int count = runLength(column, end);
    row.store(column, count, column + RUN >= columns, rounder.codesOfAny(x + column, count));
  }
}

// Whether groups of a row can be loaded and stored at once.
template <int kGroup, typename T>
__device__ __forceinline__ bool hasWholeGroups(const T* x, CodeRow row) {
  return isWide(x) && isAligned(row.bytes, ::min(kGroup * row.width / 8, 16));
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
  using Divide = typename Format::Divide;
  using Nearest = Rounder<T, typename Format::Codes, Divide, Divide::SIGNS_ZERO>;
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const auto codes = Format::codes(packed);
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  const bool whole = hasWholeGroups<GROUP>(x, row);
  const auto rounderOf = [&](Pair<T> key, int group) {
    const uint32_t scaleCode = format.scaleOf(magnitudeOf(key));
    scale[group] = static_cast<uint8_t>(scaleCode);
    zeroPoint[group] = 0;
    return Nearest(Parameters{format.scaleValue(scaleCode), 0}, Format::levels(), codes);
  };
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const int first = spanOf(chunk);
    if (whole && first + SPAN <= columns) {
#pragma unroll
      for (int i = 0; i < SPAN / GROUP; ++i) {
        const int column = first + i * GROUP;
        Run<T> runs[GROUP / RUN];
        loadGroup(runs, x + column);
        const Pair<T> key = keyOfGroup(runs);
        const Nearest rounder = rounderOf(key, first / GROUP + i);
        if (rounder.isUsual && isModerate(key)) {
          storeGroup(runs, rounder, row.at(column), row.width);
        } else {
          storeAny(x, column, column + GROUP, columns, rounder, row);
        }
      }
    } else {
#pragma unroll 1
      for (int column = first; column < ::min(first + SPAN, columns); column += GROUP) {
        const int end = ::min(column + GROUP, columns);
        const Pair<T> key = keyOfElements(x + column, end - column);
        storeAny(x, column, end, columns, rounderOf(key, column / GROUP), row);
      }
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
  using Given = Rounder<T, typename Format::Codes, typename Format::Divide>;
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const auto codes = Format::codes(packed);
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  const bool whole = hasWholeGroups<GROUP>(x, row);
  const auto rounderOf = [&](int group) {
    const Parameters parameters{format.scaleValue(scale[group]),
                                static_cast<float>(zeroPoint[group])};
    return Given(parameters, Format::levels(), codes);
  };
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const int first = spanOf(chunk);
    if (whole && first + SPAN <= columns) {
#pragma unroll
      for (int i = 0; i < SPAN / GROUP; ++i) {
        const int column = first + i * GROUP;
        Run<T> runs[GROUP / RUN];
        loadGroup(runs, x + column);
        const Given rounder = rounderOf(first / GROUP + i);
        if (rounder.isUsual && isModerate(keyOfGroup(runs))) {
          storeGroup(runs, rounder, row.at(column), row.width);
        } else {
          storeAny(x, column, column + GROUP, columns, rounder, row);
        }
      }
    } else {
#pragma unroll 1
      for (int column = first; column < ::min(first + SPAN, columns); column += GROUP) {
        storeAny(x, column, ::min(column + GROUP, columns), columns, rounderOf(column / GROUP),
                 row);
      }
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
