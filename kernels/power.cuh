// The power that Java's StrictMath has, which is fdlibm's __ieee754_pow.
#pragma once

#include "common.cuh"

namespace quench {

__device__ __forceinline__ double withLow0(double x) {
  return __hiloint2double(__double2hiint(x), 0);
}

__device__ __forceinline__ double withHigh(double x, int high) {
  return __hiloint2double(high, __double2loint(x));
}

// A number in two parts, the first of which is much larger.
struct Parts {
  double high;
  double low;
};

// log2(x), for positive normal x: with the interval's centre c, 1 or 1.5, and s = (x − c) / (x + c),
// log(x / c) = 2s + s³ · polynomial(s²).
__device__ inline Parts log2Parts(double x) {
  int ix = __double2hiint(x);
  int n = (ix >> 20) - 0x3FF;
  const int significand = ix & 0x000FFFFF;
  ix = significand | 0x3FF00000;
  bool upper = false;
  if (significand > 0x3988E) {  // √1.5
    if (significand < 0xBB67A) {  // √3
      upper = true;
    } else {
      ++n;
      ix -= 0x00100000;
    }
  }
  x = withHigh(x, ix);
  const double centre = upper ? 1.5 : 1;
  const double centreHigh = upper ? 0x1.2b803400p-1 : 0;  // log2(1.5)
  const double centreLow = upper ? 0x1.cfdeb43cfd006p-27 : 0;

  double u = x - centre;
  double v = 1 / (x + centre);
  const double s = u * v;
  const double sHigh = withLow0(s);
  double tHigh =
      __hiloint2double(((ix >> 1) | 0x20000000) + 0x00080000 + (upper ? 1 << 18 : 0), 0);
  double tLow = x - (tHigh - centre);
  const double sLow = v * ((u - sHigh * tHigh) - sHigh * tLow);
  double s2 = s * s;
  double r = 0x1.a7e284a454eefp-3;
  r = 0x1.d864a93c9db65p-3 + s2 * r;
  r = 0x1.17460a91d4101p-2 + s2 * r;
  r = 0x1.55555518f264dp-2 + s2 * r;
  r = 0x1.b6db6db6fabffp-2 + s2 * r;
  r = 0x1.3333333333303p-1 + s2 * r;
  r = s2 * s2 * r;
  r += sLow * (sHigh + s);
  s2 = sHigh * sHigh;
  tHigh = withLow0(3 + s2 + r);
  tLow = r - ((tHigh - 3) - s2);
  u = sHigh * tHigh;
  v = sLow * tHigh + tLow * s;
  const double pHigh = withLow0(u + v);
  const double pLow = v - (pHigh - u);
  // 2 / (3 log 2)
  const double zHigh = 0x1.ec709ep-1 * pHigh;
  const double zLow = -0x1.e2fe0145b01f5p-28 * pHigh + pLow * 0x1.ec709dc3a03fdp-1 + centreLow;
  const double t = n;
  const double high = withLow0(((zHigh + zLow) + centreHigh) + t);
  return {high, zLow - (((high - t) - centreHigh) - zHigh)};
}

// 2^(high + low), of which the sum is z, |z| ≤ 1024 or so; 0 if it is subnormal.
__device__ inline double exp2Parts(double z, double high, double low) {
  const int j = __double2hiint(z);
  const int magnitude = j & 0x7FFFFFFF;
  int n = 0;
  if (magnitude > 0x3FE00000) {  // more than ½: n = ⌊z + ½⌋
    n = j + (0x00100000 >> ((magnitude >> 20) - 0x3FF + 1));
    const int k = ((n & 0x7FFFFFFF) >> 20) - 0x3FF;
    high -= __hiloint2double(n & ~(0x000FFFFF >> k), 0);
    n = ((n & 0x000FFFFF) | 0x00100000) >> (20 - k);
    n = j < 0 ? -n : n;
  }
  double t = withLow0(low + high);
  const double u = t * 0x1.62e43p-1;
  const double v = (low - (t - high)) * 0x1.62e42fefa39efp-1 + t * -0x1.05c610ca86c39p-29;
  z = u + v;
  const double w = v - (z - u);
  t = z * z;
  double p = 0x1.6376972bea4d0p-25;
  p = -0x1.bbd41c5d26bf1p-20 + t * p;
  p = 0x1.1566aaf25de2cp-14 + t * p;
  p = -0x1.6c16c16bebd93p-9 + t * p;
  p = 0x1.555555555553ep-3 + t * p;
  p = z - t * p;
  const double r = (z * p) / (p - 2) - (w + z * w);
  z = 1 - (r - z);
  const int exponent = __double2hiint(z) + (n << 20);
  return exponent >> 20 <= 0 ? 0 : withHigh(z, exponent);
}

// StrictMath.pow(x, y), rounded to float, of x ≥ 0 or NaN and y > 0.
__device__ inline float power(float x, float y) {
  if (isnan(x) || isnan(y)) {
    return NAN;
  }
  const double wide = x;
  if (y == 2) {
    return static_cast<float>(wide * wide);
  }
  if (y == 0.5f) {
    return static_cast<float>(__dsqrt_rn(wide));
  }
  if (y == 1 || x == 0 || x == 1 || x == INFINITY) {
    return x;
  }
  if (y > 0x1p31f) {  // no float is so close to 1 that this isn't beyond the others
    return x < 1 ? 0 : INFINITY;
  }
  const Parts log2 = log2Parts(wide);
  const double exponent = y;
  const double exponentHigh = withLow0(exponent);
  const double low = (exponent - exponentHigh) * log2.high + exponent * log2.low;
  const double high = exponentHigh * log2.high;
  const double z = low + high;
  // Beyond what a float holds.
  if (z >= 200) {
    return INFINITY;
  }
  if (z <= -200) {
    return 0;
  }
  return static_cast<float>(exp2Parts(z, high, low));
}

}  // namespace quench
