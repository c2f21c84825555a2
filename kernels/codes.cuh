// Ranges, scales, zero points and codes: what dev.quench.quantization.QuantizationParameters and
// Rounding define, with the same bytes.
//
// Rounding is here twice. `codeByDefinition` is the definition. `codesOfRun` does eight elements at
// once, and multiplies by 1 / scale instead of dividing. It is used for scales from 2⁻⁶⁰ to 1 and
// elements of at most 2⁶⁰, where it gives the same codes:
//
// - A quotient in f16 is x · RN(1 / s) in float, rounded to f16; one in bf16 is x · h + x · l, with
//   RN(1 / s) ≈ h + l, two numbers of bf16, in two operations of bf16. For all pairs of
//   significands, of 11 or 8 bits, that is the correctly rounded quotient: QuotientTest tries them.
// - From q ≈ x · RN(1 / s) in f32, two steps q += (x − s · q) · RN(1 / s) of fused operations give
//   the correctly rounded quotient (Markstein, Computation of elementary functions on the IBM RISC
//   System/6000 processor, 1990: the first step leaves q within one unit in the last place).
// - Nothing overflows. Where a product or remainder is subnormal, the quotient is far below 2⁻¹⁰,
//   half of the smallest code that isn't 0; it isn't 0 itself unless x is, since x / s ≥ x.
//
// Scales that are powers of two, as those of the MX formats are, need none of this: PowerDivisor.
#pragma once

#include "runs.cuh"

namespace quench {

// ---- ranges

// Range of some elements and 0.
template <typename T>
struct Range {
  Pair<T> smallest = both<T>(0);
  Pair<T> largest = both<T>(0);

  __device__ __forceinline__ void add(const Run<T>& run) {
#pragma unroll
    for (int i = 0; i < RUN / 2; ++i) {
      smallest = smaller(smallest, run.pairs[i]);
      largest = larger(largest, run.pairs[i]);
    }
  }
};

template <typename T>
__device__ __forceinline__ Range<T> rangeOf(const Run<T> (&runs)[RUNS]) {
  Range<T> range;
#pragma unroll
  for (int k = 0; k < RUNS; ++k) {
    range.add(runs[k]);
  }
  return range;
}

// The same as one pair: the largest, and the smallest with its sign changed. The range of several
// is the larger of both parts; NaN stays NaN, and −0 counts as less than 0.
template <typename T>
__device__ __forceinline__ Pair<T> keyOf(const Range<T>& range) {
  const Pair<T> opposite = negated(range.smallest);
  return larger(firsts(range.largest, opposite), seconds(range.largest, opposite));
}

// Over `lanes` neighbouring lanes, a power of two.
template <typename P>
__device__ __forceinline__ P largestOfLanes(P key, int lanes) {
  for (int bit = 1; bit < lanes; bit *= 2) {
    key = larger(key, exchanged(key, bit));
  }
  return key;
}

// Over all threads of a block of whole warps. The shared memory must not be in use.
template <typename P>
__device__ __forceinline__ P largestOfBlock(P key, P* shared) {
  key = largestOfLanes(key, 32);
  if (blockDim.x == 32) {
    return key;
  }
  const int warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) {
    shared[threadIdx.x / 32] = key;
  }
  __syncthreads();
  const int lane = threadIdx.x % 32;
  key = largestOfLanes(shared[lane < warps ? lane : 0], 32);
  __syncthreads();
  return key;
}

// ---- scales and zero points

// Codes from `low` to `high`; what the recipe says of them.
struct Levels {
  float low;
  float high;
  bool symmetric;
};

// Scale, a value of the dtype, and zero point, one of int8.
struct Parameters {
  float scale;
  float zeroPoint;
};

template <typename T>
__device__ __forceinline__ float epsilon();
template <>
__device__ __forceinline__ float epsilon<f32>() {
  return 0x1p-23f;
}
template <>
__device__ __forceinline__ float epsilon<f16>() {
  return 0x1p-10f;
}
template <>
__device__ __forceinline__ float epsilon<bf16>() {
  return 0x1p-7f;
}

template <typename T>
__device__ __forceinline__ Parameters parametersOf(float min, float max, Levels levels) {
  const float codes = levels.high - levels.low;
  Parameters result{0, 0};
  if (levels.symmetric) {
    result.scale = roundTo<T>(larger(fabsf(min), fabsf(max)) / (codes / 2));
  } else {
    result.scale = roundTo<T>(roundTo<T>(max - min) / codes);
    const float zeroPoint = roundTo<T>(levels.low - roundTo<T>(min / result.scale));
    // NaN becomes 0; beyond int8, as E4M3 can be, the lowest bits count.
    result.zeroPoint = static_cast<i8>(__float2int_rn(clamp(zeroPoint, levels.low, levels.high)));
  }
  if (result.scale == 0) {
    result.scale = epsilon<T>();
  }
  return result;
}

