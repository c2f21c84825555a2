// quench_log_probability_f32: out[r] = logits[r, targets[r]] - log(sum over c of exp(logits[r,
// c])).
//
// One block for each row; threads: a multiple of 32, at most 512. One read of the logits: a block
// takes 16 elements a thread at a time and keeps the largest number so far and the sum of
// exponentials relative to it (Milakov and Gimelshein 2018). 256 bytes of static shared memory. A
// target outside [0, columns) traps. The logits are (address of element (0, 0), elements between
// two rows). Alignment: that of an element; 16-byte loads where address and stride allow it.
//
// Error of the sum, relative, in units of u = 2^-24: a term e^d is off by |d| + 3 (decay.cuh). If a
// row fits in 16 elements a thread, nothing is rescaled, and n terms are added with at most n - 1
// roundings. Each further round rescales by a factor that is off by 4 + its distance, and distances
// add up to |d|: 4 for 512 elements or more. The logarithm is off by 2 of itself (CUDA's logf);
// what follows is in double.
#include "decay.cuh"
#include "elements.cuh"
#include "reduce.cuh"

namespace quench {

constexpr int kQuadsAtOnce = 4;

extern "C" __global__ void __launch_bounds__(512) quench_log_probability_f32(
    const float* logits, i64 stride, const i32* targets, float* out, i64 columns) {
  __shared__ float scratch[2][32];
  const bool aligned = quadsAligned(logits, stride);
  const float* row = logits + blockIdx.x * stride;
  float largest = Max::kNone;
  float sum = 0;
  i64 round = 0;
  for (i64 base = 0; base < columns; base += kQuadsAtOnce * 4 * blockDim.x, round++) {
    Quad<float> values[kQuadsAtOnce];
    float candidate = largest;
#pragma unroll
    for (int i = 0; i < kQuadsAtOnce; i++) {
      const i64 column = base + (i * blockDim.x + threadIdx.x) * 4;
      values[i] = loadQuad(row + column, columns - column, aligned, Max::kNone);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        candidate = fmaxf(candidate, values[i].at[j]);
      }
    }
    // Two places in turn, so that one barrier a round is enough.
    candidate = blockReduce(candidate, scratch[round % 2], Max());
    if (candidate > largest) {
      sum *= decay(candidate - largest);
      largest = candidate;
    }
    // If there are only infinities so far, any number keeps their terms 0.
    const float origin = largest == Max::kNone ? 0.0f : largest;
#pragma unroll
    for (int i = 0; i < kQuadsAtOnce; i++) {
      float terms = 0;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        terms += decay(origin - values[i].at[j]);
      }
      sum += terms;
    }
  }
  sum = blockReduce(sum, scratch[round % 2], Sum());
  if (threadIdx.x == 0) {
    const i64 target = targets[blockIdx.x];
    if (target < 0 || target >= columns) {
      __trap();
    }
    const double normalizer = double(largest) + double(logf(sum));
    out[blockIdx.x] = float(double(row[target]) - normalizer);
  }
}

}  // namespace quench
