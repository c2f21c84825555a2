// Causal attention, f32 in and out: y = softmax(q k^T scale) v for each head, over sequences that
// lie one after the other; query head h reads key head h / group. Tiles of queries against tiles of
// keys, with the softmax's maximum and sum carried along (Dao et al. 2022): no tokens x tokens
// matrix.
//
// Launch: grid x = tiles of queries of all sequences, y = heads. `starts` [sequences + 1] holds the
// first token of each sequence and the number of tokens, `tiles` [sequences + 1] how many tiles of
// queries lie before each sequence. Matrices are (address of element (0, 0), elements between two
// rows), [tokens, heads * headDim]. Alignment: that of an element; 16-byte loads where addresses,
// strides and headDim allow it.
//
//   kernel                        headDim    threads  queries  keys  shared memory
//   quench_attention_f32_narrow   1 ... 32   64       64       16    4 KiB, static
//   quench_attention_f32_64       33 ... 64  128      64       32    4 (96 * 80 + 32 * 68) bytes
//   quench_attention_f32_128      ... 128    128      64       32    4 (96 * 144 + 32 * 132) bytes
//   quench_attention_f32_256      ... 256    64       32       16    4 (48 * 272 + 16 * 260) bytes
//
// Wide heads: products on tensor cores (mma.sync m16n8k8, tf32). A factor is split into high + low
// of 11 bits each: high is rounded, so that low is off by one unit of the last of 24 bits at most,
// 2 u with u = 2^-24. high*high goes into one sum, high*low + low*high into another (3 products for
// one); dropped is low*low <= 2^-22 |ab| = 4 u |ab|: 8 u |ab| in all. If a tensor core truncates
// each sum (2 u), the large sum of n products is off by n/8 * 2 u, the small one by nothing that
// counts: a score by (headDim/4 + 8 + 2) u of scale * sum |q||k|, below headDim + 2 from 11 on. A
// result of n keys is off by 8 u and 5n/16 u (sums, rescaling) besides its weights. Narrow heads
// take fused multiply-adds: at most headDim + 1 roundings. Weights e^-d: decay.cuh. Infinite
// operands give NaN on tensor cores.
//
// A warp has 16 rows of queries. Thread t of the 4 that share a row g holds columns 2t and 2t + 1
// of the scores, but columns t and t + 4 of a left operand: the sum over the keys (or over the
// elements of a head) is taken in an order in which these are the same, so that scores become
// weights in place and operands come from shared memory in 16 bytes.
#include "decay.cuh"
#include "elements.cuh"

namespace quench {

struct Operands {
  const float* q;
  i64 qStride;
  const float* k;
  i64 kStride;
  const float* v;
  i64 vStride;
  float* y;
  i64 yStride;
  const i32* starts;
  const i32* tiles;
  i32 sequences;
  i32 headDim;
  i32 group;
  float scale;
};

// ---- what a block does

// Queries [first, first + kQueries) of a sequence, and a head; moved so that token 0 is the first
// of the sequence, and element 0 the first of the head.
struct Work {
  const float* q;
  const float* k;
  const float* v;
  float* y;
  int length;
  int first;
};

template <int kQueries>
__device__ inline Work workOfBlock(const Operands& operands) {
  const int block = blockIdx.x;
  int sequence = 0;
  int end = operands.sequences;
  while (end - sequence > 1) {
    const int middle = (sequence + end) / 2;
    if (operands.tiles[middle] <= block) {
      sequence = middle;
    } else {
      end = middle;
    }
  }
  const i64 start = operands.starts[sequence];
  const i64 column = i64(blockIdx.y) * operands.headDim;
  const i64 keyColumn = i64(blockIdx.y / operands.group) * operands.headDim;
  Work work;
  work.q = operands.q + start * operands.qStride + column;
  work.k = operands.k + start * operands.kStride + keyColumn;
  work.v = operands.v + start * operands.vStride + keyColumn;
  work.y = operands.y + start * operands.yStride + column;
  work.length = operands.starts[sequence + 1] - operands.starts[sequence];
  // The last tile has the most keys: it goes first.
  work.first = (operands.tiles[sequence + 1] - 1 - block) * kQueries;
  return work;
}

// ---- asynchronous copies to shared memory

template <int kBytes>
__device__ inline void copyAsync(float* to, const float* from, int bytes) {
  const unsigned address = unsigned(__cvta_generic_to_shared(to));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(address), "l"(from), "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :
                 : "r"(address), "l"(from), "r"(bytes)
                 : "memory");
  }
}

