// Smallest and largest element of each block of a matrix, with 0; both NaN if there is a NaN.
//
// quench_observe_groups_{f32,f16,bf16}
//   blocks of one row and 32 · 2^lanesLog columns, at most 1024
//   x [rows, columns]; min, max [rows, ⌈columns / group⌉], of the same dtype
//   grid as WarpPlace says; block 256; no shared memory
//
// quench_observe_tiles_{f32,f16,bf16}
//   blocks of any shape, in pieces of pieceRows rows; without pieces, pieceRows = blockRows
//   x [rows, columns]; min, max [⌈rows / blockRows⌉, ⌈columns / blockColumns⌉ · pieces]
//   grid (⌈rows / blockRows⌉, at most ⌈columns / blockColumns⌉, pieces = ⌈blockRows / pieceRows⌉)
//   block: whole warps
//
// Each element is loaded once, 16 bytes at a time where a run is so aligned.
#include "codes.cuh"
#include "tiles.cuh"

namespace quench {

template <typename T>
__device__ __forceinline__ void storeRange(Pair<T> key, T* min, T* max) {
  const float2 wide = widen(key);
  *max = fromFloat<T>(wide.x);
  *min = fromFloat<T>(-wide.y);
}

template <typename T>
__device__ __forceinline__ void observeGroups(const T* __restrict__ x, i64 xStride, i64 rows,
                                              int columns, T* min, i64 minStride, T* max,
                                              i64 maxStride, int lanesLog, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  x += place.row * xStride;
  min += place.row * minStride;
  max += place.row * maxStride;
  const bool whole = isWhole(x, columns);
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const LanePlace lane(chunk, lanesLog);
    Run<T> runs[RUNS];
    loadRuns(runs, x, lane, columns, whole);
    const Pair<T> key = largestOfLanes(keyOf(rangeOf(runs)), 1 << lanesLog);
    if (lane.leads && lane.first < columns) {
      storeRange(key, min + lane.group, max + lane.group);
    }
  }
}

template <typename T>
__device__ __forceinline__ void observeTiles(const T* __restrict__ x, i64 xStride, i64 rows,
                                             int columns, i64 blockRows, int blockColumns,
                                             int pieceRows, T* min, i64 minStride, T* max,
                                             i64 maxStride) {
  __shared__ Pair<T> shared[32];
  const i64 from = blockIdx.x * blockRows + static_cast<i64>(blockIdx.z) * pieceRows;
  const i64 end = ::min(::min(from + pieceRows, (blockIdx.x + 1) * blockRows), rows);
  const int height = static_cast<int>(::max(end - from, i64{0}));
  x += from * xStride;
  const int tiles = (columns + blockColumns - 1) / blockColumns;
  for (int tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
    const int left = tile * blockColumns;
    const int width = ::min(blockColumns, columns - left);
    const bool wide = isWide(x + left) && isWide(x + left + xStride);
    Pair<T> key = keyOf(Range<T>());
    TileWalk walk(width);
    while (walk.row < height) {
      Run<T> runs[RUNS];
#pragma unroll
      for (int k = 0; k < RUNS; ++k) {
        const int count = walk.row < height ? runLength(walk.column(), width) : 0;
        runs[k] = loadRun(x + walk.row * xStride + left + walk.column(), count, wide);
        walk.next();
      }
      key = larger(key, keyOf(rangeOf(runs)));
    }
    key = largestOfBlock(key, shared);
    if (threadIdx.x == 0) {
      const i64 at = static_cast<i64>(tile) * gridDim.z + blockIdx.z;
      storeRange(key, min + blockIdx.x * minStride + at, max + blockIdx.x * maxStride + at);
    }
  }
}

}  // namespace quench

using namespace quench;

#define QUENCH_OBSERVE(T)                                                                         \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_observe_groups_##T(                 \
      const T* __restrict__ x, i64 xStride, i64 rows, int columns, T* min, i64 minStride, T* max, \
      i64 maxStride, int lanesLog, int warpsLog) {                                                \
    observeGroups(x, xStride, rows, columns, min, minStride, max, maxStride, lanesLog, warpsLog); \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(1024) quench_observe_tiles_##T(                    \
      const T* __restrict__ x, i64 xStride, i64 rows, int columns, i64 blockRows,                 \
      int blockColumns, int pieceRows, T* min, i64 minStride, T* max, i64 maxStride) {            \
    observeTiles(x, xStride, rows, columns, blockRows, blockColumns, pieceRows, min, minStride,   \
                 max, maxStride);                                                                 \
  }

QUENCH_OBSERVE(f32)
QUENCH_OBSERVE(f16)
QUENCH_OBSERVE(bf16)
