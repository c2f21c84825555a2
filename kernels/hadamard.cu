// Walsh-Hadamard transform of pieces of rows, in place, F32: v becomes v · H · scale, with H = P ⊗ S,
// S of Sylvester, of order 2^k, P of order 1, 12, 20, 28 or 36, as dev.quench.device.HadamardMatrix
// has them.
//
// quench_hadamard_f32: S of order 2^(low + high), low <= 10, high <= 5, and high > 0 only if low = 10.
// quench_hadamard12_f32, …20_…, …28_…, …36_…: H of order 12 (20, 28, 36) · 2^low, low <= 10.
//   Operands: x, stride; rows, columns; low (int32); high (int32, the first kernel only); span
//   (int32): columns that a block does, a multiple of H's order; scale.
//   grid (⌈columns / span⌉, min(rows, 65535)), block 256; dynamic shared memory of 4 · span bytes, but
//   none for the first kernel with high = 0. x anywhere.
//
//   Each element is read and written once. A warp takes 1,024 columns at a time: bits 0 and 1 and
//   bits 7 to 9 of a column's number are in a thread's registers, bits 2 to 6 are the lane's. So
//   16-byte loads of a warp are 512 bytes side by side. Then the span lies in shared memory, and
//   each thread takes columns that differ in the remaining bits (in P's index), side by side with
//   those of its neighbours: neither access has bank conflicts.
//
// quench_hadamard_strided_f32: the factor of H that acts on numbers at a distance of 2^low columns,
//   for orders that don't fit into shared memory: a power of two up to 32, or P.
//   Operands: x, stride; rows, columns; low, order (int32); scale.
//   grid (⌈columns / order / 128⌉, min(rows, 65535)), block 128, 18,432 bytes of static shared memory.
//   x anywhere.
//
//   Sums: one for each bit, in some order; P of order n takes n - 1, or half of that and two.
#include "elements.cuh"

using namespace quench;

