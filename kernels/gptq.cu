// GPTQ's inner loop: rounds one block of columns of a weight with error feedback (Frantar et al.
// 2022, algorithm 1). The weight is transposed: rows are the block's columns, columns are the
// output channels. Device.gptqBlock defines every operation and their order.
//
// quench_gptq_block_i8, quench_gptq_block_e4m3, quench_gptq_block_e2m1:
//   w f32 [block, channels]; u f32 [block, block], of which only the upper triangle counts;
//   scale, zeroPoint f32 [groups, channels]; group i32 [block];
//   codes int8, E4M3 or E2M1, a byte each, [block, channels]; error f32 [block, channels];
//   loss f32 [channels], added to; low, high: the levels;
//   roundTo 0, 1 or 2: dequantized weights are rounded to f32, f16 or bf16
//   grid ⌈channels / threads⌉, block 32, 64 or 128 threads; any alignment
//
// A thread solves a channel. It holds 32 weights in registers at a time: first it takes the errors
// of all rows before them off, in their order, a tile of 32 × 32 of u after the other in shared
// memory; then it rounds one of the 32 after the other, and takes each error off the rest of them.
// Thus each weight sees the errors in the order of the rows. A thread reads back the errors that it
// has written itself, while they are in the caches; nothing else is read twice.
#include "codes.cuh"

namespace quench {

constexpr int TILE = 32;

// Rows of scales that are loaded ahead of their use.
constexpr int AHEAD = 4;

struct IntegerSolution {
  // The code of x, which may be NaN, and its value.
  __device__ __forceinline__ static float code(float x, float low, float high, uint8_t& code) {
    const float finite = isnan(x) ? 0 : x;
    const float shifted = fminf(fmaxf(finite, low), high) + INTEGERS;
    code = static_cast<uint8_t>(__float_as_uint(shifted));
    return shifted - INTEGERS;
  }
};

struct FloatSolution {
  __device__ __forceinline__ static float code(float x, float low, float high, uint8_t& code) {
    code = static_cast<uint8_t>(FloatCodes().code(clamp(x, low, high)));
    return e4m3Value(code);
  }
};

struct HalfSolution {
  __device__ __forceinline__ static float code(float x, float low, float high, uint8_t& code) {
    code = static_cast<uint8_t>(E2m1Codes(false).code(clamp(x, low, high)));
    return e2m1Value(code);
  }
};

// Copies rows [top, top + 32) and columns [left, left + 32) of u; what lies outside becomes 0.
__device__ __forceinline__ void loadTile(float (&tile)[TILE][TILE], const float* __restrict__ u,
                                         i64 stride, int block, int top, int left) {
  __syncthreads();
  for (int i = threadIdx.x; i < TILE * TILE; i += blockDim.x) {
    const int row = top + i / TILE;
    const int column = left + i % TILE;
    tile[i / TILE][i % TILE] = row < block && column < block ? u[row * stride + column] : 0;
  }
  __syncthreads();
}

// w[i] −= Σ error[j] · u[j, i] over the rows of a tile, in their order.
__device__ __forceinline__ void takeErrors(float (&w)[TILE], const float* error, i64 stride,
                                           const float (&tile)[TILE][TILE]) {
#pragma unroll 4
  for (int j = 0; j < TILE; ++j) {
    const float e = *error;
    error += stride;
#pragma unroll
    for (int i = 0; i < TILE; i += 4) {
      const float4 factors = *reinterpret_cast<const float4*>(&tile[j][i]);
      w[i] = __fmaf_rn(-factors.x, e, w[i]);
      w[i + 1] = __fmaf_rn(-factors.y, e, w[i + 1]);
      w[i + 2] = __fmaf_rn(-factors.z, e, w[i + 2]);
      w[i + 3] = __fmaf_rn(-factors.w, e, w[i + 3]);
    }
  }
}

// Scales and zero points of a channel.
struct Scales {
  const float* scale;
  i64 scaleStride;
  const float* zeroPoint;
  i64 zeroPointStride;
  const i32* group;
  int block;

