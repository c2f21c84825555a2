// Matrix products on the host, with sums in float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace standin {

enum class Element { kFloat, kHalf, kBfloat };

constexpr size_t elementBytes(Element element) { return element == Element::kFloat ? 4 : 2; }

// Column-major, as BLAS has it: element (row, column) is at data + row + column · leading.
struct Matrix {
  Element element;
  void* data;
  int64_t leading;
};

struct Gemm {
  int64_t m, n, k;
  bool transposeA, transposeB;
  float alpha, beta;
  Matrix a, b, c;
  bool tf32;  // operands are rounded to TF32's 10 bits first, as the tensor cores of a device do
};

// c = alpha · op(a) · op(b) + beta · c. With beta == 0 the old c is not read.
void gemm(const Gemm& gemm);

enum class Triangle { kLower, kUpper };

// c = alpha · op(a) · op(a)ᵀ + beta · c, one triangle of c [n, n]; op(a) [n, k].
void syrk(const Gemm& gemm, Triangle triangle);

}  // namespace standin