namespace {

constexpr int THREADS = 256;
constexpr int WARP = 32;
constexpr int WARPS = THREADS / WARP;
constexpr int CHUNK = 1024;
constexpr int VALUES = CHUNK / WARP;
constexpr int QUAD = 4;

// One step between values whose numbers differ in that bit.
template <int BIT>
__device__ __forceinline__ void step(float (&v)[VALUES]) {
#pragma unroll
  for (int i = 0; i < VALUES; i++) {
    if ((i >> BIT & 1) == 0) {
      const float a = v[i];
      const float b = v[i + (1 << BIT)];
      v[i] = a + b;
      v[i + (1 << BIT)] = a - b;
    }
  }
}

// One step between lanes that differ in that bit.
__device__ __forceinline__ void laneStep(float (&v)[VALUES], int bit) {
  const float sign = threadIdx.x >> bit & 1 ? -1.0f : 1.0f;
#pragma unroll
  for (int i = 0; i < VALUES; i++) {
    v[i] = __fmaf_rn(sign, v[i], __shfl_xor_sync(0xFFFFFFFF, v[i], 1 << bit));
  }
}

// All steps of the lowest `bits` bits. Value i of a lane is column i / 4 · 128 + lane · 4 + i % 4 of
// the chunk.
__device__ __forceinline__ void transformChunk(float (&v)[VALUES], int bits) {
  if (bits > 0) step<0>(v);
  if (bits > 1) step<1>(v);
#pragma unroll 1
  for (int bit = 0; bit < min(bits - 2, 5); bit++) {
    laneStep(v, bit);
  }
  if (bits > 7) step<2>(v);
  if (bits > 8) step<3>(v);
  if (bits > 9) step<4>(v);
}

__device__ __forceinline__ int quadColumn(int quad) {
  return quad * WARP * QUAD + threadIdx.x % WARP * QUAD;
}

// The first `count` elements from there on; beyond them 0.
__device__ __forceinline__ void loadChunk(float (&v)[VALUES], const f32* from, int count) {
  const bool aligned = isAligned(from, sizeof(Quad<f32>));
#pragma unroll
  for (int quad = 0; quad < VALUES / QUAD; quad++) {
    const int column = quadColumn(quad);
    const Quad<f32> four = loadQuad(from + column, count - column, aligned);
#pragma unroll
    for (int i = 0; i < QUAD; i++) {
      v[quad * QUAD + i] = four.at[i];
    }
  }
}

// Calls store(column, four) for the quads of a chunk, scaled.
template <typename Store>
__device__ __forceinline__ void storeChunk(const float (&v)[VALUES], float scale, Store store) {
#pragma unroll
  for (int quad = 0; quad < VALUES / QUAD; quad++) {
    Quad<f32> four;
#pragma unroll
    for (int i = 0; i < QUAD; i++) {
      four.at[i] = v[quad * QUAD + i] * scale;
    }
    store(quadColumn(quad), four);
  }
}

// Transforms the lowest `bits` bits of columns [0, count) of a row; store(start, v) gets each chunk.
template <typename Store>
__device__ __forceinline__ void transformLow(const f32* from, int count, int bits, Store store) {
  for (int start = threadIdx.x / WARP * CHUNK; start < count; start += WARPS * CHUNK) {
    float v[VALUES];
    loadChunk(v, from + start, count - start);
    transformChunk(v, bits);
    store(start, v);
  }
}

// Calls body(columns, count) for the columns of a block in each of its rows.
template <typename Body>
__device__ __forceinline__ void forRows(f32* x, i64 stride, i64 rows, i64 columns, int span,
                                        Body body) {
  const i64 column = static_cast<i64>(blockIdx.x) * span;
  const int count = static_cast<int>(min(columns - column, static_cast<i64>(span)));
  for (i64 row = blockIdx.y; row < rows; row += gridDim.y) {
    body(x + row * stride + column, count);
  }
}

extern __shared__ __align__(16) float staged[];

// Brings the columns of a block to shared memory, the lowest bits transformed.
__device__ __forceinline__ void stage(const f32* from, int count, int low) {
  __syncthreads();  // what the row before has staged has been read
  transformLow(from, count, low, [&](int start, const float(&v)[VALUES]) {
    storeChunk(v, 1, [&](int column, const Quad<f32>& four) {
      // Staged pieces have a multiple of 4 columns.
      if (start + column + QUAD <= count) {
        *reinterpret_cast<Quad<f32>*>(staged + start + column) = four;
      }
    });
  });
  __syncthreads();
}

// Steps of HIGH bits from bit `low` on. A thread takes 32 columns of a piece: their numbers differ in
// those bits, and if they are less than 5, in the highest ones below as well.
template <int HIGH>
__device__ __forceinline__ void transformHigh(f32* to, int count, int low, float scale) {
  const int itemBits = low + HIGH - 5;
  auto column = [&](int i) { return ((i & ((1 << HIGH) - 1)) << low) + (i >> HIGH << itemBits); };
  for (int item = threadIdx.x; item < count / VALUES; item += THREADS) {
    const int first = (item >> itemBits << (low + HIGH)) + (item & ((1 << itemBits) - 1));
    float v[VALUES];
#pragma unroll
    for (int i = 0; i < VALUES; i++) {
      v[i] = staged[first + column(i)];
    }
    step<0>(v);
    if (HIGH > 1) step<1>(v);
    if (HIGH > 2) step<2>(v);
    if (HIGH > 3) step<3>(v);
    if (HIGH > 4) step<4>(v);
#pragma unroll
    for (int i = 0; i < VALUES; i++) {
      to[first + column(i)] = v[i] * scale;
    }
  }
}

// Paley's conference matrix of order Q + 1: whether an element that isn't 0 is -1. The first row and
// column are 1; elsewhere an element says whether the difference of two elements of the field with Q
// elements is a square. The field is that of the integers modulo Q, but with 9 elements: there a + 3b
// stands for a + b·i, integers modulo 3, i² = -1.
template <int Q>
struct Conference {
  bool negative[Q + 1][Q + 1] = {};

  static constexpr int product(int x, int y) {
    if (Q != 9) {
      return x * y % Q;
    }
    const int real = x % 3 * (y % 3) - x / 3 * (y / 3) + 6;
    const int imaginary = x % 3 * (y / 3) + x / 3 * (y % 3);
    return real % 3 + 3 * (imaginary % 3);
  }

  static constexpr int difference(int x, int y) {
    return Q == 9 ? (x % 3 - y % 3 + 3) % 3 + 3 * ((x / 3 - y / 3 + 3) % 3) : (x - y + Q) % Q;
  }

