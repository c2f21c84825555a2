// A tile of a product of F32 matrices by fused multiply-adds, for the kernels of cholesky.cu.
#pragma once

#include "common.cuh"

namespace quench {

// A tile is 128 x 128 results of a block of 256 threads: 8 x 8 a thread, in four groups of 4 x 4 at
// the corners of a square with sides of 64, so that threads read 16 bytes side by side from shared
// memory. PRODUCT_DEPTH terms are in shared memory at a time, twice: while one half is multiplied,
// the other is filled.
constexpr int PRODUCT_TILE = 128;
constexpr int PRODUCT_THREADS = 256;
constexpr int PRODUCT_DEPTH = 8;

// Four more than a tile: then the 8 terms of a row, written down a column, lie in different banks.
constexpr int PRODUCT_STRIDE = PRODUCT_TILE + 4;

struct ProductShared {
  __align__(16) float left[2][PRODUCT_DEPTH][PRODUCT_STRIDE];
  __align__(16) float right[2][PRODUCT_DEPTH][PRODUCT_STRIDE];
};

using ProductSums = float[8][8];

// A factor of a product, which has `size` rows (or columns, of a right factor) in this tile; beyond
// them, and beyond the last term, it counts as 0.
//
// ALONG: the terms of a row are neighbours in memory, and `stride` leads to the next row. Otherwise
// the rows of a term are neighbours, and `stride` leads to the next term.
template <bool ALONG>
struct Factor {
  const f32* start;  // row 0 at the first term
  i64 stride;
  i64 size;
};

// What one thread brings of a factor: 4 elements of PRODUCT_DEPTH terms, then of the next ones.
// Neighbouring threads bring neighbours in memory.
template <bool ALONG>
class Portion {
 public:
  __device__ __forceinline__ explicit Portion(const Factor<ALONG>& factor)
      : stride(factor.stride),
        size(static_cast<int>(min(factor.size, static_cast<i64>(PRODUCT_TILE)))) {
    const int across = ALONG ? term(0) : index(0);
    const int along = ALONG ? index(0) : term(0);
    next = factor.start + across + along * stride;
  }

  // Of the terms that are left.
  __device__ __forceinline__ void load(int left) {
#pragma unroll
    for (int part = 0; part < 4; part++) {
      const f32* at = next + part * (ALONG ? 32 : 2) * stride;
      values[part] = index(part) < size && term(part) < left ? *at : 0.0f;
    }
    next += ALONG ? PRODUCT_DEPTH : PRODUCT_DEPTH * stride;
  }

  __device__ __forceinline__ void store(float (&tile)[PRODUCT_DEPTH][PRODUCT_STRIDE]) const {
#pragma unroll
    for (int part = 0; part < 4; part++) {
      tile[term(part)][index(part)] = values[part];
    }
  }

 private:
  __device__ __forceinline__ static int index(int part) {
    return ALONG ? threadIdx.x / PRODUCT_DEPTH + part * 32 : threadIdx.x % PRODUCT_TILE;
  }

  __device__ __forceinline__ static int term(int part) {
    return ALONG ? threadIdx.x % PRODUCT_DEPTH : threadIdx.x / PRODUCT_TILE + part * 2;
  }

  const f32* next;
  i64 stride;
  int size;
  float values[4];
};

// Row or column number i, of 8, of a thread's results.
__device__ __forceinline__ int productRow(int i) { return threadIdx.x / 16 * 4 + i % 4 + i / 4 * 64; }

__device__ __forceinline__ int productColumn(int j) {
  return threadIdx.x % 16 * 4 + j % 4 + j / 4 * 64;
}

__device__ __forceinline__ void loadFour(float* to, const float* from) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
}

__device__ __forceinline__ void multiplyTerms(ProductSums& sums,
                                              const float (&left)[PRODUCT_DEPTH][PRODUCT_STRIDE],
                                              const float (&right)[PRODUCT_DEPTH][PRODUCT_STRIDE]) {
#pragma unroll
  for (int k = 0; k < PRODUCT_DEPTH; k++) {
    float a[8], b[8];
    loadFour(a, &left[k][productRow(0)]);
    loadFour(a + 4, &left[k][productRow(4)]);
    loadFour(b, &right[k][productColumn(0)]);
    loadFour(b + 4, &right[k][productColumn(4)]);
#pragma unroll
    for (int i = 0; i < 8; i++) {
#pragma unroll
      for (int j = 0; j < 8; j++) {
        sums[i][j] = __fmaf_rn(a[i], b[j], sums[i][j]);
      }
    }
  }
}

// sums[i][j] = Σ left[i, k] · right[j, k] over that many terms, in their order. Ends with all threads
// past their last reads of the factors in global memory; others may still read `shared`, so a block
// that multiplies again needs a barrier before.
template <bool LEFT_ALONG, bool RIGHT_ALONG>
__device__ __forceinline__ void multiply(ProductSums& sums, ProductShared& shared,
                                         const Factor<LEFT_ALONG>& left,
                                         const Factor<RIGHT_ALONG>& right, i64 terms) {
  Portion<LEFT_ALONG> leftNext(left);
  Portion<RIGHT_ALONG> rightNext(right);
  int rest = static_cast<int>(terms);
  leftNext.load(rest);
  rightNext.load(rest);
  int half = 0;
  while (rest > 0) {
    leftNext.store(shared.left[half]);
    rightNext.store(shared.right[half]);
    // This half is written; the other one, which is written next, has been read.
    __syncthreads();
    rest -= PRODUCT_DEPTH;
    leftNext.load(rest);
    rightNext.load(rest);
    multiplyTerms(sums, shared.left[half], shared.right[half]);
    half ^= 1;
  }
}

// Calls body(row, column, four, count) for each four results side by side; the first `count` of them
// lie within the first `columns` columns, all of them in the first `rows` rows.
template <typename Body>
__device__ __forceinline__ void forResults(const ProductSums& sums, i64 rows, i64 columns,
                                           Body body) {
#pragma unroll
  for (int i = 0; i < 8; i++) {
#pragma unroll
    for (int j = 0; j < 8; j += 4) {
      const int row = productRow(i);
      const int column = productColumn(j);
      if (row < rows && column < columns) {
        const float4 four = make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
        body(row, column, four, static_cast<int>(min(columns - column, static_cast<i64>(4))));
      }
    }
  }
}

__device__ __forceinline__ float ofFour(float4 four, int i) {
  return i == 0 ? four.x : i == 1 ? four.y : i == 2 ? four.z : four.w;
}

// Stores elements from <= i < to of four.
__device__ __forceinline__ void storeFour(f32* target, float4 four, i64 from, int to) {
  if (from <= 0 && to == 4 && isAligned(target, 16)) {
    *reinterpret_cast<float4*>(target) = four;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (from <= i && i < to) {
      target[i] = ofFour(four, i);
    }
  }
}

// Subtracts elements from <= i < to of four.
__device__ __forceinline__ void subtractFour(f32* target, float4 four, i64 from, int to) {
  if (from <= 0 && to == 4 && isAligned(target, 16)) {
    const float4 old = *reinterpret_cast<const float4*>(target);
    *reinterpret_cast<float4*>(target) =
        make_float4(old.x - four.x, old.y - four.y, old.z - four.z, old.w - four.w);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (from <= i && i < to) {
      target[i] -= ofFour(four, i);
    }
  }
}

}  // namespace quench
