// Elementwise arithmetic on f32 in place: y(r, c) = f(y(r, c), other operand). All are exact: one
// IEEE operation an element.
//
// A matrix is (address of element (0, 0), elements between two rows), a row vector its address.
// Alignment: that of an element; 16-byte accesses where addresses and strides allow it. Grid,
// block: as overQuads says (elements.cuh), 4 quads a thread. 256 threads, no shared memory. Where
// all operands are dense, a caller may pass a matrix as one row (not for those that take a row
// vector).
//
// quench_add_f32:            y += x
// quench_round_f16, _bf16:   y = y rounded to the nearest f16 or bf16, ties to even
// quench_scale_columns_f32:  y[r, :] *= factors
// quench_add_row_f32:        y[r, :] += bias
#include "elements.cuh"

namespace quench {

struct Plus {
  __device__ float operator()(float y, float x) const { return __fadd_rn(y, x); }
};

struct Times {
  __device__ float operator()(float y, float x) const { return __fmul_rn(y, x); }
};

// y = f(y, x), where x may be a row vector, with stride 0.
template <class Function>
struct Combine {
  struct Packet {
    Quad<float> y;
    Quad<float> x;
  };
  const float* x;
  i64 xStride;
  float* y;
  i64 yStride;

  __device__ bool aligned() const { return quadsAligned(x, xStride) && quadsAligned(y, yStride); }

  template <bool kWhole>
  __device__ Packet load(i64 row, i64 column, i64 count) const {
    return {
        loadQuad<kWhole>(y + row * yStride + column, count),
        loadQuad<kWhole>(x + row * xStride + column, count)};
  }

  template <bool kWhole>
  __device__ void store(i64 row, i64 column, i64 count, const Packet& packet) const {
    Quad<float> result;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      result.at[i] = Function()(packet.y.at[i], packet.x.at[i]);
    }
    storeQuad<kWhole>(y + row * yStride + column, count, result);
  }
};

template <class T>
struct Round {
  using Packet = Quad<float>;
  float* y;
  i64 stride;

  __device__ bool aligned() const { return quadsAligned(y, stride); }

  template <bool kWhole>
  __device__ Packet load(i64 row, i64 column, i64 count) const {
    return loadQuad<kWhole>(y + row * stride + column, count);
  }

  template <bool kWhole>
  __device__ void store(i64 row, i64 column, i64 count, const Packet& packet) const {
    Quad<float> result;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      result.at[i] = toFloat(fromFloat<T>(packet.at[i]));
    }
    storeQuad<kWhole>(y + row * stride + column, count, result);
  }
};

extern "C" __global__ void __launch_bounds__(256) quench_add_f32(
    const float* x, i64 xStride, float* y, i64 yStride, i64 rows, i64 columns,
    i32 widthBits) {
  const Combine<Plus> body{x, xStride, y, yStride};
  overQuads<4>(rows, columns, widthBits, body);
}

extern "C" __global__ void __launch_bounds__(256) quench_add_row_f32(
    const float* bias, float* y, i64 stride, i64 rows, i64 columns, i32 widthBits) {
  const Combine<Plus> body{bias, 0, y, stride};
  overQuads<4>(rows, columns, widthBits, body);
}

extern "C" __global__ void __launch_bounds__(256) quench_scale_columns_f32(
    const float* factors, float* y, i64 stride, i64 rows, i64 columns, i32 widthBits) {
  const Combine<Times> body{factors, 0, y, stride};
  overQuads<4>(rows, columns, widthBits, body);
}

extern "C" __global__ void __launch_bounds__(256) quench_round_f16(
    float* y, i64 stride, i64 rows, i64 columns, i32 widthBits) {
  const Round<f16> body{y, stride};
  overQuads<4>(rows, columns, widthBits, body);
}

extern "C" __global__ void __launch_bounds__(256) quench_round_bf16(
    float* y, i64 stride, i64 rows, i64 columns, i32 widthBits) {
  const Round<bf16> body{y, stride};
  overQuads<4>(rows, columns, widthBits, body);
}

}  // namespace quench
