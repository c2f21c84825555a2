// Scales and zero points from ranges, codes from elements, elements from codes. quantize.cu has the
// contracts of the kernels.
#pragma once

#include "scales.cuh"
#include "tiles.cuh"

namespace quench {

// The row of scales that a row of elements uses.
__device__ __forceinline__ i64 scaleRow(i64 row, int blockRows) {
  return blockRows == 1 ? row : static_cast<i64>(static_cast<uint32_t>(row) / blockRows);
}

// Code formats by the numbers that kernels are told.
enum CodeFormat { CODE_INTEGER, CODE_E4M3, CODE_E2M1 };

// Codes of a format that is known by its number.
struct AnyCodes {
  int format;
  int bits;
  bool packed;
  int width;

  __device__ __forceinline__ AnyCodes(int format, int bits, bool packed)
      : format(format), bits(bits), packed(packed), width(packed ? bits : 8) {}

  __device__ __forceinline__ uint32_t code(float value) const {
    switch (format) {
      case CODE_INTEGER:
        return IntegerCodes(bits, packed).code(value);
      case CODE_E4M3:
        return FloatCodes().code(value);
      default:
        return E2m1Codes(packed).code(value);
    }
  }
};

template <typename T>
__device__ __forceinline__ void findParameters(const T* __restrict__ min, i64 minStride,
                                               const T* __restrict__ max, i64 maxStride, i64 rows,
                                               int columns, Levels levels, int scaleDtype,
                                               float globalScale, void* scale, i64 scaleStride,
                                               i8* zeroPoint, i64 zeroPointStride) {
  const i64 i = globalThread();
  if (i >= rows * columns) {
    return;
  }
  const i64 row = i / columns;
  const i64 column = i - row * columns;
  const float smallest = toFloat(min[row * minStride + column]);
  const float largest = toFloat(max[row * maxStride + column]);
  Parameters parameters = parametersOf<T>(smallest, largest, levels);
  const i64 at = row * scaleStride + column;
  if (levels.symmetric && scaleDtype >= SCALE_E4M3) {
    const float magnitude = larger(fabsf(smallest), fabsf(largest));
    const uint32_t code = scaleDtype == SCALE_E4M3
                              ? e4m3ScaleOf<T>(magnitude, (levels.high - levels.low) / 2, globalScale)
                              : powerOf<T>(magnitude, ilogbf(levels.high));
    static_cast<uint8_t*>(scale)[at] = static_cast<uint8_t>(code);
  } else {
    static_cast<T*>(scale)[at] = fromFloat<T>(parameters.scale);
  }
  zeroPoint[row * zeroPointStride + column] = static_cast<i8>(parameters.zeroPoint);
}

template <typename T, typename Codes>
__device__ __forceinline__ void quantizeGroups(const T* __restrict__ x, i64 xStride, i64 rows,
                                               int columns, const T* __restrict__ scale,
                                               i64 scaleStride, const i8* __restrict__ zeroPoint,
                                               i64 zeroPointStride, int blockRows, int blockShift,
                                               Levels levels, Codes codes, uint8_t* target,
                                               i64 targetStride, int targetBytes, int lanesLog,
                                               int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += scaleRow(place.row, blockRows) * scaleStride;
  zeroPoint += scaleRow(place.row, blockRows) * zeroPointStride;
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  const bool whole = isWhole(x, columns) && row.isWhole(columns);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const LanePlace lane(chunk, lanesLog);
    if (lane.first >= columns) {
      continue;
    }
    const int block = lane.first >> blockShift;
    const Parameters parameters{toFloat(scale[block]), static_cast<float>(zeroPoint[block])};
    Run<T> runs[RUNS];
    loadRuns(runs, x, lane, columns, whole);
    const Rounder<T, Codes> rounder(parameters, levels, codes);
    if (whole && rounder.isUsual && isModerate(keyOf(rangeOf(runs)))) {
#pragma unroll
      for (int k = 0; k < RUNS; ++k) {
        const int column = lane.column(k);
        if (column < columns) {
          storeWholeCodes(row.at(column), codes.width, rounder.codesOfRun(runs[k]));
        }
      }
    } else {
#pragma unroll 1
      for (int k = 0; k < RUNS; ++k) {
        const int column = lane.column(k);
        const int count = runLength(column, columns);
        if (count > 0) {
          row.store(column, count, column + RUN >= columns, rounder.codesOfAny(x + column, count));
        }
      }
    }
  }
}

