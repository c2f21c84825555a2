// Cholesky factorization from the last column, H = R RT with R upper triangular, and the inverse of
// an upper triangular matrix, both in place, F32. Strides in elements; matrices start anywhere.
//
// The factorization goes over blocks of 64 columns, from the last to the first:
//
// quench_cholesky_block_f32: factors the block on the diagonal, and gives its inverse.
//   Operands: h, stride; start (its first row and column), size (<= 64); inverse, 64 x 64, zeros
//   beyond the block; failed (int64, 0 before the first launch): becomes 1 + the column whose pivot
//   isn't a positive finite number; nothing is done once it is set.
//   grid 1, block 256, 34,304 bytes of static shared memory. In double precision.
//
// quench_cholesky_panel_f32: h[i, J] = h[i, J] · inverseT for the rows i above the block.
//   Operands: h, stride; start, size; inverse.
//   grid ⌈start / 128⌉, block 256, 16,896 bytes of static shared memory.
//
// quench_cholesky_update_f32: h[i, j] -= Σ_k h[i, k] · h[j, k] over firstTerm <= k < endTerm, for i <=
//   j and first <= j < end, end <= firstTerm.
//   Operands: h, stride; first, end, firstTerm, endTerm.
//   grid (⌈(end - first) / 128⌉, ⌈end / 128⌉), block 256, 16,896 bytes of static shared memory.
//
// The inverse starts from blocks of 64 on the diagonal, and joins neighbours to blocks of twice the
// size: ((A, B), (0, C)) has the inverse ((A⁻¹, -A⁻¹ B C⁻¹), (0, C⁻¹)).
//
// quench_clear_lower_f32: zeros below the diagonal of r [n, n].
//   Operands: r, stride; n. grid min(n, 65535), block 256, no shared memory.
//
// quench_invert_blocks_f32: inverts the blocks on the diagonal, in double precision.
//   Operands: r, stride; n. grid ⌈n / 64⌉, block 256, 34,304 bytes of static shared memory.
//
// quench_invert_right_f32: product = B · C⁻¹ for each pair of blocks of that size.
//   Operands: r, stride; n, size; product: for pair p, rows p · size ... of `size` elements.
//   grid (⌈size / 128⌉, ⌈size / 128⌉, pairs), block 256, 16,896 bytes of static shared memory;
//   a pair is two neighbours, of which the second one exists, though it may be cut.
//
// quench_invert_left_f32: B = -A⁻¹ · product. Operands and launch of quench_invert_right_f32.
//
// Sums are fused multiply-adds in the order of their terms: γ(terms) bounds their error.
#include "product.cuh"

using namespace quench;

namespace {

constexpr int BLOCK = 64;

// A triangular block in shared memory. The odd stride spreads columns over the banks.
struct Triangle {
  double values[BLOCK][BLOCK + 1];
  double line[2][BLOCK];  // the row or column of the step, and of the next
};

// Of a 64 x 64 block, a thread holds the elements of rows r + 16 i and columns c + 16 j.
using Share = double[4][4];

__device__ __forceinline__ int shareRow(int i) { return threadIdx.x / 16 + 16 * i; }

__device__ __forceinline__ int shareColumn(int j) { return threadIdx.x % 16 + 16 * j; }

template <typename Body>
__device__ __forceinline__ void overShare(Body body) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      body(i, j, shareRow(i), shareColumn(j));
    }
  }
}

// Puts column `column` of the block where all threads see it.
__device__ __forceinline__ void publishColumn(const Share& share, int column, double (&line)[BLOCK]) {
  overShare([&](int i, int j, int r, int c) {
    if (c == column) {
      line[r] = share[i][j];
    }
  });
}