__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all groups of copies of this thread but the last kPending have arrived.
template <int kPending>
__device__ inline void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Starts to copy rows [0, count) of a head to shared memory; zeros go to the other rows and to the
// columns from headDim on.
template <int kRows, int kDim, int kPitch, int kThreads>
__device__ inline void loadRows(
    float* shared, const float* from, i64 stride, int count, int headDim) {
  constexpr int kQuads = kDim / 4;
  constexpr int kStep = kThreads / kQuads;
  static_assert(kThreads % kQuads == 0 && kRows % kStep == 0);
  const bool aligned = isAligned(from, 16) && stride % 4 == 0 && headDim % 4 == 0;
  const int column = threadIdx.x % kQuads * 4;
  const int first = threadIdx.x / kQuads;
  const int elements = headDim - column;
  const float* source = from + first * stride + column;
  float* to = shared + first * kPitch + column;
  if (aligned) {
#pragma unroll
    for (int row = 0; row < kRows; row += kStep, source += kStep * stride) {
      const bool copied = first + row < count && elements > 0;
      copyAsync<16>(to + row * kPitch, copied ? source : from, copied ? 16 : 0);
    }
  } else {
#pragma unroll 1
    for (int row = 0; row < kRows; row += kStep, source += kStep * stride) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const bool copied = first + row < count && i < elements;
        copyAsync<4>(to + row * kPitch + i, copied ? source + i : from, copied ? 4 : 0);
      }
    }
  }
}

// ---- wide heads

template <int kDimensions, int kRowWarps, int kKeyCount>
struct Shape {
  static constexpr int kDim = kDimensions;
  static constexpr int kThreads = 32 * kRowWarps;
  static constexpr int kQueries = 16 * kRowWarps;
  static constexpr int kKeys = kKeyCount;
  // Distances of rows, in banks: a quarter of a warp reads 16 bytes each of two rows, or a warp 8
  // elements each of every other of 8 rows, without conflicts.
  static constexpr int kPitch = kDim + 16;
  static constexpr int kValuePitch = kDim + 4;
  static_assert(kDim % 32 == 0);
};

struct Split {
  uint32_t high;
  uint32_t low;
};

// The high part is rounded to 11 bits; 12 bits and a sign are left, of which a tensor core, which
// ignores the last 13 bits of a register, takes 11.
__device__ inline Split split(float x) {
  const uint32_t high = (__float_as_uint(x) + 0x1000) & ~0x1FFFu;
  return {high, __float_as_uint(x - __uint_as_float(high))};
}

