// What scales are kept as: dev.quench.quantization.ScaleFormat, with the same bytes.
#pragma once

#include "codes.cuh"

namespace quench {

// Dtypes of scales by the numbers that kernels are told; those before E4M3 are what is computed in.
enum ScaleDtype { SCALE_F32, SCALE_F16, SCALE_BF16, SCALE_E4M3, SCALE_E8M0 };

constexpr uint32_t E8M0_NAN = 0xFF;

// The value of an E8M0 code, 2^(code − 127).
__device__ __forceinline__ float e8m0Value(uint32_t code) {
  const float normal = __uint_as_float(code << 23);
  return code == 0 ? 0x1p-127f : code == E8M0_NAN ? NAN : normal;
}

// The E8M0 scale of elements of dtype T that are at most `magnitude`. Magnitudes from 1.75 times a
// power of two on count as the next one; that goes into the binade of the largest code, whose
// exponent is `largestExponent`.
template <typename T>
__device__ __forceinline__ uint32_t powerOf(float magnitude, int largestExponent) {
  if (!(magnitude < INFINITY)) {
    return E8M0_NAN;
  }
  constexpr uint32_t QUARTER = 1 << 21;
  int exponent = (__float_as_uint(magnitude) + QUARTER) >> 23;
  constexpr bool isHalf = std::is_same_v<T, f16>;
  if (isHalf && magnitude < 0x1p-14f) {
    // Subnormal: its exponent bits are 0, unless a quarter more makes it normal.
    exponent = magnitude < 0x1.8p-15f ? 0 : 127 - 14;
  }
  const int code = ::max(exponent - largestExponent, 0);
  // What the dtype holds only as 0 is 1 instead.
  return isHalf && code < 127 - 24 ? 127 : code;
}

// The E4M3 scale of elements of dtype T that are at most `magnitude` and go to ±largest.
template <typename T>
__device__ __forceinline__ uint32_t e4m3ScaleOf(float magnitude, float largest, float globalScale) {
  const float scale = roundTo<T>(magnitude / largest) * globalScale;
  const uint32_t code = FloatCodes().code(clamp(scale, -448, 448));
  constexpr uint32_t EIGHTH = 0x20;
  return (code & 0x7F) == 0 ? EIGHTH : code;
}

// A row of scales of any dtype.
struct ScaleRow {
  const void* scales;
  int dtype;
  float globalScale;

  __device__ __forceinline__ float at(i64 i) const {
    return loaded(i) / globalScale;
  }

 private:
  __device__ __forceinline__ float loaded(i64 i) const {
    switch (dtype) {
      case SCALE_F32:
        return static_cast<const f32*>(scales)[i];
      case SCALE_F16:
        return toFloat(static_cast<const f16*>(scales)[i]);
      case SCALE_BF16:
        return toFloat(static_cast<const bf16*>(scales)[i]);
      case SCALE_E4M3:
        return e4m3Value(static_cast<const uint8_t*>(scales)[i]);
      default:
        return e8m0Value(static_cast<const uint8_t*>(scales)[i]);
    }
  }
};

}  // namespace quench
