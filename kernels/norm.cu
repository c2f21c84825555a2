// quench_rms_norm_f32: y[r, :] = x[r, :] / sqrt(mean(x[r, :]^2) + epsilon) * weight, f32 (RMSNorm,
// Zhang and Sennrich 2019).
//
// One block for each row. Threads: a multiple of 32, at most 1024. A thread takes quads, a block's
// width apart; rows of up to 16 elements a thread are read once and kept in registers, longer ones
// are read again. 128 bytes of static shared memory. A matrix is (address of element (0, 0),
// elements between two rows). Alignment: that of an element; 16-byte accesses where addresses and
// strides allow it; the order of the sum doesn't depend on that, but on the number of threads.
//
// Error, in units of u = 2^-24, for n columns: the sum at most n, which the root halves with the
// roundings of the mean and of epsilon; root, reciprocal, two products: n/2 + 5.
#include "elements.cuh"
#include "reduce.cuh"

namespace quench {

constexpr int kHeld = 4;

__device__ inline float addSquares(const Quad<float>& x, float sum) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    sum = __fmaf_rn(x.at[i], x.at[i], sum);
  }
  return sum;
}

__device__ inline Quad<float> scaled(
    const Quad<float>& x, float factor, const Quad<float>& weight) {
  Quad<float> result;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    result.at[i] = x.at[i] * factor * weight.at[i];
  }
  return result;
}

extern "C" __global__ void __launch_bounds__(1024) quench_rms_norm_f32(
    const float* x, i64 xStride, const float* weight, float* y, i64 yStride,
    i64 columns, float epsilon) {
  __shared__ float scratch[32];
  const bool xAligned = quadsAligned(x, xStride);
  const bool aligned = quadsAligned(weight, 0) && quadsAligned(y, yStride);
  const float* from = x + blockIdx.x * xStride;
  float* to = y + blockIdx.x * yStride;
  const int first = threadIdx.x * 4;
  const int step = blockDim.x * 4;

  Quad<float> held[kHeld];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kHeld; i++) {
    const i64 column = first + i * step;
    held[i] = loadQuad(from + column, columns - column, xAligned);
    squares = addSquares(held[i], squares);
  }
  for (i64 column = first + kHeld * step; column < columns; column += step) {
    squares = addSquares(loadQuad(from + column, columns - column, xAligned), squares);
  }
  const float mean = blockReduce(squares, scratch, Sum()) / float(columns);
  const float factor = 1.0f / sqrtf(mean + epsilon);
#pragma unroll
  for (int i = 0; i < kHeld; i++) {
    const i64 column = first + i * step;
    const i64 count = columns - column;
    if (count > 0) {
      const Quad<float> w = loadQuad(weight + column, count, aligned);
      storeQuad(to + column, count, aligned, scaled(held[i], factor, w));
    }
  }
  for (i64 column = first + kHeld * step; column < columns; column += step) {
    const i64 count = columns - column;
    const Quad<float> w = loadQuad(weight + column, count, aligned);
    const Quad<float> values = loadQuad(from + column, count, xAligned);
    storeQuad(to + column, count, aligned, scaled(values, factor, w));
  }
}

}  // namespace quench