// c [16, 8] += a [16, 8] b [8, 8], a row by row, b column by column.
__device__ inline void multiply(
    float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// The product of split factors; the sum of its small parts is apart.
__device__ inline void multiply(
    float (&large)[4], float (&small)[4], const Split (&a)[4], const Split (&b)[2]) {
  multiply(small, a[0].low, a[1].low, a[2].low, a[3].low, b[0].high, b[1].high);
  multiply(small, a[0].high, a[1].high, a[2].high, a[3].high, b[0].low, b[1].low);
  multiply(large, a[0].high, a[1].high, a[2].high, a[3].high, b[0].high, b[1].high);
}

// Scores of the warp's 16 queries against a tile of keys, without the scale. `queries` is the
// warp's first row.
template <class S>
__device__ inline void scoreTile(
    const float* queries, const float* keys, int headDim, float (&scores)[S::kKeys / 8][4]) {
  const int g = threadIdx.x % 32 / 4;
  const int t = threadIdx.x % 4;
  float small[S::kKeys / 8][4] = {};
#pragma unroll
  for (int j = 0; j < S::kKeys / 8; j++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      scores[j][i] = 0;
    }
  }
#pragma unroll 1
  for (int d = 0; d < headDim; d += 32) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int at = d + 16 * half + 4 * t;
      const float4 upper = *reinterpret_cast<const float4*>(queries + g * S::kPitch + at);
      const float4 lower = *reinterpret_cast<const float4*>(queries + (g + 8) * S::kPitch + at);
      const Split a0[4] = {split(upper.x), split(lower.x), split(upper.y), split(lower.y)};
      const Split a1[4] = {split(upper.z), split(lower.z), split(upper.w), split(lower.w)};
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; j++) {
        const float4 key = *reinterpret_cast<const float4*>(keys + (8 * j + g) * S::kPitch + at);
        const Split b0[2] = {split(key.x), split(key.y)};
        const Split b1[2] = {split(key.z), split(key.w)};
        multiply(scores[j], small[j], a0, b0);
        multiply(scores[j], small[j], a1, b1);
      }
    }
  }
#pragma unroll
  for (int j = 0; j < S::kKeys / 8; j++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      scores[j][i] += small[j][i];
    }
  }
}

// The score of a key that a query doesn't see: its weight is 0. Every query sees key 0 of its
// sequence.
constexpr float kUnseen = -__builtin_huge_valf();

// What is known of a query's softmax: the largest score so far, and this thread's share of the sum
// of e^(score - largest).
struct Softmax {
  float largest = kUnseen;
  float sum = 0;

  // The factor that results have to be multiplied by when a score of `candidate` is seen.
  __device__ float raise(float candidate) {
    const float larger = fmaxf(largest, candidate);
    const float factor = larger == largest ? 1.0f : decay(larger - largest);
    largest = larger;
    sum *= factor;
    return factor;
  }

  __device__ float weight(float score) {
    const float weight = decay(largest - score);
    sum += weight;
    return weight;
  }
};

__device__ inline float largestOfFour(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, 2));
}

__device__ inline float sumOfFour(float value) {
  value += __shfl_xor_sync(0xFFFFFFFFu, value, 1);
  return value + __shfl_xor_sync(0xFFFFFFFFu, value, 2);
}

// Makes weights of the scores of one of the thread's two rows, kRow; keys after the query have
// none. Returns the factor of earlier results.
template <class S, int kRow>
__device__ inline float weigh(
    float (&scores)[S::kKeys / 8][4], float scale, int query, int firstKey, Softmax& softmax) {
  const int key = firstKey + threadIdx.x % 4 * 2;
  float candidate = kUnseen;
#pragma unroll
  for (int j = 0; j < S::kKeys / 8; j++) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float& score = scores[j][2 * kRow + i];
      score = key + 8 * j + i <= query ? score * scale : kUnseen;
      candidate = fmaxf(candidate, score);
    }
  }
  const float factor = softmax.raise(largestOfFour(candidate));
#pragma unroll
  for (int j = 0; j < S::kKeys / 8; j++) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      scores[j][2 * kRow + i] = softmax.weight(scores[j][2 * kRow + i]);
    }
  }
  return factor;
}

// results = results * factors + weights * values.
template <class S>
__device__ inline void addValues(
    const float (&weights)[S::kKeys / 8][4], const float* values, int headDim,
    const float (&factors)[2], float (&results)[S::kDim / 8][4]) {
  const int g = threadIdx.x % 32 / 4;
  const int t = threadIdx.x % 4;
  Split a[S::kKeys / 8][4];
#pragma unroll
  for (int j = 0; j < S::kKeys / 8; j++) {
    a[j][0] = split(weights[j][0]);
    a[j][1] = split(weights[j][2]);
    a[j][2] = split(weights[j][1]);
    a[j][3] = split(weights[j][3]);
  }
  const float* value = values + 2 * t * S::kValuePitch + g;
#pragma unroll
  for (int n = 0; n < S::kDim / 8; n++) {
    if (8 * n < headDim) {
      float small[4] = {};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        results[n][i] *= factors[i / 2];
      }
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; j++) {
        const float* at = value + 8 * j * S::kValuePitch + 8 * n;
        const Split b[2] = {split(at[0]), split(at[S::kValuePitch])};
        multiply(results[n], small, a[j], b);
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        results[n][i] += small[i];
      }
    }
  }
}