// ---- codes

// Added to a float of less than 2²², it leaves the nearest integer, ties to even, in the low bits.
constexpr float INTEGERS = 12582912;

// One instruction; the compiler would make a shift and an addition of it.
__device__ __forceinline__ uint32_t multiplyAdd(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t result;
  asm("mad.lo.u32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
  return result;
}

// Four fields of `base` values each, the first in the lowest bits, given as floats of which each is
// INTEGERS plus an integer; `bias` is added to each.
__device__ __forceinline__ uint32_t joined(float2 first, float2 second, uint32_t base,
                                           uint32_t bias) {
  uint32_t fields = multiplyAdd(__float_as_uint(second.y), base, __float_as_uint(second.x));
  fields = multiplyAdd(fields, base, __float_as_uint(first.y));
  fields = multiplyAdd(fields, base, __float_as_uint(first.x));
  const uint32_t ones = (base * base + 1) * (base + 1);
  return fields + ones * (bias - __float_as_uint(INTEGERS));
}

// Integer codes of `width` bits: code q as q + 2^(width−1), or as int8 where `flip` inverts the
// highest bit of each byte.
struct IntegerCodes {
  static constexpr bool CLAMPS = false;
  int width;
  uint32_t flip;

  __device__ __forceinline__ IntegerCodes(int bits, bool packed)
      : width(packed ? bits : 8), flip(packed ? 0 : 0x80808080) {}

  // Of finite values between the levels: four codes, the first in the lowest bits.
  template <typename P>
  __device__ __forceinline__ uint32_t word(P a, P b) const {
    const float2 integers = both<f32>(INTEGERS);
    const uint32_t base = 1u << width;
    return joined(plus(widen(a), integers), plus(widen(b), integers), base, base / 2) ^ flip;
  }

  // Of any value between the levels, or NaN, whose code is 0.
  __device__ __forceinline__ uint32_t code(float value) const {
    const uint32_t code = __float2int_rn(value) + (1 << (width - 1));
    return (code ^ flip) & ((1 << width) - 1);
  }
};

// The E4M3 code of a magnitude of at most 448, in the lowest byte; above it is something else.
// Adding 2²⁰ times its power of two, or that of the smallest normal number, leaves its significand,
// rounded, as an integer of at most 16 in the lowest bits.
__device__ __forceinline__ uint32_t e4m3Magnitude(float value) {
  const uint32_t exponent = __float_as_uint(value) & 0x7F800000;
  const float power = fmaxf(__uint_as_float(exponent), 0x1p-6f);
  const float rounded = __fmaf_rn(0x1p20f, power, fabsf(value));
  return __float_as_uint(rounded) + (__float_as_uint(power) >> 20) - ((127 - 6) << 3);
}

// The value of an E4M3 code. The exponent's bias is put right by a product, which is exact for
// subnormal numbers too.
__device__ __forceinline__ float e4m3Value(uint32_t code) {
#if __CUDA_ARCH__ >= 890
  return __half2float(__nv_cvt_fp8_to_halfraw(static_cast<e4m3>(code), __NV_E4M3));
#else
  const uint32_t magnitude = code & 0x7F;
  const float value = __uint_as_float(magnitude << 20) * 0x1p120f;
  const uint32_t bits = __float_as_uint(magnitude == 0x7F ? NAN : value);
  return __uint_as_float(bits | (code & 0x80) << 24);
#endif
}

// E4M3 codes, a byte each.
struct FloatCodes {
  static constexpr bool CLAMPS = false;
  static constexpr int width = 8;

  template <typename P>
  __device__ __forceinline__ uint32_t word(P a, P b) const {
    const float2 first = widen(a);
    const float2 second = widen(b);
#if __CUDA_ARCH__ >= 890
    return converted(first) | static_cast<uint32_t>(converted(second)) << 16;
#else
    const uint32_t low = __byte_perm(e4m3Magnitude(first.x), e4m3Magnitude(first.y), 0x0040);
    const uint32_t high = __byte_perm(e4m3Magnitude(second.x), e4m3Magnitude(second.y), 0x0040);
    return __byte_perm(low, high, 0x5410) | (signs(a, b) & 0x80808080);
#endif
  }

  __device__ __forceinline__ uint32_t code(float value) const {
    const uint32_t sign = (__float_as_uint(value) >> 24) & 0x80;
    return sign | (isnan(value) ? 0x7F : e4m3Magnitude(value) & 0x7F);
  }

 private:
#if __CUDA_ARCH__ >= 890
  __device__ __forceinline__ static uint16_t converted(float2 values) {
    return __nv_cvt_float2_to_fp8x2(values, __NV_SATFINITE, __NV_E4M3);
  }
#endif
};

// The index of a magnitude's nearest neighbour among 0, ½, 1, 1½, 2, 3, 4 and 6, plus INTEGERS. As
// a function of the magnitude the index is the least of three lines; each is rounded once, to an
// integer, ties to even.
__device__ __forceinline__ float e2m1Index(float magnitude) {
  const float halves = __fmaf_rn(magnitude, 2, INTEGERS);
  const float ones = magnitude + (INTEGERS + 2);
  const float twos = __fmaf_rn(magnitude, 0.5f, INTEGERS + 4);
  return fminf(fminf(halves, ones), fminf(twos, INTEGERS + 7));
}

// The value of an E2M1 code, of which the four lowest bits count. The exponent's bias is put right
// by a product, which is exact for ½ too, a subnormal number until then.
__device__ __forceinline__ float e2m1Value(uint32_t code) {
  const float magnitude = __uint_as_float((code & 7) << 22) * 0x1p126f;
  return __uint_as_float(__float_as_uint(magnitude) | (code & 8) << 28);
}

// E2M1 codes in 4 bits, or in the low half of 8.
struct E2m1Codes {
  static constexpr bool CLAMPS = true;  // word() takes what is beyond the levels too
  int width;

  __device__ __forceinline__ explicit E2m1Codes(bool packed) : width(packed ? 4 : 8) {}

  // Of anything but NaN and −0.
  template <typename P>
  __device__ __forceinline__ uint32_t word(P a, P b) const {
    const float2 first = widen(a);
    const float2 second = widen(b);
    const uint32_t base = 1u << width;
    const uint32_t indices = joined(indicesOf(first), indicesOf(second), base, 0);
    // The highest bits of each value, of which the sign stays.
    uint32_t signs = __float_as_uint(second.y) >> (32 - width);
    signs = __funnelshift_l(__float_as_uint(second.x), signs, width);
    signs = __funnelshift_l(__float_as_uint(first.y), signs, width);
    signs = __funnelshift_l(__float_as_uint(first.x), signs, width);
    const uint32_t ones = (base * base + 1) * (base + 1);
    return indices | (signs & ones * (base / 2)) >> (width - 4);
  }

  // Of any value; that of NaN is 0, and so is that of −0.
  __device__ __forceinline__ uint32_t code(float value) const {
    const uint32_t index = __float_as_uint(e2m1Index(fabsf(value))) & 7;
    return (isnan(value) ? 0 : index) | (value < 0 ? 8 : 0);
  }

 private:
  __device__ __forceinline__ static float2 indicesOf(float2 values) {
    return make_float2(e2m1Index(fabsf(values.x)), e2m1Index(fabsf(values.y)));
  }
};

// Division of elements of dtype T by a scale, in the dtype Units. `suits` says of which scales.
//
// From 2⁻⁶⁰ to 1, in T.
template <typename T>
struct Divisor;

__device__ __forceinline__ bool isUsual(float scale) { return scale >= 0x1p-60f && scale <= 1; }

template <>
struct Divisor<f32> {
  using Units = f32;
  float scale;
  float reciprocal;

  __device__ __forceinline__ explicit Divisor(float scale)
      : scale(scale), reciprocal(__frcp_rn(scale)) {}

  __device__ __forceinline__ static bool suits(float scale) { return isUsual(scale); }

  __device__ __forceinline__ float2 quotient(float2 x) const {
    return make_float2(quotient(x.x), quotient(x.y));
  }

 private:
  __device__ __forceinline__ float quotient(float x) const {
    float q = x * reciprocal;
    q = __fmaf_rn(__fmaf_rn(-scale, q, x), reciprocal, q);
    return __fmaf_rn(__fmaf_rn(-scale, q, x), reciprocal, q);
  }
};

template <>
struct Divisor<f16> {
  using Units = f16;
  float reciprocal;

  __device__ __forceinline__ explicit Divisor(float scale) : reciprocal(__frcp_rn(scale)) {}

  __device__ __forceinline__ static bool suits(float scale) { return isUsual(scale); }

  __device__ __forceinline__ __half2 quotient(__half2 x) const {
    const float2 wide = widen(x);
    return narrow<f16>(make_float2(wide.x * reciprocal, wide.y * reciprocal));
  }
};

template <>
struct Divisor<bf16> {
  using Units = bf16;
  __nv_bfloat162 high;
  __nv_bfloat162 low;

  __device__ __forceinline__ explicit Divisor(float scale) {
    const float reciprocal = __frcp_rn(scale);
    high = both<bf16>(reciprocal);
    low = both<bf16>(reciprocal - widen(high).x);
  }

  __device__ __forceinline__ static bool suits(float scale) { return isUsual(scale); }

  __device__ __forceinline__ __nv_bfloat162 quotient(__nv_bfloat162 x) const {
    return __hfma2(x, high, __hmul2(x, low));
  }
};

// From 2⁻⁶⁰ to 1, in float.
template <typename T>
struct WideDivisor {
  using Units = f32;
  Divisor<f32> divisor;

  __device__ __forceinline__ explicit WideDivisor(float scale) : divisor(scale) {}

  __device__ __forceinline__ static bool suits(float scale) { return isUsual(scale); }

  __device__ __forceinline__ float2 quotient(Pair<T> x) const { return divisor.quotient(widen(x)); }
};

// A power of two from 2⁻¹²⁷ to 2¹²⁷: its reciprocal is one too, so that the product is the same
// number as the quotient before both are rounded.
template <typename T>
struct PowerDivisor {
  using Units = T;
  float reciprocal;

  __device__ __forceinline__ explicit PowerDivisor(float scale) : reciprocal(__frcp_rn(scale)) {}

  __device__ __forceinline__ static bool suits(float scale) { return !isnan(scale); }

  __device__ __forceinline__ Pair<T> quotient(Pair<T> x) const {
    const float2 wide = widen(x);
    return narrow<T>(make_float2(wide.x * reciprocal, wide.y * reciprocal));
  }
};

// Whether all elements of a range allow to multiply by the reciprocal.
template <typename P>
__device__ __forceinline__ bool isModerate(P key) {
  const float2 wide = widen(key);
  return larger(wide.x, wide.y) <= 0x1p60f;
}

// The code of any element by definition; D is the dtype of the arithmetic.
template <typename D, typename Codes>
__device__ __forceinline__ uint32_t codeByDefinition(float x, Parameters parameters, Levels levels,
                                                     Codes codes) {
  float value = roundTo<D>(x / parameters.scale);
  value = roundTo<D>(value + parameters.zeroPoint);
  return codes.code(clamp(value, levels.low, levels.high));
}

// Those of the elements of a run: codeOf(i) is that of element i. What lies after `count` codes is
// 0.
template <typename Codes, typename CodeOf>
__device__ __forceinline__ uint2 codesOneByOne(int count, Codes codes, CodeOf codeOf) {
  uint32_t words[2] = {0, 0};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll 1
    for (int i = ::min(count, 4 * half + 4) - 1; i >= 4 * half; --i) {
      words[half] = words[half] << codes.width | codeOf(i);
    }
  }
  return make_uint2(words[0], words[1]);
}

