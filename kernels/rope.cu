// quench_rope_f32: rotary position embedding in place (Su et al. 2021), half-split layout. In each
// head of headDim columns, elements i and i + half turn by the angle whose cosine and sine are
// cos[p, i] and sin[p, i], p = positions[token], i < half; elements from 2 half on stay. Two
// products and a sum an element, each rounded: the CPU's bits.
//
// One block for each token; threads: any number, they share the quads of the heads. No shared
// memory. A position outside [0, positionCount) traps. A matrix is (address of element (0, 0),
// elements between two rows). Alignment: that of an element; 16-byte accesses where addresses and
// strides, headDim and half allow it.
#include "elements.cuh"

namespace quench {

extern "C" __global__ void __launch_bounds__(256) quench_rope_f32(
    float* x, i64 stride, const i32* positions, const float* cos, i64 cosStride,
    const float* sin, i64 sinStride, i64 positionCount, i32 heads, i32 headDim,
    i32 half) {
  const i64 position = positions[blockIdx.x];
  if (position < 0 || position >= positionCount) {
    __trap();
  }
  const float* cosines = cos + position * cosStride;
  const float* sines = sin + position * sinStride;
  float* row = x + blockIdx.x * stride;
  const bool aligned = quadsAligned(x, stride) && quadsAligned(cos, cosStride)
      && quadsAligned(sin, sinStride) && headDim % 4 == 0 && half % 4 == 0;
  const int quads = (half + 3) / 4;
  for (int item = threadIdx.x; item < heads * quads; item += blockDim.x) {
    const int i = item % quads * 4;
    const int count = half - i;
    float* first = row + i64(item / quads) * headDim + i;
    float* second = first + half;
    const Quad<float> a = loadQuad(first, count, aligned);
    const Quad<float> b = loadQuad(second, count, aligned);
    const Quad<float> c = loadQuad(cosines + i, count, aligned);
    const Quad<float> s = loadQuad(sines + i, count, aligned);
    Quad<float> turnedA;
    Quad<float> turnedB;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      turnedA.at[j] = a.at[j] * c.at[j] - b.at[j] * s.at[j];
      turnedB.at[j] = b.at[j] * c.at[j] + a.at[j] * s.at[j];
    }
    storeQuad(first, count, aligned, turnedA);
    storeQuad(second, count, aligned, turnedB);
  }
}

}  // namespace quench