  constexpr Conference() {
    bool square[Q] = {};
    for (int x = 1; x < Q; x++) {
      square[product(x, x)] = true;
    }
    for (int i = 1; i <= Q; i++) {
      for (int j = 1; j <= Q; j++) {
        negative[i][j] = i != j && !square[difference(i - 1, j - 1)];
      }
    }
  }
};

// P = C ⊗ ((1, 1), (1, -1)) + I ⊗ ((1, -1), (-1, -1)), with C the conference matrix: for the sums a
// and differences d of pairs, result 2i is d_i + Σ C_ij a_j, and 2i + 1 is -a_i + Σ C_ij d_j.
template <int Q>
__device__ __forceinline__ void multiplyByBase(f32* to, const f32* from, int stride, float scale) {
  constexpr int PAIRS = Q + 1;
  constexpr Conference<Q> C;
  float a[PAIRS], d[PAIRS];
#pragma unroll
  for (int i = 0; i < PAIRS; i++) {
    const float x = from[2 * i * stride];
    const float y = from[(2 * i + 1) * stride];
    a[i] = x + y;
    d[i] = x - y;
  }
#pragma unroll
  for (int i = 0; i < PAIRS; i++) {
    float even = d[i];
    float odd = -a[i];
#pragma unroll
    for (int j = 0; j < PAIRS; j++) {
      if (j != i) {
        even = C.negative[i][j] ? even - a[j] : even + a[j];
        odd = C.negative[i][j] ? odd - d[j] : odd + d[j];
      }
    }
    to[2 * i * stride] = even * scale;
    to[(2 * i + 1) * stride] = odd * scale;
  }
}

template <int Q>
__device__ __forceinline__ void transformByBase(f32* x, i64 stride, i64 rows, i64 columns, int low,
                                                int span, float scale) {
  constexpr int ORDER = 2 * (Q + 1);
  const int segment = 1 << low;
  forRows(x, stride, rows, columns, span, [&](f32* to, int count) {
    stage(to, count, low);
    for (int item = threadIdx.x; item < count / ORDER; item += THREADS) {
      const int first = (item >> low) * ORDER * segment + (item & (segment - 1));
      multiplyByBase<Q>(to + first, staged + first, segment, scale);
    }
  });
}

constexpr int STRIDED_THREADS = 128;
constexpr int MAX_ORDER = 36;

__constant__ Conference<5> CONFERENCE_12;
__constant__ Conference<9> CONFERENCE_20;
__constant__ Conference<13> CONFERENCE_28;
__constant__ Conference<17> CONFERENCE_36;

__device__ __forceinline__ bool negativeInConference(int order, int i, int j) {
  return order == 12   ? CONFERENCE_12.negative[i][j]
         : order == 20 ? CONFERENCE_20.negative[i][j]
         : order == 28 ? CONFERENCE_28.negative[i][j]
                       : CONFERENCE_36.negative[i][j];
}

// Whether element (i, j) of the factor is -1.
__device__ __forceinline__ bool negative(int order, int i, int j) {
  if ((order & (order - 1)) == 0) {
    return __popc(i & j) % 2 == 1;
  }
  if (i / 2 == j / 2) {
    return i % 2 + j % 2 > 0;
  }
  return negativeInConference(order, i / 2, j / 2) != (i % 2 + j % 2 == 2);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(THREADS, 2)
    quench_hadamard_f32(f32* x, i64 stride, i64 rows, i64 columns, i32 low, i32 high, i32 span,
                        float scale) {
  forRows(x, stride, rows, columns, span, [&](f32* to, int count) {
    if (high == 0) {
      const bool aligned = isAligned(to, sizeof(Quad<f32>));
      transformLow(to, count, low, [&](int start, const float(&v)[VALUES]) {
        storeChunk(v, scale, [&](int column, const Quad<f32>& four) {
          storeQuad(to + start + column, count - start - column, aligned, four);
        });
      });
      return;
    }
    stage(to, count, low);
    if (high == 1) {
      transformHigh<1>(to, count, low, scale);
    } else if (high == 2) {
      transformHigh<2>(to, count, low, scale);
    } else if (high == 3) {
      transformHigh<3>(to, count, low, scale);
    } else if (high == 4) {
      transformHigh<4>(to, count, low, scale);
    } else {
      transformHigh<5>(to, count, low, scale);
    }
  });
}

#define QUENCH_HADAMARD(ORDER, Q)                                                          \
  extern "C" __global__ void __launch_bounds__(THREADS)                                    \
      quench_hadamard##ORDER##_f32(f32* x, i64 stride, i64 rows, i64 columns, i32 low,     \
                                   i32 span, float scale) {                                \
    transformByBase<Q>(x, stride, rows, columns, low, span, scale);                        \
  }

QUENCH_HADAMARD(12, 5)
QUENCH_HADAMARD(20, 9)
QUENCH_HADAMARD(28, 13)
QUENCH_HADAMARD(36, 17)

extern "C" __global__ void __launch_bounds__(STRIDED_THREADS)
    quench_hadamard_strided_f32(f32* x, i64 stride, i64 rows, i64 columns, i32 low, i32 order,
                                float scale) {
  __shared__ float values[MAX_ORDER][STRIDED_THREADS];
  const i64 item = globalThread();
  if (item >= columns / order) {
    return;
  }
  const i64 distance = 1ll << low;
  const i64 first = (item >> low) * order * distance + (item & (distance - 1));
  for (i64 row = blockIdx.y; row < rows; row += gridDim.y) {
    f32* at = x + row * stride + first;
    for (int i = 0; i < order; i++) {
      values[i][threadIdx.x] = at[i * distance];
    }
    for (int j = 0; j < order; j++) {
      float sum = 0;
      for (int i = 0; i < order; i++) {
        const float value = values[i][threadIdx.x];
        sum += negative(order, i, j) ? -value : value;
      }
      at[j * distance] = sum * scale;
    }
  }
}
