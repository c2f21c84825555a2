// The range of each block that makes the error of rounding smallest: what
// dev.quench.quantization.RangeSearch defines, with the same bytes. `steps` ranges are tried; each
// block has a sum of errors for each of them.
//
// quench_search_powers_{f16,bf16}
//   powers [2^15]: |d|^exponent of each magnitude d of that dtype, by its bits
//   grid 2^15 / 256, block 256
//
// quench_search_sums_{f32,f16,bf16}_{int,e4m3,e2m1}
//   x [rows, columns]; min, max [⌈rows / blockRows⌉, across = ⌈columns / blockColumns⌉] of its dtype:
//   the ranges; powers: of f16 and bf16, the table; sums f32 [rows · across, steps]: of what a block
//   has in a row, rounded to x's dtype if that is all it has; isPower: scales are powers of two
//   grid (⌈rows · across / 16⌉, ⌈steps / 16⌉), block 256; no shared memory
//
// quench_search_errors_{f32,f16,bf16}
//   for blocks of several rows: errors f32 [blocks, steps] from sums, added in the order of the rows
//   grid ⌈blocks · steps / 256⌉, block 256
//
// quench_search_improvements
//   errors f32 [blocks, steps]; better, uint32 [blocks, words = ⌈steps / 32⌉]: which steps have a
//   smaller error than all before them and than `worst`; any, uint32 [words]: those that do in some
//   block, added to
//   grid ⌈blocks / 256⌉, block 256
//
// quench_search_shrink_{f32,f16,bf16}
//   min, max [rows, across], in place: the range of the best step; better [rows · across, words]
//   grid ⌈rows · across / 256⌉, block 256
//
// Sixteen lanes take the elements of a row of a block, each the partial sum of every sixteenth
// column, for sixteen steps, of which each lane finds one scale. Work is bound by arithmetic; the
// elements that all steps read again are in the first-level cache, and so are the powers.
#include "power.cuh"
#include "scales.cuh"

namespace quench {

// Partial sums of a row, and the steps that are tried by the same lanes.
constexpr int PARTS = 16;

// What is tried: RangeSearch.
struct Search {
  int steps;
  int grid;
  float expansion;
  float exponent;

