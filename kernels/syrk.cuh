// What the kernels of syrk share: the order of tiles, and the products of split numbers.
//
// A float is split exactly into three bfloat16 "parts" of falling magnitude, x = x0 + x1 + x2:
// x0 = bf16(x), x1 = bf16(x - x0), x2 = x - x0 - x1. With 2^e <= |x| < 2^(e+1) the rests are
// |x1| <= 2^(e-8) and |x2| <= 2^(e-17). Of the nine products of two split numbers six are summed,
// those of parts a, b with a + b <= 2; the three that are left out are less than u = 2^-24 of |x||y|
// together, which is what rounding a product to float costs. Numbers that are bfloat16 have one part
// only, those of 16 bits two; parts that no number of the matrix has are left out.
//
// Exceptions: parts below 2^-133 are lost, which matters for |x| < 2^-109; infinities become NaN
// where a number has more than one part.
#pragma once

#include "common.cuh"

namespace quench {

// Rows of a tile of H, and columns of the narrow one.
constexpr int TILE = 128;

// Tiles are handed out in groups of so many bands of TILE rows, down each column of the group, so
// that blocks that run at the same time share few rows and columns of x in the L2 cache.
constexpr int GROUP = 8;

struct LowerTile {
  int band;    // rows from band * TILE on
  int column;  // columns from column * WIDTH on
  bool valid;
};

// Tile number `index` of the lower triangle, where tiles are TILE x WIDTH. The rectangles of groups
// stick out of the triangle: numbers there are not valid.
template <int WIDTH>
__device__ __forceinline__ LowerTile lowerTile(int index, i64 n) {
  constexpr int RATIO = WIDTH / TILE;
  constexpr int STEP = GROUP * (GROUP / RATIO);  // tiles that a group has more than the one before
  int group = 0;
  while (index >= STEP * (group + 1)) {
    group++;
    index -= STEP * group;
  }
  const int band = group * GROUP + index % GROUP;
  const int column = index / GROUP;
  const bool valid = static_cast<i64>(band) * TILE < n && column <= band / RATIO;
  return {band, column, valid};
}

// The products of parts, the smallest first: (0,2) (2,0) (1,1) (0,1) (1,0) (0,0). Sums of small
// products are rounded when they are still small.
constexpr int PRODUCTS = 6;

__device__ __forceinline__ int leftPart(int product) { return 0x010120 >> (4 * product) & 15; }

__device__ __forceinline__ int rightPart(int product) { return 0x001102 >> (4 * product) & 15; }

// Where the list starts for numbers of so many parts.
__device__ __forceinline__ int firstProduct(int parts) {
  return parts == 1 ? 5 : parts == 2 ? 2 : 0;
}

// h += value for a pair of columns; what lies outside of n x n is left alone.
__device__ __forceinline__ void addPair(f32* h, i64 stride, bool paired, i64 n, i64 row, i64 column,
                                        float first, float second) {
  if (row >= n || column >= n) {
    return;
  }
  f32* target = h + row * stride + column;
  if (paired && column + 1 < n) {
    float2 old = *reinterpret_cast<float2*>(target);
    *reinterpret_cast<float2*>(target) = make_float2(old.x + first, old.y + second);
    return;
  }
  target[0] += first;
  if (column + 1 < n) {
    target[1] += second;
  }
}

__device__ __forceinline__ bool pairsAligned(const f32* h, i64 stride) {
  return isAligned(h, 8) && stride % 2 == 0;
}

}  // namespace quench
