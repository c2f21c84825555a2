#include "gemm.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace standin {
namespace {

constexpr int64_t kRows = 6;      // of a tile: 6 × 2 vectors of sums and one row of b fill 16 registers
constexpr int64_t kColumns = 16;

using Vector = float __attribute__((vector_size(32)));

float fromHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 31;
  const uint32_t fraction = bits & 1023;
  if (exponent == 0) {
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::ldexp(static_cast<float>(fraction), -24)));
  }
  return std::bit_cast<float>(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}

// To the nearest, ties to even: float to a type whose fraction has 23 − drop bits.
uint32_t roundFraction(uint32_t bits, int drop) {
  return (bits + ((uint32_t{1} << (drop - 1)) - 1) + (bits >> drop & 1)) >> drop << drop;
}

uint16_t toBfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((std::isnan(value) ? bits | 0x400000 : roundFraction(bits, 16)) >> 16);
}

uint16_t toHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const float size = std::fabs(value);
  if (std::isnan(value)) {
    return sign | 0x7E00;
  }
  if (size >= 65520) {
    return sign | 0x7C00;
  }
  if (size < 0x1p-14f) {
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(size * 0x1p24f)));
  }
  return static_cast<uint16_t>(sign | ((roundFraction(bits & 0x7FFFFFFF, 13) >> 13) - (112 << 10)));
}

float load(const Matrix& matrix, int64_t row, int64_t column) {
  const int64_t at = row + column * matrix.leading;
  if (matrix.element == Element::kFloat) {
    return static_cast<const float*>(matrix.data)[at];
  }
  const uint16_t bits = static_cast<const uint16_t*>(matrix.data)[at];
  return matrix.element == Element::kHalf ? fromHalf(bits) : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

void store(const Matrix& matrix, int64_t row, int64_t column, float value) {
  const int64_t at = row + column * matrix.leading;
  if (matrix.element == Element::kFloat) {
    static_cast<float*>(matrix.data)[at] = value;
  } else {
    static_cast<uint16_t*>(matrix.data)[at] = matrix.element == Element::kHalf ? toHalf(value) : toBfloat(value);
  }
}

// Ties away from zero: cvt.rna.tf32.f32.
float toTf32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::isfinite(value) ? std::bit_cast<float>((bits + 0x1000) & ~0x1FFFu) : value;
}

// Panels of `width` rows of op(matrix) [rows, depth], each stored column by column; missing rows are 0.
std::vector<float> pack(const Matrix& matrix, bool transpose, int64_t rows, int64_t depth, int64_t width, bool tf32) {
  const int64_t panels = (rows + width - 1) / width;
  std::vector<float> packed(static_cast<size_t>(panels * width * depth));
  for (int64_t row = 0; row < rows; row++) {
    float* to = packed.data() + row / width * width * depth + row % width;
    for (int64_t i = 0; i < depth; i++) {
      const float value = transpose ? load(matrix, i, row) : load(matrix, row, i);
      to[i * width] = tf32 ? toTf32(value) : value;
    }
  }
  return packed;
}

// sums [kRows, kColumns] of one panel of each operand.
__attribute__((target_clones("avx512f", "avx2,fma", "default"))) void tile(const float* a, const float* b,
                                                                           int64_t depth, float* sums) {
  Vector sum[kRows][2] = {};
  for (int64_t i = 0; i < depth; i++) {
    Vector row[2];
    memcpy(row, b + i * kColumns, sizeof row);
    for (int r = 0; r < kRows; r++) {
      sum[r][0] += a[i * kRows + r] * row[0];
      sum[r][1] += a[i * kRows + r] * row[1];
    }
  }
  memcpy(sums, sum, sizeof sum);
}

// Calls write(row, column, sum) for the elements of op(a) · op(b), tile by tile, where wanted(row, column of the
// tile's first element).
template <class Wanted, class Write>
void multiply(const Gemm& g, Wanted wanted, Write write) {
  const std::vector<float> a = pack(g.a, g.transposeA, g.m, g.k, kRows, g.tf32);
  const std::vector<float> b = pack(g.b, !g.transposeB, g.n, g.k, kColumns, g.tf32);
  float sums[kRows][kColumns];
  for (int64_t column = 0; column < g.n; column += kColumns) {
    for (int64_t row = 0; row < g.m; row += kRows) {
      if (!wanted(row, column)) {
        continue;
      }
      tile(a.data() + row * g.k, b.data() + column * g.k, g.k, sums[0]);
      for (int64_t c = column; c < std::min(g.n, column + kColumns); c++) {
        for (int64_t r = row; r < std::min(g.m, row + kRows); r++) {
          write(r, c, sums[r - row][c - column]);
        }
      }
    }
  }
}

void accumulate(const Gemm& g, int64_t row, int64_t column, float sum) {
  const float old = g.beta == 0 ? 0 : g.beta * load(g.c, row, column);
  store(g.c, row, column, g.alpha * sum + old);
}

}  // namespace

void gemm(const Gemm& g) {
  multiply(
      g, [](int64_t, int64_t) { return true; },
      [&g](int64_t row, int64_t column, float sum) { accumulate(g, row, column, sum); });
}

void syrk(const Gemm& given, Triangle triangle) {
  Gemm g = given;
  g.m = g.n;
  g.b = g.a;
  g.transposeB = !g.transposeA;
  const auto inside = [triangle](int64_t row, int64_t column) {
    return triangle == Triangle::kLower ? row >= column : row <= column;
  };
  const auto wanted = [triangle](int64_t row, int64_t column) {
    return triangle == Triangle::kLower ? row + kRows > column : row < column + kColumns;
  };
  multiply(g, wanted, [&](int64_t row, int64_t column, float sum) {
    if (inside(row, column)) {
      accumulate(g, row, column, sum);
    }
  });
}

}  // namespace standin