  template <typename T>
  __device__ __forceinline__ float shrunk(float end, int step) const {
    const float factor = static_cast<float>(1 - static_cast<double>(step) / grid);
    return roundTo<T>(roundTo<T>(end * expansion) * factor);
  }
};

// The nearest value that a code has, of a number between the levels.
struct NearestInteger {
  __device__ __forceinline__ static float of(float x) { return isnan(x) ? 0 : rintf(x); }
};

struct NearestE4m3 {
  __device__ __forceinline__ static float of(float x) { return e4m3Value(FloatCodes().code(x)); }
};

struct NearestE2m1 {
  __device__ __forceinline__ static float of(float x) {
    return e2m1Value(E2m1Codes(false).code(x));
  }
};

// What an element adds to the error.
template <typename T, typename Nearest>
__device__ __forceinline__ float errorOf(float x, Parameters parameters, Levels levels,
                                         const T* __restrict__ powers, float exponent) {
  const float units = roundTo<T>(roundTo<T>(x / parameters.scale) + parameters.zeroPoint);
  const float nearest = Nearest::of(clamp(units, levels.low, levels.high));
  const float value =
      roundTo<T>(roundTo<T>(nearest - parameters.zeroPoint) * parameters.scale);
  const T difference = fromFloat<T>(value - x);
  if constexpr (sizeof(T) == 2) {
    return toFloat(powers[bitCast<uint16_t>(difference) & 0x7FFF]);
  } else {
    return power(fabsf(difference), exponent);
  }
}

template <typename T>
__device__ __forceinline__ Parameters candidateOf(float min, float max, Levels levels,
                                                  bool isPower) {
  if (!isPower) {
    return parametersOf<T>(min, max, levels);
  }
  const float magnitude = larger(fabsf(min), fabsf(max));
  return {e8m0Value(powerOf<T>(magnitude, ilogbf(levels.high))), 0};
}

template <typename T, typename Nearest>
__device__ __forceinline__ void searchSums(const T* __restrict__ x, i64 xStride, i64 rows,
                                           int columns, int blockRows, int blockColumns,
                                           const T* __restrict__ min, i64 minStride,
                                           const T* __restrict__ max, i64 maxStride, Levels levels,
                                           bool isPower, Search search,
                                           const T* __restrict__ powers, float* sums) {
  const int across = (columns + blockColumns - 1) / blockColumns;
  const i64 place = static_cast<i64>(blockIdx.x) * (blockDim.x / PARTS) + threadIdx.x / PARTS;
  // Lanes beyond the end do the work of the last ones, so that all lanes of a warp exchange.
  const i64 at = ::min(place, rows * across - 1);
  const i64 row = at / across;
  const int block = static_cast<int>(at - row * across);
  const int left = block * blockColumns;
  const int width = ::min(blockColumns, columns - left);
  const i64 gridRow = row / blockRows;
  x += row * xStride + left;
  const int part = threadIdx.x % PARTS;
  const int firstStep = blockIdx.y * PARTS;
  const float smallest = toFloat(min[gridRow * minStride + block]);
  const float largest = toFloat(max[gridRow * maxStride + block]);
  const int step = firstStep + part;
  const Parameters own = candidateOf<T>(search.shrunk<T>(smallest, step),
                                        search.shrunk<T>(largest, step), levels, isPower);
  float result = 0;
  for (int i = 0; i < ::min(PARTS, search.steps - firstStep); ++i) {
    const Parameters parameters{__shfl_sync(0xFFFFFFFF, own.scale, i, PARTS),
                                __shfl_sync(0xFFFFFFFF, own.zeroPoint, i, PARTS)};
    float sum = 0;
    for (int c = part; c < width; c += PARTS) {
      sum += errorOf<T, Nearest>(toFloat(x[c]), parameters, levels, powers, search.exponent);
    }
    // Both lanes of a pair get the same bits.
    for (int half = PARTS / 2; half > 0; half /= 2) {
      sum += __shfl_xor_sync(0xFFFFFFFF, sum, half);
    }
    result = part == i ? sum : result;
  }
  if (place < rows * across && step < search.steps) {
    sums[at * search.steps + step] = blockRows == 1 ? roundTo<T>(result) : result;
  }
}

template <typename T>
__device__ __forceinline__ void searchErrors(const float* __restrict__ sums, i64 rows, int across,
                                             int blockRows, int steps, float* errors) {
  const i64 i = globalThread();
  const i64 blocks = (rows + blockRows - 1) / blockRows * across;
  if (i >= blocks * steps) {
    return;
  }
  const i64 block = i / steps;
  const i64 top = block / across * blockRows;
  const i64 end = ::min(top + blockRows, rows);
  const i64 apart = static_cast<i64>(across) * steps;
  const float* from = sums + top * apart + (block % across) * steps + i % steps;
  double sum = 0;
#pragma unroll 4
  for (i64 row = top; row < end; ++row) {
    sum += *from;
    from += apart;
  }
  errors[i] = roundTo<T>(static_cast<float>(sum));
}

// The step before which the search ends for all blocks.
__device__ __forceinline__ int endOf(const uint32_t* __restrict__ any, int steps, int patience) {
  int idle = 0;
  for (int step = 0; step < steps; ++step) {
    idle = any[step / 32] >> (step % 32) & 1 ? 0 : idle + 1;
    if (idle == patience) {
      return step;
    }
  }
  return steps;
}

template <typename T>
__device__ __forceinline__ void searchShrink(T* min, i64 minStride, T* max, i64 maxStride, i64 rows,
                                             int across, Search search, int patience,
                                             const uint32_t* __restrict__ better,
                                             const uint32_t* __restrict__ any) {
  const i64 i = globalThread();
  if (i >= rows * across) {
    return;
  }
  better += i * ((search.steps + 31) / 32);
  int best = endOf(any, search.steps, patience) - 1;
  while (best > 0 && !(better[best / 32] >> (best % 32) & 1)) {
    --best;
  }
  best = ::max(best, 0);
  const i64 row = i / across;
  min += row * minStride + i % across;
  max += row * maxStride + i % across;
  *min = fromFloat<T>(search.shrunk<T>(toFloat(*min), best));
  *max = fromFloat<T>(search.shrunk<T>(toFloat(*max), best));
}

}  // namespace quench

