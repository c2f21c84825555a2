// Rounding to nearest in one read of a matrix: scales, zero points and codes.
//
// The suffix _int means integer codes: `bits` wide and packed as pack.cu says, into int32 words, or
// int8 if `packed` is 0. _e4m3 means E4M3 codes. codesStride is in bytes, codesBytes is the size of
// a row of codes: columns, or 4 · ⌈columns · bits / 32⌉, the last bits of which become 0.
//
// quench_quantize_to_nearest_groups_{f32,f16,bf16}_{int,e4m3}: blocks of one row and 32 · 2^lanesLog
//   columns, at most 1024.
//   x [rows, columns]; scale, of x's dtype, and zeroPoint, int8, [rows, ⌈columns / group⌉]
//   grid as WarpPlace says; block 256; no shared memory
//
// quench_quantize_to_nearest_tiles_{f32,f16,bf16}_{int,e4m3}: blocks of blockRows × blockColumns with
//   at most 4 · 1024 runs; blockColumns is a multiple of 8, or not less than columns.
//   scale, zeroPoint [⌈rows / blockRows⌉, ⌈columns / blockColumns⌉]
//   grid (⌈rows / blockRows⌉, at most ⌈columns / blockColumns⌉)
//   block: whole warps, at least a quarter of the runs of a block
//
// Elements stay in registers between the two steps. Loads are 16 bytes wide where a run is so
// aligned, stores as wide as eight codes are.
#include "codes.cuh"
#include "tiles.cuh"

namespace quench {

template <typename T, typename Codes>
__device__ __forceinline__ Rounder<T, Codes> rounderOf(Pair<T> key, Levels levels, Codes codes) {
  const float2 wide = widen(key);
  return Rounder<T, Codes>(parametersOf<T>(-wide.y, wide.x, levels), levels, codes);
}

template <typename T, typename Codes>
__device__ __forceinline__ void nearestGroups(const T* __restrict__ x, i64 xStride, i64 rows,
                                              int columns, Levels levels, T* scale,
                                              i64 scaleStride, i8* zeroPoint, i64 zeroPointStride,
                                              Codes codes, uint8_t* target, i64 targetStride,
                                              int targetBytes, int lanesLog, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  scale += place.row * scaleStride;
  zeroPoint += place.row * zeroPointStride;
  const bool wide = isWide(x);
  const CodeRow row(target + place.row * targetStride, targetBytes, codes.width);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const LanePlace lane(chunk, lanesLog);
    const bool whole = wide && (chunk + 1) * CHUNK <= columns;
    Run<T> runs[RUNS];
    loadRuns(runs, x, lane, columns, whole);
    const Pair<T> key = largestOfLanes(keyOf(rangeOf(runs)), 1 << lanesLog);
    const Rounder<T, Codes> rounder = rounderOf<T>(key, levels, codes);
    if (lane.leads && lane.first < columns) {
      scale[lane.group] = fromFloat<T>(rounder.parameters.scale);
      zeroPoint[lane.group] = static_cast<i8>(rounder.parameters.zeroPoint);
    }
    if (whole && row.wide && rounder.isUsual && isModerate(key)) {
#pragma unroll
      for (int k = 0; k < RUNS; ++k) {
        row.store(lane.column(k), rounder.codesOfRun(runs[k]));
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
  const int tiles = (columns + blockColumns - 1) / blockColumns;
  for (int tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
    const int left = tile * blockColumns;
    const int width = ::min(blockColumns, columns - left);
    const bool wide = isWide(x + left) && isWide(x + left + xStride);
    const TileWalk first(width);
    TileWalk walk = first;
    Run<T> runs[RUNS];
#pragma unroll
    for (int k = 0; k < RUNS; ++k) {
      const int count = walk.row < height ? runLength(walk.column(), width) : 0;
      runs[k] = loadRun(x + walk.row * xStride + left + walk.column(), count, wide);
      walk.next();
    }
    const Pair<T> key = largestOfBlock(keyOf(rangeOf(runs)), shared);
    const Rounder<T, Codes> rounder = rounderOf<T>(key, levels, codes);
    if (threadIdx.x == 0) {
      scale[blockIdx.x * scaleStride + tile] = fromFloat<T>(rounder.parameters.scale);
      zeroPoint[blockIdx.x * zeroPointStride + tile] =
          static_cast<i8>(rounder.parameters.zeroPoint);
    }
    const bool simple = rounder.isUsual && isModerate(key);
    walk = first;
#pragma unroll
    for (int k = 0; k < RUNS; ++k) {
      if (walk.row < height) {
        const int column = left + walk.column();
        const int count = runLength(column, left + width);
        const CodeRow row(target + walk.row * targetStride, targetBytes, codes.width);
        if (simple && row.wide && column + RUN < columns) {
          row.store(column, rounder.codesOfRun(runs[k]));
        } else {
          row.store(column, count, column + RUN >= columns,
                    simple ? rounder.codesOfRun(runs[k])
                           : rounder.codesOfAny(x + walk.row * xStride + column, count));
        }
      }
      walk.next();
    }
  }
}

}  // namespace quench

using namespace quench;

#define QUENCH_SOURCE(T) const T *__restrict__ x, i64 xStride, i64 rows, int columns
#define QUENCH_RESULTS(T)                                                        \
  float low, float high, int symmetric, T *scale, i64 scaleStride, i8 *zeroPoint, \
      i64 zeroPointStride, uint8_t *codes, i64 codesStride, int codesBytes
#define QUENCH_LEVELS \
  Levels { low, high, symmetric != 0 }

#define QUENCH_NEAREST(T)                                                                         \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantize_to_nearest_groups_##T##_int(  \
      QUENCH_SOURCE(T), QUENCH_RESULTS(T), int bits, int packed, int lanesLog, int warpsLog) {    \
    nearestGroups(x, xStride, rows, columns, QUENCH_LEVELS, scale, scaleStride, zeroPoint,        \
                  zeroPointStride, IntegerCodes(bits, packed != 0), codes, codesStride,           \
                  codesBytes, lanesLog, warpsLog);                                                \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantize_to_nearest_groups_##T##_e4m3( \
      QUENCH_SOURCE(T), QUENCH_RESULTS(T), int lanesLog, int warpsLog) {                          \
    nearestGroups(x, xStride, rows, columns, QUENCH_LEVELS, scale, scaleStride, zeroPoint,        \
                  zeroPointStride, FloatCodes(), codes, codesStride, codesBytes, lanesLog,        \
                  warpsLog);                                                                      \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(1024) quench_quantize_to_nearest_tiles_##T##_int(  \
      QUENCH_SOURCE(T), int blockRows, int blockColumns, QUENCH_RESULTS(T), int bits,             \
      int packed) {                                                                               \
    nearestTiles(x, xStride, rows, columns, blockRows, blockColumns, QUENCH_LEVELS, scale,        \
                 scaleStride, zeroPoint, zeroPointStride, IntegerCodes(bits, packed != 0), codes, \
                 codesStride, codesBytes);                                                        \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(1024) quench_quantize_to_nearest_tiles_##T##_e4m3( \
      QUENCH_SOURCE(T), int blockRows, int blockColumns, QUENCH_RESULTS(T)) {                     \
    nearestTiles(x, xStride, rows, columns, blockRows, blockColumns, QUENCH_LEVELS, scale,        \
                 scaleStride, zeroPoint, zeroPointStride, FloatCodes(), codes, codesStride,       \
                 codesBytes);                                                                     \
  }

QUENCH_NEAREST(f32)
QUENCH_NEAREST(f16)
QUENCH_NEAREST(bf16)