// Codes and scales of any format.
template <typename T>
__device__ __forceinline__ void quantizeElements(const T* __restrict__ x, i64 xStride, i64 rows,
                                                 int columns, ScaleRow scales, i64 scaleStride,
                                                 const i8* __restrict__ zeroPoint,
                                                 i64 zeroPointStride, int blockRows,
                                                 int blockColumns, Levels levels, AnyCodes codes,
                                                 uint8_t* target, i64 targetStride, int targetBytes,
                                                 int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  const i64 firstScale = scaleRow(place.row, blockRows) * scaleStride;
  zeroPoint += scaleRow(place.row, blockRows) * zeroPointStride;
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const LanePlace lane(chunk, 5);
#pragma unroll 1
    for (int k = 0; k < RUNS; ++k) {
      const int column = lane.column(k);
      const int count = runLength(column, columns);
      if (count == 0) {
        break;
      }
      row.store(column, count, column + RUN >= columns, codesOneByOne(count, codes, [&](int i) {
                  const uint32_t block = static_cast<uint32_t>(column + i) / blockColumns;
                  const Parameters parameters{scales.at(firstScale + block),
                                              static_cast<float>(zeroPoint[block])};
                  const float element = toFloat(x[column + i]);
                  return scales.dtype == SCALE_E4M3
                             ? codeByDefinition<f32>(element, parameters, levels, codes)
                             : codeByDefinition<T>(element, parameters, levels, codes);
                }));
    }
  }
}

// ---- values of codes

struct IntegerValues {
  __device__ __forceinline__ static float of(uint32_t byte) {
    return static_cast<float>(static_cast<i8>(byte));
  }
};

struct FloatValues {
  __device__ __forceinline__ static float of(uint32_t byte) { return e4m3Value(byte); }
};

// Those of a format that is known by its number.
__device__ __forceinline__ float anyValue(uint32_t byte, int format) {
  switch (format) {
    case CODE_INTEGER:
      return IntegerValues::of(byte);
    case CODE_E4M3:
      return FloatValues::of(byte);
    default:
      return e2m1Value(byte);
  }
}

// `D`: the dtype of the scale, in which is computed.
template <typename D>
__device__ __forceinline__ float valueOf(float code, Parameters parameters) {
  return roundTo<D>(roundTo<D>(code - parameters.zeroPoint) * parameters.scale);
}

template <typename T, typename Values, typename D>
__device__ __forceinline__ Run<T> valuesOf(uint2 codes, Parameters parameters) {
  Run<T> run;
#pragma unroll
  for (int i = 0; i < RUN / 2; ++i) {
    const uint32_t pair = (i < 2 ? codes.x : codes.y) >> (16 * (i % 2));
    run.pairs[i] = narrow<T>(make_float2(valueOf<D>(Values::of(pair & 0xFF), parameters),
                                         valueOf<D>(Values::of(pair >> 8 & 0xFF), parameters)));
  }
  return run;
}

template <typename T, typename Values, typename D>
__device__ __forceinline__ void dequantizeGroups(const uint8_t* __restrict__ codes, i64 codesStride,
                                                 i64 rows, int columns, const D* __restrict__ scale,
                                                 i64 scaleStride, const i8* __restrict__ zeroPoint,
                                                 i64 zeroPointStride, int blockRows, int blockShift,
                                                 T* x, i64 xStride, int lanesLog, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  x += place.row * xStride;
  scale += scaleRow(place.row, blockRows) * scaleStride;
  zeroPoint += scaleRow(place.row, blockRows) * zeroPointStride;
  const bool whole = isAligned(codes, 8) && isWhole(x, columns);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const LanePlace lane(chunk, lanesLog);
    if (lane.first >= columns) {
      continue;
    }
    const int block = lane.first >> blockShift;
    const Parameters parameters{toFloat(scale[block]), static_cast<float>(zeroPoint[block])};
    if (whole) {
      uint2 words[RUNS];
#pragma unroll
      for (int k = 0; k < RUNS; ++k) {
        const int column = lane.column(k);
        words[k] = column < columns ? __ldg(reinterpret_cast<const uint2*>(codes + column))
                                    : make_uint2(0, 0);
      }
#pragma unroll
      for (int k = 0; k < RUNS; ++k) {
        if (lane.column(k) < columns) {
          storeWholeRun(x + lane.column(k), valuesOf<T, Values, D>(words[k], parameters));
        }
      }
    } else {
#pragma unroll 1
      for (int k = 0; k < RUNS; ++k) {
        const int column = lane.column(k);
        const int end = column + runLength(column, columns);
#pragma unroll 1
        for (int c = column; c < end; ++c) {
          x[c] = fromFloat<T>(valueOf<D>(Values::of(codes[c]), parameters));
        }
      }
    }
  }
}