template <class S>
__device__ inline void storeRow(
    const Work& work, const Operands& operands, int query, int offset,
    const float (&results)[S::kDim / 8][4], float sum) {
  if (query >= work.length) {
    return;
  }
  const float inverse = 1.0f / sum;
  float* row = work.y + query * operands.yStride;
  const bool paired = isAligned(row, 8) && operands.headDim % 2 == 0;
#pragma unroll
  for (int n = 0; n < S::kDim / 8; n++) {
    const int column = 8 * n + threadIdx.x % 4 * 2;
    const float first = results[n][offset] * inverse;
    const float second = results[n][offset + 1] * inverse;
    if (paired && column < operands.headDim) {
      storeWords<2>(row + column, {__float_as_uint(first), __float_as_uint(second)});
    } else if (column < operands.headDim) {
      row[column] = first;
      if (column + 1 < operands.headDim) {
        row[column + 1] = second;
      }
    }
  }
}

template <class S>
__device__ inline void attend(const Operands& operands) {
  extern __shared__ __align__(16) float shared[];
  float* const queries = shared;
  float* const keys = queries + S::kQueries * S::kPitch;
  float* const values = keys + S::kKeys * S::kPitch;
  const int headDim = operands.headDim;
  const Work work = workOfBlock<S::kQueries>(operands);
  const int end = min(work.first + S::kQueries, work.length);
  const int row = threadIdx.x / 32 * 16;
  const int query = work.first + row + threadIdx.x % 32 / 4;

  // Without keys the group of copies is empty.
  const auto loadKeys = [&](int key) {
    if (key < end) {
      loadRows<S::kKeys, S::kDim, S::kPitch, S::kThreads>(
          keys, work.k + key * operands.kStride, operands.kStride, end - key, headDim);
    }
    commitCopies();
  };
  const auto loadValues = [&](int key) {
    if (key < end) {
      loadRows<S::kKeys, S::kDim, S::kValuePitch, S::kThreads>(
          values, work.v + key * operands.vStride, operands.vStride, end - key, headDim);
    }
    commitCopies();
  };

  loadRows<S::kQueries, S::kDim, S::kPitch, S::kThreads>(
      queries, work.q + work.first * operands.qStride, operands.qStride, end - work.first, headDim);
  loadKeys(0);
  loadValues(0);

  Softmax softmax[2];
  float results[S::kDim / 8][4] = {};
  // Two groups of copies are on their way: keys, then values. The next keys come while weights are
  // computed and values added, the next values while scores are computed.
  for (int key = 0; key < end; key += S::kKeys) {
    waitForCopies<1>();
    __syncthreads();
    float scores[S::kKeys / 8][4];
    scoreTile<S>(queries + row * S::kPitch, keys, headDim, scores);
    __syncthreads();
    loadKeys(key + S::kKeys);
    const float factors[2] = {
        weigh<S, 0>(scores, operands.scale, query, key, softmax[0]),
        weigh<S, 1>(scores, operands.scale, query + 8, key, softmax[1])};
    waitForCopies<1>();
    __syncthreads();
    addValues<S>(scores, values, headDim, factors, results);
    __syncthreads();
    loadValues(key + S::kKeys);
  }
  storeRow<S>(work, operands, query, 0, results, sumOfFour(softmax[0].sum));
  storeRow<S>(work, operands, query + 8, 2, results, sumOfFour(softmax[1].sum));
}

