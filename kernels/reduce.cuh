// Reductions over a block in an order that depends on its size alone.
#pragma once

namespace quench {

struct Sum {
  static constexpr float kNone = 0.0f;
  __device__ float operator()(float a, float b) const { return a + b; }
};

// Skips NaNs.
struct Max {
  static constexpr float kNone = -__builtin_huge_valf();
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// The operation commutes, so a butterfly gives every lane the same bits.
template <class Operation>
__device__ inline float warpReduce(float value, Operation operation) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = operation(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
  }
  return value;
}

// Reduces one value a thread of a block of whole warps; every thread gets the result. `scratch`: 32
// floats of shared memory, free again after the block's next barrier.
template <class Operation>
__device__ inline float blockReduce(float value, float* scratch, Operation operation) {
  const int lane = threadIdx.x % 32;
  const int warps = blockDim.x / 32;
  value = warpReduce(value, operation);
  if (lane == 0) {
    scratch[threadIdx.x / 32] = value;
  }
  __syncthreads();
  return warpReduce(lane < warps ? scratch[lane] : Operation::kNone, operation);
}

}  // namespace quench