// What makes codes of elements of dtype T that share a scale.
template <typename T, typename Codes, typename Divide = Divisor<T>>
class Rounder {
  using Units = typename Divide::Units;

 public:
  Parameters parameters;
  bool isUsual;  // the scale suits the divisor

  __device__ __forceinline__ Rounder(Parameters parameters, Levels levels, Codes codes)
      : parameters(parameters),
        isUsual(Divide::suits(parameters.scale)),
        levels(levels),
        codes(codes),
        divisor(parameters.scale),
        zeroPoint(both<Units>(parameters.zeroPoint)),
        low(both<Units>(levels.low)),
        high(both<Units>(levels.high)) {}

  // Codes of moderate elements under a usual scale.
  __device__ __forceinline__ uint2 codesOfRun(const Run<T>& run) const {
    Pair<Units> values[RUN / 2];
#pragma unroll
    for (int i = 0; i < RUN / 2; ++i) {
      values[i] = plus(divisor.quotient(run.pairs[i]), zeroPoint);
      if constexpr (!Codes::CLAMPS) {
        values[i] = smaller(larger(values[i], low), high);
      }
    }
    return make_uint2(codes.word(values[0], values[1]), codes.word(values[2], values[3]));
  }

  // Codes of anything, by definition.
  __device__ __forceinline__ uint2 codesOfAny(const T* __restrict__ x, int count) const {
    return codesOneByOne(count, codes, [this, x](int i) {
      return codeByDefinition<Units>(toFloat(x[i]), parameters, levels, codes);
    });
  }

 private:
  Levels levels;
  Codes codes;
  Divide divisor;
  Pair<Units> zeroPoint;
  Pair<Units> low;
  Pair<Units> high;
};

}  // namespace quench