// ---- narrow heads: a thread for each query

constexpr int kNarrowDim = 32;
constexpr int kNarrowQueries = 64;
constexpr int kNarrowKeys = 16;

__device__ inline float dot(const float (&q)[kNarrowDim], const float* key) {
  float sum = 0;
#pragma unroll
  for (int d = 0; d < kNarrowDim; d++) {
    sum = __fmaf_rn(q[d], key[d], sum);
  }
  return sum;
}

__device__ inline void attendNarrow(const Operands& operands) {
  __shared__ __align__(16) float keys[kNarrowKeys * kNarrowDim];
  __shared__ __align__(16) float values[kNarrowKeys * kNarrowDim];
  const int headDim = operands.headDim;
  const Work work = workOfBlock<kNarrowQueries>(operands);
  const int end = min(work.first + kNarrowQueries, work.length);
  const int query = work.first + threadIdx.x;
  float q[kNarrowDim] = {};
  float result[kNarrowDim] = {};
#pragma unroll
  for (int d = 0; d < kNarrowDim; d++) {
    if (query < end && d < headDim) {
      q[d] = work.q[query * operands.qStride + d];
    }
  }
  Softmax softmax;
  for (int first = 0; first < end; first += kNarrowKeys) {
    loadRows<kNarrowKeys, kNarrowDim, kNarrowDim, kNarrowQueries>(
        keys, work.k + first * operands.kStride, operands.kStride, end - first, headDim);
    loadRows<kNarrowKeys, kNarrowDim, kNarrowDim, kNarrowQueries>(
        values, work.v + first * operands.vStride, operands.vStride, end - first, headDim);
    commitCopies();
    waitForCopies<0>();
    __syncthreads();
    float scores[kNarrowKeys];
    float candidate = softmax.largest;
#pragma unroll
    for (int j = 0; j < kNarrowKeys; j++) {
      const float score = dot(q, keys + j * kNarrowDim) * operands.scale;
      scores[j] = first + j <= query ? score : kUnseen;
      candidate = fmaxf(candidate, scores[j]);
    }
    const float factor = softmax.raise(candidate);
#pragma unroll
    for (int d = 0; d < kNarrowDim; d++) {
      result[d] *= factor;
    }
#pragma unroll
    for (int j = 0; j < kNarrowKeys; j++) {
      const float weight = softmax.weight(scores[j]);
#pragma unroll
      for (int d = 0; d < kNarrowDim; d++) {
        result[d] = __fmaf_rn(weight, values[j * kNarrowDim + d], result[d]);
      }
    }
    __syncthreads();
  }
  const float inverse = 1.0f / softmax.sum;
#pragma unroll
  for (int d = 0; d < kNarrowDim; d++) {
    if (query < end && d < headDim) {
      work.y[query * operands.yStride + d] = result[d] * inverse;
    }
  }
}

#define QUENCH_ATTENTION(name, threads, body)                                                     \
  extern "C" __global__ void __launch_bounds__(threads) name(                                     \
      const float* q, i64 qStride, const float* k, i64 kStride, const float* v, i64 vStride,      \
      float* y, i64 yStride, const i32* starts, const i32* tiles, i32 sequences, i32 headDim,     \
      i32 group, float scale) {                                                                   \
    body({q, qStride, k, kStride, v, vStride, y, yStride, starts, tiles, sequences, headDim,      \
          group, scale});                                                                         \
  }

using Shape64 = Shape<64, 4, 32>;
using Shape128 = Shape<128, 4, 32>;
using Shape256 = Shape<256, 2, 16>;

QUENCH_ATTENTION(quench_attention_f32_narrow, kNarrowQueries, attendNarrow)
QUENCH_ATTENTION(quench_attention_f32_64, 128, attend<Shape64>)
QUENCH_ATTENTION(quench_attention_f32_128, 128, attend<Shape128>)
QUENCH_ATTENTION(quench_attention_f32_256, 64, attend<Shape256>)

}  // namespace quench