// Codes and scales of any format.
template <typename T>
__device__ __forceinline__ void dequantizeElements(
    const uint8_t* __restrict__ codes, i64 codesStride, i64 rows, int columns, int codeFormat,
    ScaleRow scales, i64 scaleStride, const i8* __restrict__ zeroPoint, i64 zeroPointStride,
    int blockRows, int blockColumns, T* x, i64 xStride, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  x += place.row * xStride;
  const i64 firstScale = scaleRow(place.row, blockRows) * scaleStride;
  zeroPoint += scaleRow(place.row, blockRows) * zeroPointStride;
  const int arithmetic = scales.dtype < SCALE_E4M3 ? scales.dtype : SCALE_F32;
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const int end = ::min((chunk + 1) * CHUNK, columns);
    for (int c = chunk * CHUNK + threadIdx.x % 32; c < end; c += 32) {
      const uint32_t block = static_cast<uint32_t>(c) / blockColumns;
      const float units = anyValue(codes[c], codeFormat) - static_cast<float>(zeroPoint[block]);
      const float value = roundedTo(units, arithmetic) * scales.at(firstScale + block);
      x[c] = fromFloat<T>(roundedTo(value, arithmetic));
    }
  }
}

}  // namespace quench

#define QUENCH_PARAMETERS(T)                                                                  \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantization_parameters_##T(    \
      const T* __restrict__ min, i64 minStride, const T* __restrict__ max, i64 maxStride,     \
      i64 rows, int columns, float low, float high, int symmetric, int scaleDtype,            \
      float globalScale, void* scale, i64 scaleStride, i8* zeroPoint, i64 zeroPointStride) {  \
    findParameters(min, minStride, max, maxStride, rows, columns,                             \
                   Levels{low, high, symmetric != 0}, scaleDtype, globalScale, scale,         \
                   scaleStride, zeroPoint, zeroPointStride);                                  \
  }

#define QUENCH_SOURCE(T)                                                                    \
  const T *__restrict__ x, i64 xStride, i64 rows, int columns, const T *__restrict__ scale, \
      i64 scaleStride, const i8 *__restrict__ zeroPoint, i64 zeroPointStride, int blockRows
#define QUENCH_TARGET float low, float high, uint8_t *codes, i64 codesStride, int codesBytes
#define QUENCH_LEVELS \
  Levels { low, high, false }

#define QUENCH_QUANTIZE_INT(T)                                                                    \
  extern "C" __global__ void __launch_bounds__(256, 4)                                            \
      quench_quantize_groups_##T##_int(QUENCH_SOURCE(T), int blockShift, QUENCH_TARGET, int bits, \
                                       int packed, int lanesLog, int warpsLog) {                  \
    quantizeGroups(x, xStride, rows, columns, scale, scaleStride, zeroPoint, zeroPointStride,     \
                   blockRows, blockShift, QUENCH_LEVELS, IntegerCodes(bits, packed != 0), codes,  \
                   codesStride, codesBytes, lanesLog, warpsLog);                                  \
  }

#define QUENCH_QUANTIZE_E4M3(T)                                                               \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantize_groups_##T##_e4m3(     \
      QUENCH_SOURCE(T), int blockShift, QUENCH_TARGET, int lanesLog, int warpsLog) {          \
    quantizeGroups(x, xStride, rows, columns, scale, scaleStride, zeroPoint, zeroPointStride, \
                   blockRows, blockShift, QUENCH_LEVELS, FloatCodes(), codes, codesStride,    \
                   codesBytes, lanesLog, warpsLog);                                           \
  }

#define QUENCH_CODES                                                                             \
  const uint8_t *__restrict__ codes, i64 codesStride, i64 rows, int columns, int scaleDtype,     \
      const void *scale, i64 scaleStride, const i8 *__restrict__ zeroPoint, i64 zeroPointStride, \
      int blockRows
#define QUENCH_VALUES_GROUPS(T, Values, D)                                                       \
  dequantizeGroups<T, Values>(codes, codesStride, rows, columns, static_cast<const D*>(scale),   \
                              scaleStride, zeroPoint, zeroPointStride, blockRows, blockShift, x, \
                              xStride, lanesLog, warpsLog)
#define QUENCH_BY_SCALE(CALL, T, Values) \
  if (scaleDtype == SCALE_F32) {         \
    CALL(T, Values, f32);                \
  } else if (scaleDtype == SCALE_F16) {  \
    CALL(T, Values, f16);                \
  } else {                               \
    CALL(T, Values, bf16);               \
  }

#define QUENCH_DEQUANTIZE(T, CODES, Values)                                                    \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_dequantize_groups_##CODES##_##T( \
      QUENCH_CODES, int blockShift, T* x, i64 xStride, int lanesLog, int warpsLog) {           \
    QUENCH_BY_SCALE(QUENCH_VALUES_GROUPS, T, Values)                                           \
  }