// H = R RT in place. From the last column on, each column is taken out of those before it: h[r, c]
// -= h[r, j] · h[c, j] / h[j, j]. Then r[i, j] = h[i, j] / √h[j, j]. The result's columns are in
// triangle.values, with zeros below the diagonal.
//
// Returns the column whose pivot isn't positive and finite, or -1: the same to all threads.
__device__ int factor(Share& share, Triangle& triangle, int size) {
  publishColumn(share, size - 1, triangle.line[0]);
  int at = 0;
  for (int column = size - 1; column >= 0; column--) {
    __syncthreads();
    const double(&line)[BLOCK] = triangle.line[at];
    const double pivot = line[column];
    if (!(pivot > 0 && pivot < INFINITY)) {
      return column;
    }
    const double inverse = 1 / pivot;
    overShare([&](int i, int j, int r, int c) {
      if (c < column && r <= c) {
        share[i][j] = __fma_rn(-line[r], line[c] * inverse, share[i][j]);
      }
    });
    if (threadIdx.x < BLOCK) {
      const int r = threadIdx.x;
      const double root = sqrt(pivot);
      triangle.values[r][column] = r < column ? line[r] / root : r == column ? root : 0;
    }
    at ^= 1;
    publishColumn(share, column - 1, triangle.line[at]);
  }
  __syncthreads();
  return -1;
}

// The inverse of the upper triangle in triangle.values, zeros beyond it: each row from those below,
// u[i, c] = ((i == c) - Σ_k>i r[i, k] · u[k, c]) / r[i, i].
__device__ void invert(Share& inverse, Triangle& triangle, int size) {
  Share sums = {};
  overShare([&](int i, int j, int, int) { inverse[i][j] = 0; });
  int at = 0;
  for (int row = size - 1; row >= 0; row--) {
    double(&line)[BLOCK] = triangle.line[at];
    overShare([&](int i, int j, int r, int c) {
      if (r == row) {
        inverse[i][j] = c < size ? ((r == c) - sums[i][j]) / triangle.values[r][r] : 0;
        line[c] = inverse[i][j];
      }
    });
    __syncthreads();
    overShare([&](int i, int j, int r, int c) {
      if (r < row) {
        sums[i][j] = __fma_rn(triangle.values[r][row], line[c], sums[i][j]);
      }
    });
    at ^= 1;
  }
}

// The upper triangle of a block; zeros elsewhere.
__device__ __forceinline__ void load(Share& share, const f32* block, i64 stride, int size) {
  overShare([&](int i, int j, int r, int c) {
    share[i][j] = r <= c && c < size ? block[r * stride + c] : 0.0f;
  });
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256)
    quench_cholesky_block_f32(f32* h, i64 stride, i64 start, i64 size, f32* inverse, i64* failed) {
  __shared__ Triangle triangle;
  if (*failed != 0) {
    return;
  }
  f32* block = h + start * stride + start;
  const int n = static_cast<int>(size);
  Share share;
  load(share, block, stride, n);
  const int column = factor(share, triangle, n);
  if (column >= 0) {
    if (threadIdx.x == 0) {
      *failed = 1 + start + column;
    }
    return;
  }
  overShare([&](int, int, int r, int c) {
    if (r <= c && c < n) {
      block[r * stride + c] = static_cast<float>(triangle.values[r][c]);
    }
  });
  invert(share, triangle, n);
  overShare([&](int i, int j, int r, int c) {
    inverse[r * BLOCK + c] = static_cast<float>(share[i][j]);
  });
}

extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS, 2)
    quench_cholesky_panel_f32(f32* h, i64 stride, i64 start, i64 size, const f32* inverse) {
  __shared__ ProductShared shared;
  const i64 row = static_cast<i64>(blockIdx.x) * PRODUCT_TILE;
  f32* panel = h + row * stride + start;
  ProductSums sums = {};
  multiply<true, true>(sums, shared, {panel, stride, start - row}, {inverse, BLOCK, size}, size);
  forResults(sums, start - row, size, [&](int r, int c, float4 four, int count) {
    storeFour(panel + r * stride + c, four, 0, count);
  });
}

extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS, 2)
    quench_cholesky_update_f32(f32* h, i64 stride, i64 first, i64 end, i64 firstTerm, i64 endTerm) {
  __shared__ ProductShared shared;
  const i64 row = static_cast<i64>(blockIdx.y) * PRODUCT_TILE;
  const i64 column = first + static_cast<i64>(blockIdx.x) * PRODUCT_TILE;
  if (row >= min(column + PRODUCT_TILE, end)) {
    return;
  }
  ProductSums sums = {};
  multiply<true, true>(sums, shared, {h + row * stride + firstTerm, stride, end - row},
                       {h + column * stride + firstTerm, stride, end - column},
                       endTerm - firstTerm);
  forResults(sums, end - row, end - column, [&](int r, int c, float4 four, int count) {
    // Elements left of the diagonal are not ours.
    const i64 outside = row + r - (column + c);
    subtractFour(h + (row + r) * stride + column + c, four, outside, count);
  });
}

