// Arithmetic in the dtype T of a tensor, f32, f16 or bf16: each operation is that of float, rounded
// to T. For f16 and bf16 that is the correctly rounded operation in T, since 24 bits are at least
// twice their 11 and 8 bits, plus two.
//
// Elements are handled as pairs of neighbours, in one register if they have 16 bits.
#pragma once

#include "common.cuh"

namespace quench {

template <typename To, typename From>
__device__ __forceinline__ To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}

template <typename T>
__device__ __forceinline__ float roundTo(float x) {
  return toFloat(fromFloat<T>(x));
}

// The same to a dtype that is known by its number: 0, 1 or 2 for f32, f16 or bf16.
__device__ __forceinline__ float roundedTo(float x, int dtype) {
  return dtype == 0 ? x : dtype == 1 ? roundTo<f16>(x) : roundTo<bf16>(x);
}

// The smaller and the larger of two: −0 is less than 0, and NaN stays NaN.
__device__ __forceinline__ float smaller(float a, float b) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

__device__ __forceinline__ float larger(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

__device__ __forceinline__ float clamp(float x, float low, float high) {
  return smaller(larger(x, low), high);
}

template <typename T>
struct PairOf;

template <>
struct PairOf<f32> {
  using type = float2;
};

template <>
struct PairOf<f16> {
  using type = __half2;
};

template <>
struct PairOf<bf16> {
  using type = __nv_bfloat162;
};

template <typename T>
using Pair = typename PairOf<T>::type;

__device__ __forceinline__ float2 pairOf(f32 x, f32 y) { return make_float2(x, y); }
__device__ __forceinline__ __half2 pairOf(f16 x, f16 y) { return __halves2half2(x, y); }
__device__ __forceinline__ __nv_bfloat162 pairOf(bf16 x, bf16 y) {
  return __halves2bfloat162(x, y);
}

__device__ __forceinline__ float2 widen(float2 a) { return a; }
__device__ __forceinline__ float2 widen(__half2 a) { return __half22float2(a); }
__device__ __forceinline__ float2 widen(__nv_bfloat162 a) { return __bfloat1622float2(a); }

template <typename T>
__device__ __forceinline__ Pair<T> narrow(float2 a);

template <>
__device__ __forceinline__ float2 narrow<f32>(float2 a) {
  return a;
}

template <>
__device__ __forceinline__ __half2 narrow<f16>(float2 a) {
  return __float22half2_rn(a);
}

template <>
__device__ __forceinline__ __nv_bfloat162 narrow<bf16>(float2 a) {
  return __float22bfloat162_rn(a);
}

template <typename T>
__device__ __forceinline__ Pair<T> both(float x) {
  return narrow<T>(make_float2(x, x));
}

__device__ __forceinline__ float2 plus(float2 a, float2 b) {
  return make_float2(a.x + b.x, a.y + b.y);
}
__device__ __forceinline__ __half2 plus(__half2 a, __half2 b) { return __hadd2(a, b); }
__device__ __forceinline__ __nv_bfloat162 plus(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __hadd2(a, b);
}

__device__ __forceinline__ float2 negated(float2 a) { return make_float2(-a.x, -a.y); }
__device__ __forceinline__ __half2 negated(__half2 a) { return __hneg2(a); }
__device__ __forceinline__ __nv_bfloat162 negated(__nv_bfloat162 a) { return __hneg2(a); }

__device__ __forceinline__ float2 smaller(float2 a, float2 b) {
  return make_float2(smaller(a.x, b.x), smaller(a.y, b.y));
}
__device__ __forceinline__ __half2 smaller(__half2 a, __half2 b) { return __hmin2_nan(a, b); }
__device__ __forceinline__ __nv_bfloat162 smaller(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __hmin2_nan(a, b);
}

__device__ __forceinline__ float2 larger(float2 a, float2 b) {
  return make_float2(larger(a.x, b.x), larger(a.y, b.y));
}
__device__ __forceinline__ __half2 larger(__half2 a, __half2 b) { return __hmax2_nan(a, b); }
__device__ __forceinline__ __nv_bfloat162 larger(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __hmax2_nan(a, b);
}

// The first elements of two pairs, and their second elements.
__device__ __forceinline__ float2 firsts(float2 a, float2 b) { return make_float2(a.x, b.x); }
__device__ __forceinline__ __half2 firsts(__half2 a, __half2 b) { return __lows2half2(a, b); }
__device__ __forceinline__ __nv_bfloat162 firsts(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __lows2bfloat162(a, b);
}

__device__ __forceinline__ float2 seconds(float2 a, float2 b) { return make_float2(a.y, b.y); }
__device__ __forceinline__ __half2 seconds(__half2 a, __half2 b) { return __highs2half2(a, b); }
__device__ __forceinline__ __nv_bfloat162 seconds(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __highs2bfloat162(a, b);
}

// The pair of the lane whose number differs in those bits.
template <typename P>
__device__ __forceinline__ P exchanged(P a, int laneBits) {
  return __shfl_xor_sync(0xFFFFFFFF, a, laneBits);
}
__device__ __forceinline__ float2 exchanged(float2 a, int laneBits) {
  return make_float2(__shfl_xor_sync(0xFFFFFFFF, a.x, laneBits),
                     __shfl_xor_sync(0xFFFFFFFF, a.y, laneBits));
}

// Four bytes whose highest bits are the signs of a.x, a.y, b.x and b.y.
__device__ __forceinline__ uint32_t signs(float2 a, float2 b) {
  const uint32_t first = __byte_perm(__float_as_uint(a.x), __float_as_uint(a.y), 0x0073);
  const uint32_t second = __byte_perm(__float_as_uint(b.x), __float_as_uint(b.y), 0x0073);
  return __byte_perm(first, second, 0x5410);
}
template <typename P>
__device__ __forceinline__ uint32_t signs(P a, P b) {
  return __byte_perm(bitCast<uint32_t>(a), bitCast<uint32_t>(b), 0x7531);
}

}  // namespace quench