using namespace quench;

#define QUENCH_POWERS(T)                                                                         \
  extern "C" __global__ void __launch_bounds__(256) quench_search_powers_##T(float exponent,     \
                                                                             T* powers) {        \
    const uint16_t bits = static_cast<uint16_t>(globalThread());                                 \
    powers[bits] = fromFloat<T>(power(toFloat(bitCast<T>(bits)), exponent));                     \
  }

#define QUENCH_SUMS(T, CODES, Nearest)                                                           \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_search_sums_##T##_##CODES(         \
      const T* __restrict__ x, i64 xStride, i64 rows, int columns, int blockRows,                \
      int blockColumns, const T* __restrict__ min, i64 minStride, const T* __restrict__ max,     \
      i64 maxStride, float low, float high, int symmetric, int isPower, int steps, int grid,     \
      float expansion, float exponent, const T* __restrict__ powers, float* sums) {              \
    searchSums<T, Nearest>(x, xStride, rows, columns, blockRows, blockColumns, min, minStride,   \
                           max, maxStride, Levels{low, high, symmetric != 0}, isPower != 0,      \
                           Search{steps, grid, expansion, exponent}, powers, sums);              \
  }

#define QUENCH_SEARCH(T)                                                                         \
  QUENCH_SUMS(T, int, NearestInteger)                                                            \
  QUENCH_SUMS(T, e4m3, NearestE4m3)                                                              \
  QUENCH_SUMS(T, e2m1, NearestE2m1)                                                              \
  extern "C" __global__ void __launch_bounds__(256) quench_search_errors_##T(                    \
      const float* __restrict__ sums, i64 rows, int across, int blockRows, int steps,            \
      float* errors) {                                                                           \
    searchErrors<T>(sums, rows, across, blockRows, steps, errors);                               \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(256) quench_search_shrink_##T(                    \
      T* min, i64 minStride, T* max, i64 maxStride, i64 rows, int across, int steps, int grid,   \
      float expansion, int patience, const uint32_t* __restrict__ better,                        \
      const uint32_t* __restrict__ any) {                                                        \
    searchShrink(min, minStride, max, maxStride, rows, across, Search{steps, grid, expansion, 0}, \
                 patience, better, any);                                                         \
  }

QUENCH_POWERS(f16)
QUENCH_POWERS(bf16)
QUENCH_SEARCH(f32)
QUENCH_SEARCH(f16)
QUENCH_SEARCH(bf16)

extern "C" __global__ void __launch_bounds__(256)
    quench_search_improvements(const float* __restrict__ errors, i64 blocks, int steps, float worst,
                               uint32_t* better, uint32_t* any) {
  const i64 block = globalThread();
  const bool isActive = block < blocks;
  const int words = (steps + 31) / 32;
  errors += block * steps;
  float best = worst;
  for (int word = 0; word < words; ++word) {
    uint32_t bits = 0;
    if (isActive) {
      for (int i = 0; i < ::min(32, steps - 32 * word); ++i) {
        const float error = errors[32 * word + i];
        if (error < best) {
          best = error;
          bits |= 1u << i;
        }
      }
      better[block * words + word] = bits;
    }
    const uint32_t ofWarp = __reduce_or_sync(0xFFFFFFFF, bits);
    if (threadIdx.x % 32 == 0 && ofWarp != 0) {
      atomicOr(any + word, ofWarp);
    }
  }
}
