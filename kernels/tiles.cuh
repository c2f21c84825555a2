// How the elements that share a scale are dealt to lanes, warps and blocks of threads.
#pragma once

#include "runs.cuh"

namespace quench {

// ---- groups: 32, 64, … 1024 columns of one row. A warp takes a chunk of 1024 columns, each lane
// four runs of the same group; runs of neighbouring lanes are neighbours, so that each load of a
// warp is contiguous in pieces of a quarter of a group.

constexpr int CHUNK = 32 * RUNS * RUN;

// Blocks of 8 warps, 2^warpsLog of them side by side in a row, the next ones in the next row.
// Grid: x = ⌈rows / 2^(3 − warpsLog)⌉, y = ⌈chunks of a row / 2^warpsLog⌉ or less.
struct WarpPlace {
  i64 row;
  int chunk;      // the warp's first one in its row
  int chunkStep;  // from there to the next

  __device__ __forceinline__ explicit WarpPlace(int warpsLog) {
    const int warp = threadIdx.x / 32;
    row = (static_cast<i64>(blockIdx.x) << (3 - warpsLog)) + (warp >> warpsLog);
    chunk = (blockIdx.y << warpsLog) + (warp & ((1 << warpsLog) - 1));
    chunkStep = gridDim.y << warpsLog;
  }
};

// Where a lane works if groups are dealt to 2^lanesLog lanes each.
struct LanePlace {
  int group;     // of the row
  bool leads;    // it is the first lane of its group
  int first;     // column of the lane's first run
  int distance;  // columns from there to the next run

  __device__ __forceinline__ LanePlace(int chunk, int lanesLog) {
    const int lane = threadIdx.x % 32;
    group = (chunk * 32 + lane) >> lanesLog;
    distance = RUN << lanesLog;
    const int inGroup = lane & ((1 << lanesLog) - 1);
    leads = inGroup == 0;
    first = group * RUNS * distance + inGroup * RUN;
  }

  __device__ __forceinline__ int column(int k) const { return first + k * distance; }
};

// The lane's runs; what lies beyond the row is 0. `whole`: the row is wide and has no cut run.
template <typename T>
__device__ __forceinline__ void loadRuns(Run<T> (&runs)[RUNS], const T* __restrict__ row,
                                         const LanePlace& lane, int columns, bool whole) {
  if (whole) {
#pragma unroll
    for (int k = 0; k < RUNS; ++k) {
      const int column = lane.column(k);
      runs[k] = column < columns ? loadWholeRun(row + column) : zeroRun<T>();
    }
  } else {
#pragma unroll
    for (int k = 0; k < RUNS; ++k) {
      runs[k] = loadCutRun(row + lane.column(k), runLength(lane.column(k), columns));
    }
  }
}

// ---- tiles: rows × columns, each dealt to a block of threads

// Steps through the runs of a tile, row by row; the threads of a block take neighbouring runs.
struct TileWalk {
  int row;
  int run;
  int runs;  // of a row
  int rowStep;
  int runStep;

  __device__ __forceinline__ explicit TileWalk(int columns) : runs((columns + RUN - 1) / RUN) {
    if (runs >= blockDim.x) {
      row = 0;
      run = threadIdx.x;
      rowStep = 0;
      runStep = blockDim.x;
    } else {
      row = threadIdx.x / runs;
      run = threadIdx.x - row * runs;
      rowStep = blockDim.x / runs;
      runStep = blockDim.x - rowStep * runs;
    }
  }

  __device__ __forceinline__ int column() const { return run * RUN; }

  __device__ __forceinline__ void next() {
    row += rowStep;
    run += runStep;
    if (run >= runs) {
      run -= runs;
      ++row;
    }
  }
};

// The runs of a tile that a thread has in hand, if they lie at one distance from each other: those
// of a single row, or if the block's threads make whole rows.
struct EvenRuns {
  bool areEven;
  int row;
  int column;
  int rowStep;
  int columnStep;

  __device__ __forceinline__ EvenRuns(int height, int width) {
    const int runs = (width + RUN - 1) / RUN;
    const int threads = blockDim.x;
    if (height == 1) {
      areEven = true;
      row = 0;
      column = threadIdx.x * RUN;
      rowStep = 0;
      columnStep = threads * RUN;
      position = threadIdx.x;
      step = threads;
      limit = runs;
    } else {
      row = threadIdx.x / runs;
      column = (threadIdx.x - row * runs) * RUN;
      rowStep = threads / runs;
      columnStep = 0;
      areEven = rowStep * runs == threads;
      position = row;
      step = rowStep;
      limit = height;
    }
  }

  // Whether there is a k-th run.
  __device__ __forceinline__ bool has(int k) const { return position + k * step < limit; }

 private:
  int position;
  int step;
  int limit;
};

}  // namespace quench