  // Of a row, or of the last one if there are less.
  __device__ __forceinline__ Parameters at(int row) const {
    const i32 g = __ldg(group + ::min(row, block - 1));
    return Parameters{__ldg(scale + g * scaleStride), __ldg(zeroPoint + g * zeroPointStride)};
  }
};

// Rounds the rows of a tile from `top` on; w, codes and error are at row `top`. Returns Σ error².
template <typename Solution>
__device__ __forceinline__ float roundTile(float (&w)[TILE], const float (&tile)[TILE][TILE],
                                           Scales scales, int top, float low, float high,
                                           int roundTo, uint8_t* codes, i64 codesStride,
                                           float* error, i64 errorStride, float loss) {
  Parameters next[AHEAD];
#pragma unroll
  for (int i = 0; i < AHEAD; ++i) {
    next[i] = scales.at(top + i);
  }
#pragma unroll
  for (int i = 0; i < TILE; ++i) {
    if (top + i >= scales.block) {
      break;
    }
    const Parameters parameters = next[i % AHEAD];
    if (i + AHEAD < TILE) {
      next[i % AHEAD] = scales.at(top + i + AHEAD);
    }
    const float units = w[i] / parameters.scale + parameters.zeroPoint;
    const float value = Solution::code(units, low, high, *codes);
    const float rounded = roundedTo((value - parameters.zeroPoint) * parameters.scale, roundTo);
    const float e = (w[i] - rounded) / tile[i][i];
    *error = e;
    loss = loss + e * e;
    codes += codesStride;
    error += errorStride;
#pragma unroll
    for (int j = i + 1; j < TILE; ++j) {
      w[j] = __fmaf_rn(-tile[i][j], e, w[j]);
    }
  }
  return loss;
}

template <typename Solution>
__device__ __forceinline__ void solve(const float* __restrict__ w, i64 wStride, int block,
                                      i64 channels, const float* __restrict__ u, i64 uStride,
                                      Scales scales, float low, float high, int roundTo,
                                      uint8_t* codes, i64 codesStride, float* error,
                                      i64 errorStride, float* loss) {
  __shared__ __align__(16) float tile[TILE][TILE];
  const i64 channel = globalThread();
  // The other threads only help to load tiles.
  const bool isActive = channel < channels;
  scales.scale += channel;
  scales.zeroPoint += channel;
  codes += channel;
  error += channel;
  float sum = isActive ? loss[channel] : 0;
  for (int top = 0; top < block; top += TILE) {
    float rows[TILE];
#pragma unroll
    for (int i = 0; i < TILE; ++i) {
      rows[i] = isActive && top + i < block ? w[(top + i) * wStride + channel] : 0;
    }
    for (int before = 0; before < top; before += TILE) {
      loadTile(tile, u, uStride, block, before, top);
      if (isActive) {
        takeErrors(rows, error + before * errorStride, errorStride, tile);
      }
    }
    loadTile(tile, u, uStride, block, top, top);
    if (isActive) {
      sum = roundTile<Solution>(rows, tile, scales, top, low, high, roundTo,
                                codes + top * codesStride, codesStride, error + top * errorStride,
                                errorStride, sum);
    }
  }
  if (isActive) {
    loss[channel] = sum;
  }
}

}  // namespace quench

using namespace quench;

#define QUENCH_GPTQ(CODES, Solution)                                                              \
  extern "C" __global__ void __launch_bounds__(128) quench_gptq_block_##CODES(                    \
      const float* __restrict__ w, i64 wStride, int block, i64 channels,                          \
      const float* __restrict__ u, i64 uStride, const float* __restrict__ scale, i64 scaleStride, \
      const float* __restrict__ zeroPoint, i64 zeroPointStride, const i32* __restrict__ group,    \
      float low, float high, int roundTo, uint8_t* codes, i64 codesStride, float* error,          \
      i64 errorStride, float* loss) {                                                             \
    solve<Solution>(w, wStride, block, channels, u, uStride,                                      \
                    Scales{scale, scaleStride, zeroPoint, zeroPointStride, group, block}, low,    \
                    high, roundTo, codes, codesStride, error, errorStride, loss);                 \
  }

QUENCH_GPTQ(i8, IntegerSolution)
QUENCH_GPTQ(e4m3, FloatSolution)
QUENCH_GPTQ(e2m1, HalfSolution)
