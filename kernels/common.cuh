// What kernels share: how views are addressed, and casts whose meaning is fixed.
//
// A view of a matrix is two parameters: the address of element (0, 0), and the stride between rows
// as int64, in elements. Views may start at any element; whoever loads or stores more than an
// element at a time checks the alignment of that address first.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cstdint>

namespace quench {

using f32 = float;
using f16 = __half;
using bf16 = __nv_bfloat16;
using i8 = int8_t;
using i32 = int32_t;
using i64 = int64_t;
using e4m3 = __nv_fp8_storage_t;

// Index of this thread among all threads along x.
__device__ __forceinline__ i64 globalThread() {
  return static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Threads along x.
__device__ __forceinline__ i64 globalThreads() { return static_cast<i64>(gridDim.x) * blockDim.x; }

template <typename T>
__device__ __forceinline__ bool isAligned(const T* pointer, unsigned bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

// Casts to and from float: to the nearest, ties to even; overflow becomes infinity, NaN stays NaN.
__device__ __forceinline__ float toFloat(f32 x) { return x; }
__device__ __forceinline__ float toFloat(f16 x) { return __half2float(x); }
__device__ __forceinline__ float toFloat(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float toFloat(i8 x) { return static_cast<float>(x); }

template <typename T>
__device__ __forceinline__ T fromFloat(float x);

template <>
__device__ __forceinline__ f32 fromFloat<f32>(float x) {
  return x;
}

template <>
__device__ __forceinline__ f16 fromFloat<f16>(float x) {
  return __float2half_rn(x);
}

template <>
__device__ __forceinline__ bf16 fromFloat<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

}  // namespace quench
