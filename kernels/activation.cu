// The gated activations of MLPs: y = activation(gate) * up, f32.
//
// quench_gated_silu_f32: activation(x) = x / (1 + e^-x), for x < 0 as x e^x / (1 + e^x), so that no
// exponential is large. The steps, and so the bits, are the CPU's: an exponential (decay.cuh, 3
// units of roundoff u = 2^-24), a product, a sum, a quotient, a product: within 7u where nothing
// underflows.
//
// y may be gate or up. A matrix is (address of element (0, 0), elements between two rows).
// Alignment: that of an element; 16-byte accesses where addresses and strides allow it. Grid,
// block: as overQuads says (elements.cuh), 2 quads a thread. 256 threads, no shared memory. Where
// all operands are dense, a caller may pass a matrix as one row.
#include "decay.cuh"
#include "elements.cuh"

namespace quench {

struct Silu {
  __device__ float operator()(float x) const {
    const float e = decay(fabsf(x));
    return __fdiv_rn(x < 0 ? x * e : x, 1.0f + e);
  }
};

template <class Activation>
struct Gated {
  struct Packet {
    Quad<float> gate;
    Quad<float> up;
  };
  const float* gate;
  i64 gateStride;
  const float* up;
  i64 upStride;
  float* y;
  i64 yStride;

  __device__ bool aligned() const {
    return quadsAligned(gate, gateStride) && quadsAligned(up, upStride) && quadsAligned(y, yStride);
  }

  template <bool kWhole>
  __device__ Packet load(i64 row, i64 column, i64 count) const {
    return {
        loadQuad<kWhole>(gate + row * gateStride + column, count),
        loadQuad<kWhole>(up + row * upStride + column, count)};
  }

  template <bool kWhole>
  __device__ void store(i64 row, i64 column, i64 count, const Packet& packet) const {
    Quad<float> result;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      result.at[i] = __fmul_rn(Activation()(packet.gate.at[i]), packet.up.at[i]);
    }
    storeQuad<kWhole>(y + row * yStride + column, count, result);
  }
};

extern "C" __global__ void __launch_bounds__(256) quench_gated_silu_f32(
    const float* gate, i64 gateStride, const float* up, i64 upStride, float* y,
    i64 yStride, i64 rows, i64 columns, i32 widthBits) {
  const Gated<Silu> body{gate, gateStride, up, upStride, y, yStride};
  overQuads<2>(rows, columns, widthBits, body);
}

}  // namespace quench