extern "C" __global__ void __launch_bounds__(256) quench_clear_lower_f32(f32* r, i64 stride, i64 n) {
  for (i64 row = blockIdx.x; row < n; row += gridDim.x) {
    for (i64 column = threadIdx.x; column < row; column += blockDim.x) {
      r[row * stride + column] = 0;
    }
  }
}

extern "C" __global__ void __launch_bounds__(256)
    quench_invert_blocks_f32(f32* r, i64 stride, i64 n) {
  __shared__ Triangle triangle;
  const i64 start = static_cast<i64>(blockIdx.x) * BLOCK;
  f32* block = r + start * stride + start;
  const int size = static_cast<int>(min(n - start, static_cast<i64>(BLOCK)));
  Share share;
  load(share, block, stride, size);
  overShare([&](int i, int j, int row, int column) { triangle.values[row][column] = share[i][j]; });
  __syncthreads();
  invert(share, triangle, size);
  overShare([&](int i, int j, int row, int column) {
    if (row <= column && column < size) {
      block[row * stride + column] = static_cast<float>(share[i][j]);
    }
  });
}

namespace {

// Two neighbouring blocks on the diagonal.
struct Pair {
  f32* first;
  f32* second;
  f32* above;  // the block that lies right of the first and above the second
  i64 columns;  // of the second: it may be cut
};

__device__ __forceinline__ Pair pairOfBlocks(f32* r, i64 stride, i64 n, i64 size) {
  const i64 start = 2 * size * blockIdx.z;
  const i64 next = start + size;
  return {r + start * stride + start, r + next * stride + next, r + start * stride + next,
          min(size, n - next)};
}

__device__ __forceinline__ void store(f32* target, i64 stride, i64 rows, i64 columns,
                                      const ProductSums& sums, float sign) {
  forResults(sums, rows, columns, [&](int r, int c, float4 four, int count) {
    storeFour(target + r * stride + c,
              make_float4(sign * four.x, sign * four.y, sign * four.z, sign * four.w), 0, count);
  });
}

}  // namespace

extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS, 2)
    quench_invert_right_f32(f32* r, i64 stride, i64 n, i64 size, f32* product) {
  __shared__ ProductShared shared;
  const Pair pair = pairOfBlocks(r, stride, n, size);
  const i64 row = static_cast<i64>(blockIdx.y) * PRODUCT_TILE;
  const i64 column = static_cast<i64>(blockIdx.x) * PRODUCT_TILE;
  if (column >= pair.columns) {
    return;
  }
  ProductSums sums = {};
  // Column c of an upper triangle ends at row c.
  multiply<true, false>(sums, shared, {pair.above + row * stride, stride, size - row},
                        {pair.second + column, stride, pair.columns - column},
                        min(pair.columns, column + PRODUCT_TILE));
  store(product + (blockIdx.z * size + row) * size + column, size, size - row,
        pair.columns - column, sums, 1);
}

extern "C" __global__ void __launch_bounds__(PRODUCT_THREADS, 2)
    quench_invert_left_f32(f32* r, i64 stride, i64 n, i64 size, const f32* product) {
  __shared__ ProductShared shared;
  const Pair pair = pairOfBlocks(r, stride, n, size);
  const i64 row = static_cast<i64>(blockIdx.y) * PRODUCT_TILE;
  const i64 column = static_cast<i64>(blockIdx.x) * PRODUCT_TILE;
  if (column >= pair.columns) {
    return;
  }
  ProductSums sums = {};
  // Row i of an upper triangle starts at column i.
  multiply<true, false>(sums, shared, {pair.first + row * stride + row, stride, size - row},
                        {product + (blockIdx.z * size + row) * size + column, size,
                         pair.columns - column},
                        size - row);
  store(pair.above + row * stride + column, stride, size - row, pair.columns - column, sums, -1);
}
