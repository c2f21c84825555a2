// The exponential that softmax and sigmoid need.
#pragma once

#include <cstdint>

namespace quench {

// e^-a for a >= 0, by the steps and with the bits of the CPU's (core's Exp.decay): a = k ln 2 + r
// with |r| <= ln 2 / 2, e^-r by its Taylor polynomial of degree 7 (truncation below 6e-9), then
// 2^-k by a subtraction from the exponent. The polynomial gives 2^64 e^-r and the last product
// rounds, so that results down to the smallest subnormal come out. Relative error below 3 * 2^-24
// where the result is normal, 0 for a = infinity, NaN for NaN. No .approx instruction: the result
// is the same everywhere.
__device__ inline float decay(float a) {
  // Adding 1.5 * 2^23 rounds to an integer, which is the low bits of the sum.
  constexpr float kRound = 12582912.0f;
  constexpr float kLog2E = 1.44269504f;
  // ln 2 in two parts; the first has few enough bits that k times it is exact.
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  // e^-104 is below half of the smallest subnormal.
  constexpr float kLargest = 104.0f;
  constexpr float kUp = 0x1p64f;

  const float clamped = a > kLargest ? kLargest : a;
  const float rounded = __fmaf_rn(clamped, kLog2E, kRound);
  const float k = rounded - kRound;
  float r = __fmaf_rn(k, -kLn2High, clamped);
  r = __fmaf_rn(k, -kLn2Low, r);
  float p = __fmaf_rn(r, -kUp / 5040, kUp / 720);
  p = __fmaf_rn(p, r, -kUp / 120);
  p = __fmaf_rn(p, r, kUp / 24);
  p = __fmaf_rn(p, r, -kUp / 6);
  p = __fmaf_rn(p, r, kUp / 2);
  p = __fmaf_rn(p, r, -kUp);
  p = __fmaf_rn(p, r, kUp);
  const uint32_t scaled = __float_as_uint(p) - (__float_as_uint(rounded) << 23);
  const float e = __uint_as_float(scaled) * 0x1p-64f;
  return a != a ? a : e;  // the bits of a NaN may have turned into an exponent
}

}  // namespace quench
