// Rounding to nearest in one read of a matrix: scales, zero points and codes. nearest.cu has the
// contracts of the kernels.
#pragma once

#include "codes.cuh"
#include "tiles.cuh"

namespace quench {

// Threads of a block that holds a tile: as many as have registers for their runs.
template <typename T>
constexpr int tileThreads() {
  return sizeof(T) == 4 ? 512 : 1024;
}

template <typename T, typename Codes>
__device__ __forceinline__ Rounder<T, Codes> rounderOf(Pair<T> key, Levels levels, Codes codes) {
  const float2 wide = widen(key);
  return Rounder<T, Codes>(parametersOf<T>(-wide.y, wide.x, levels), levels, codes);
}

template <typename T, typename Codes>
__device__ __forceinline__ void nearestGroups(const T* __restrict__ x, i64 xStride, i64 rows,
                                              int columns, Levels levels, T* scale, i64 scaleStride,
                                              i8* zeroPoint, i64 zeroPointStride, Codes codes,
                                              uint8_t* target, i64 targetStride, int targetBytes,
                                              int lanesLog, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const CodeRow row{target + place.row * targetStride, targetBytes, codes.width};
  const bool whole = isWhole(x, columns) && row.isWhole(columns);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const LanePlace lane(chunk, lanesLog);
    Run<T> runs[RUNS];
    loadRuns(runs, x, lane, columns, whole);
    const Pair<T> key = largestOfLanes(keyOf(rangeOf(runs)), 1 << lanesLog);
    const Rounder<T, Codes> rounder = rounderOf<T>(key, levels, codes);
    if (lane.leads && lane.first < columns) {
      scale[lane.group] = fromFloat<T>(rounder.parameters.scale);
      zeroPoint[lane.group] = static_cast<i8>(rounder.parameters.zeroPoint);
    }
    if (whole && rounder.isUsual && isModerate(key)) {
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

// A tile that the threads of a block hold in an even way, whole runs in wide rows.
template <typename T, typename Codes>
__device__ __forceinline__ void nearestEvenTile(const T* x, i64 xStride, EvenRuns even,
                                                Levels levels, T* scale, i8* zeroPoint, Codes codes,
                                                uint8_t* target, i64 targetStride,
                                                Pair<T>* shared) {
  x += even.row * xStride + even.column;
  target += even.row * targetStride + even.column / RUN * codes.width;
  const i64 xStep = even.rowStep * xStride + even.columnStep;
  const i64 targetStep = even.rowStep * targetStride + even.columnStep / RUN * codes.width;
  Run<T> runs[RUNS];
  const T* from = x;
#pragma unroll
  for (int k = 0; k < RUNS; ++k) {
    runs[k] = even.has(k) ? loadWholeRun(from) : zeroRun<T>();
    from += xStep;
  }
  const Pair<T> key = largestOfBlock(keyOf(rangeOf(runs)), shared);
  const Rounder<T, Codes> rounder = rounderOf<T>(key, levels, codes);
  if (threadIdx.x == 0) {
    *scale = fromFloat<T>(rounder.parameters.scale);
    *zeroPoint = static_cast<i8>(rounder.parameters.zeroPoint);
  }
  if (rounder.isUsual && isModerate(key)) {
#pragma unroll
    for (int k = 0; k < RUNS; ++k) {
      if (even.has(k)) {
        storeWholeCodes(target, codes.width, rounder.codesOfRun(runs[k]));
      }
      target += targetStep;
    }
  } else {
#pragma unroll 1
    for (int k = 0; k < RUNS && even.has(k); ++k) {
      storeWholeCodes(target, codes.width, rounder.codesOfAny(x, RUN));
      x += xStep;
      target += targetStep;
    }
  }
}

// Any other tile: `left` is its first column.
template <typename T, typename Codes>
__device__ __forceinline__ void nearestOddTile(const T* x, i64 xStride, int columns, int left,
                                               int height, int width, Levels levels, T* scale,
                                               i8* zeroPoint, Codes codes, uint8_t* target,
                                               i64 targetStride, int targetBytes, Pair<T>* shared) {
  const TileWalk first(width);
  Range<T> range;
#pragma unroll 1
  for (TileWalk walk = first; walk.row < height; walk.next()) {
    const T* const run = x + walk.row * xStride + left + walk.column();
    range.add(loadCutRun(run, runLength(walk.column(), width)));
  }
  const Pair<T> key = largestOfBlock(keyOf(range), shared);
  const Rounder<T, Codes> rounder = rounderOf<T>(key, levels, codes);
  if (threadIdx.x == 0) {
    *scale = fromFloat<T>(rounder.parameters.scale);
    *zeroPoint = static_cast<i8>(rounder.parameters.zeroPoint);
  }
#pragma unroll 1
  for (TileWalk walk = first; walk.row < height; walk.next()) {
    const int column = left + walk.column();
    const int count = runLength(column, left + width);
    const T* const run = x + walk.row * xStride + column;
    const uint2 found = rounder.isUsual && isModerate(key)
                            ? rounder.codesOfRun(loadCutRun(run, count))
                            : rounder.codesOfAny(run, count);
    const CodeRow row{target + walk.row * targetStride, targetBytes, codes.width};
    row.store(column, count, column + RUN >= columns, found);
  }
}

template <typename T, typename Codes>
__device__ __forceinline__ void nearestTiles(const T* __restrict__ x, i64 xStride, i64 rows,
                                             int columns, int blockRows, int blockColumns,
                                             Levels levels, T* scale, i64 scaleStride,
                                             i8* zeroPoint, i64 zeroPointStride, Codes codes,
                                             uint8_t* target, i64 targetStride, int targetBytes) {
  __shared__ Pair<T> shared[32];
  const i64 top = static_cast<i64>(blockIdx.x) * blockRows;
  const int height = static_cast<int>(::min(static_cast<i64>(blockRows), rows - top));
  x += top * xStride;
  target += top * targetStride;
  scale += blockIdx.x * scaleStride;
  zeroPoint += blockIdx.x * zeroPointStride;
  const bool codesWhole = CodeRow{target, targetBytes, codes.width}.isWhole(columns) &&
                          CodeRow{target + targetStride, targetBytes, codes.width}.isWhole(columns);
  const int tiles = (columns + blockColumns - 1) / blockColumns;
  for (int tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
    const int left = tile * blockColumns;
    const int width = ::min(blockColumns, columns - left);
    const EvenRuns even(height, width);
    const bool whole = isWhole(x + left, width) && isWide(x + left + xStride) && codesWhole;
    if (whole && even.areEven) {
      nearestEvenTile(x + left, xStride, even, levels, scale + tile, zeroPoint + tile, codes,
                      target + left / RUN * codes.width, targetStride, shared);
    } else {
      nearestOddTile(x, xStride, columns, left, height, width, levels, scale + tile,
                     zeroPoint + tile, codes, target, targetStride, targetBytes, shared);
    }
  }
}

}  // namespace quench

#define QUENCH_SOURCE(T) const T *__restrict__ x, i64 xStride, i64 rows, int columns
#define QUENCH_RESULTS(T)                                                         \
  float low, float high, int symmetric, T *scale, i64 scaleStride, i8 *zeroPoint, \
      i64 zeroPointStride, uint8_t *codes, i64 codesStride, int codesBytes
#define QUENCH_LEVELS Levels{low, high, symmetric != 0}

#define QUENCH_NEAREST_INT(T)                                                                     \
  extern "C" __global__ void __launch_bounds__(256, 4)                                            \
      quench_quantize_to_nearest_groups_##T##_int(QUENCH_SOURCE(T), QUENCH_RESULTS(T), int bits,  \
                                                  int packed, int lanesLog, int warpsLog) {       \
    nearestGroups(x, xStride, rows, columns, QUENCH_LEVELS, scale, scaleStride, zeroPoint,        \
                  zeroPointStride, IntegerCodes(bits, packed != 0), codes, codesStride,           \
                  codesBytes, lanesLog, warpsLog);                                                \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(tileThreads<T>())                                  \
      quench_quantize_to_nearest_tiles_##T##_int(QUENCH_SOURCE(T), int blockRows,                 \
                                                 int blockColumns, QUENCH_RESULTS(T), int bits,   \
                                                 int packed) {                                    \
    nearestTiles(x, xStride, rows, columns, blockRows, blockColumns, QUENCH_LEVELS, scale,        \
                 scaleStride, zeroPoint, zeroPointStride, IntegerCodes(bits, packed != 0), codes, \
                 codesStride, codesBytes);                                                        \
  }

#define QUENCH_NEAREST_E4M3(T)                                                              \
  extern "C" __global__ void __launch_bounds__(256, 4)                                      \
      quench_quantize_to_nearest_groups_##T##_e4m3(QUENCH_SOURCE(T), QUENCH_RESULTS(T),     \
                                                   int lanesLog, int warpsLog) {            \
    nearestGroups(x, xStride, rows, columns, QUENCH_LEVELS, scale, scaleStride, zeroPoint,  \
                  zeroPointStride, FloatCodes(), codes, codesStride, codesBytes, lanesLog,  \
                  warpsLog);                                                                \
  }                                                                                         \
  extern "C" __global__ void __launch_bounds__(tileThreads<T>())                            \
      quench_quantize_to_nearest_tiles_##T##_e4m3(QUENCH_SOURCE(T), int blockRows,          \
                                                  int blockColumns, QUENCH_RESULTS(T)) {    \
    nearestTiles(x, xStride, rows, columns, blockRows, blockColumns, QUENCH_LEVELS, scale,  \
                 scaleStride, zeroPoint, zeroPointStride, FloatCodes(), codes, codesStride, \
                 codesBytes);                                                               \
  }
