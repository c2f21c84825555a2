// cuBLAS against sums in double.
//
// The bound: a sum of k products in float has an error of at most γ · Σ|a·b| with γ = k·u / (1 − k·u), u = 2⁻²⁴
// (Higham 2002, 3.1); alpha, beta and the final sum add three roundings of the terms.
#include <dlfcn.h>

#include <bit>
#include <cmath>
#include <random>

#include "gpu.h"

struct cublasContext;

extern "C" {
int cublasCreate_v2(cublasContext**);
int cublasDestroy_v2(cublasContext*);
int cublasSetStream_v2(cublasContext*, CUstr*);
int cublasSetMathMode(cublasContext*, int);
int cublasSetPointerMode_v2(cublasContext*, int);
int cublasSgemm_v2(cublasContext*, int, int, int, int, int, const float*, DevicePointer, int, DevicePointer, int,
                   const float*, DevicePointer, int);
int cublasGemmEx(cublasContext*, int, int, int, int, int, const void*, DevicePointer, int, int, DevicePointer, int, int,
                 const void*, DevicePointer, int, int, int, int);
int cublasSsyrk_v2(cublasContext*, int, int, int, int, const float*, DevicePointer, int, const float*, DevicePointer,
                   int);
}

namespace {

constexpr int kFloat = 0;
constexpr int kHalf = 2;
constexpr int kBfloat = 14;
constexpr int kCompute32 = 68;
constexpr double kUnit = 0x1p-24;

cublasContext* newHandle() {
  cublasContext* handle = nullptr;
  Gpu::require(cublasCreate_v2(&handle));
  return handle;
}

std::mt19937& generator() {
  static std::mt19937 generator(7);
  return generator;
}

// Values that float, bfloat16 and half all hold: small integers over 8.
std::vector<float> exactValues(size_t count) {
  std::uniform_int_distribution<int> integers(-100, 100);
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(integers(generator())) / 8;
  }
  return values;
}

std::vector<float> anyValues(size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) {
    value = normal(generator());
  }
  return values;
}

uint16_t bfloat(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }

// For the values of exactValues, which are normal or 0 and have at most 11 bits of fraction, and NaN.
uint16_t half(float value) {
  if (std::isnan(value)) {
    return 0x7E00;
  }
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>(value == 0 ? 0 : (bits >> 16 & 0x8000) | ((bits >> 13 & 0x3FFFF) - (112 << 10)));
}

float widen(int type, uint16_t bits) {
  if (type == kBfloat) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
  if ((bits & 0x7C00) == 0x7C00) {
    return NAN;
  }
  return static_cast<float>(std::ldexp((bits & 1023) + (bits & 0x7C00 ? 1024 : 0), std::max(1, bits >> 10 & 31) - 25)) *
         (bits & 0x8000 ? -1.0f : 1.0f);
}

DevicePointer uploadAs(const Gpu& gpu, int type, const std::vector<float>& values) {
  if (type == kFloat) {
    return gpu.upload(values);
  }
  std::vector<uint16_t> narrow;
  for (const float value : values) {
    narrow.push_back(type == kHalf ? half(value) : bfloat(value));
  }
  return gpu.upload(narrow);
}

std::vector<float> downloadAs(const Gpu& gpu, int type, DevicePointer address, size_t count) {
  if (type == kFloat) {
    return gpu.download<float>(address, count);
  }
  std::vector<float> values;
  for (const uint16_t bits : gpu.download<uint16_t>(address, count)) {
    values.push_back(widen(type, bits));
  }
  return values;
}

struct Case {
  int m, n, k;
  bool transposeA, transposeB;
  float alpha, beta;
  int padding;  // added to every leading dimension
};

// The exact element and the sum of the sizes of its terms.
struct Expected {
  double value = 0;
  double size = 0;
};

Expected element(const Case& c, const std::vector<float>& a, const std::vector<float>& b, const std::vector<float>& old,
                 int row, int column) {
  const int leadingA = (c.transposeA ? c.k : c.m) + c.padding;
  const int leadingB = (c.transposeB ? c.n : c.k) + c.padding;
  Expected expected;
  for (int i = 0; i < c.k; i++) {
    const double product = static_cast<double>(a[static_cast<size_t>(c.transposeA ? i + row * leadingA : row + i * leadingA)]) *
                           b[static_cast<size_t>(c.transposeB ? column + i * leadingB : i + column * leadingB)];
    expected.value += c.alpha * product;
    expected.size += std::fabs(c.alpha * product);
  }
  if (c.beta != 0) {
    const double term = static_cast<double>(c.beta) * old[static_cast<size_t>(row + column * (c.m + c.padding))];
    expected.value += term;
    expected.size += std::fabs(term);
  }
  return expected;
}

double bound(const Case& c, double size) {
  const double roundings = (c.k + 3) * kUnit;
  return roundings / (1 - roundings) * size + 0x1p-140;  // and underflow
}

void check(const Case& c, int typeIn, int typeOut) {
  const Gpu gpu;
  cublasContext* handle = newHandle();
  const int leadingA = (c.transposeA ? c.k : c.m) + c.padding;
  const int leadingB = (c.transposeB ? c.n : c.k) + c.padding;
  const int leadingC = c.m + c.padding;
  const auto make = typeIn == kFloat ? anyValues : exactValues;
  const std::vector<float> a = make(static_cast<size_t>(leadingA * std::max(1, c.transposeA ? c.m : c.k)));
  const std::vector<float> b = make(static_cast<size_t>(std::max(1, leadingB) * std::max(1, c.transposeB ? c.k : c.n)));
  const std::vector<float> old =
      c.beta == 0 ? std::vector<float>(static_cast<size_t>(leadingC * c.n), NAN) : exactValues(static_cast<size_t>(leadingC * c.n));
  const DevicePointer deviceC = uploadAs(gpu, typeOut, old);
  CHECK_EQUAL(0, cublasGemmEx(handle, c.transposeA, c.transposeB, c.m, c.n, c.k, &c.alpha, uploadAs(gpu, typeIn, a), typeIn,
                              leadingA, uploadAs(gpu, typeIn, b), typeIn, std::max(1, leadingB), &c.beta, deviceC, typeOut, leadingC,
                              kCompute32, -1));
  CHECK_EQUAL(0, cuCtxSynchronize());
  const std::vector<float> got = downloadAs(gpu, typeOut, deviceC, old.size());
  // Half a unit of the last place of the result's type, which is rounded to last.
  const double output = typeOut == kFloat ? 0 : typeOut == kHalf ? 0x1p-11 : 0x1p-8;
  for (int column = 0; column < c.n; column++) {
    for (int row = 0; row < c.m; row++) {
      const Expected expected = element(c, a, b, old, row, column);
      const double sum = bound(c, expected.size);
      const double error = std::fabs(got[static_cast<size_t>(row + column * leadingC)] - expected.value);
      CHECK(error <= sum + output * (std::fabs(expected.value) + sum));
    }
  }
  for (int column = 0; column < c.n; column++) {
    for (int row = c.m; row < leadingC; row++) {  // the padding is as it was
      const auto at = static_cast<size_t>(row + column * leadingC);
      CHECK(got[at] == old[at] || (std::isnan(got[at]) && std::isnan(old[at])));
    }
  }
  cublasDestroy_v2(handle);
}

void productsAreRight() {
  for (const bool transposeA : {false, true}) {
    for (const bool transposeB : {false, true}) {
      check({1, 1, 1, transposeA, transposeB, 1, 0, 0}, kFloat, kFloat);
      check({37, 53, 29, transposeA, transposeB, -1.5f, 0.5f, 3}, kFloat, kFloat);
      check({6, 16, 200, transposeA, transposeB, 1, 1, 0}, kFloat, kFloat);
      check({13, 18, 5, transposeA, transposeB, 1, 0, 2}, kBfloat, kFloat);
      check({13, 18, 40, transposeA, transposeB, 0.5f, 0.25f, 2}, kBfloat, kBfloat);
      check({7, 33, 17, transposeA, transposeB, 1, 0, 0}, kHalf, kFloat);
      check({7, 33, 17, transposeA, transposeB, 0.125f, 0, 1}, kHalf, kHalf);
    }
  }
  check({5, 4, 0, false, false, 1, 0.5f, 0}, kFloat, kFloat);
}

void oneTriangleIsUpdated() {
  const Gpu gpu;
  cublasContext* handle = newHandle();
  const float alpha = 2;
  const float beta = 0.5f;
  const int n = 35;
  const int k = 11;
  for (const bool upper : {false, true}) {
    for (const bool transpose : {false, true}) {
      const Case c{n, n, k, transpose, !transpose, alpha, beta, 0};
      const std::vector<float> a = anyValues(n * k);
      const std::vector<float> old = exactValues(n * n);
      const DevicePointer deviceC = gpu.upload(old);
      CHECK_EQUAL(0, cublasSsyrk_v2(handle, upper, transpose, n, k, &alpha, gpu.upload(a), transpose ? k : n, &beta, deviceC, n));
      const std::vector<float> got = gpu.download<float>(deviceC, n * n);
      for (int column = 0; column < n; column++) {
        for (int row = 0; row < n; row++) {
          const auto at = static_cast<size_t>(row + column * n);
          if (upper ? row <= column : row >= column) {
            const Expected expected = element(c, a, a, old, row, column);
            CHECK(std::fabs(got[at] - expected.value) <= bound(c, expected.size));
          } else {
            CHECK_EQUAL(old[at], got[at]);
          }
        }
      }
    }
  }
}

// 1 + 2⁻¹² is nearer to 1 than to TF32's next number, 1 + 2⁻¹⁰.
void tensorFloatsLoseBits() {
  const Gpu gpu;
  cublasContext* handle = newHandle();
  const float one = 1;
  const float zero = 0;
  const DevicePointer a = gpu.upload(std::vector<float>{1 + 0x1p-12f});
  const DevicePointer b = gpu.upload(std::vector<float>{1});
  const DevicePointer c = gpu.upload(std::vector<float>{0});
  for (const int mode : {0, 3}) {
    CHECK_EQUAL(0, cublasSetMathMode(handle, mode));
    CHECK_EQUAL(0, cublasSgemm_v2(handle, 0, 0, 1, 1, 1, &one, a, 1, b, 1, &zero, c, 1));
    CHECK_EQUAL(mode == 0 ? 1 + 0x1p-12f : 1.0f, gpu.download<float>(c, 1)[0]);
  }
}

// In the middle between two neighbours the even one is taken: 1 + 2⁻⁸ and 1 + 3 · 2⁻⁸ for bfloat16, with 2⁻¹¹ for half.
void resultsAreRoundedToEven() {
  const Gpu gpu;
  cublasContext* handle = newHandle();
  const float one = 1;
  for (const int type : {kBfloat, kHalf}) {
    const float unit = type == kBfloat ? 0x1p-8f : 0x1p-11f;
    // A row [1, 1] times a column [1, ties]: the sum has one bit more than the type.
    const DevicePointer a = uploadAs(gpu, type, {1, 1});
    const DevicePointer b = uploadAs(gpu, type, {1, unit, 1, 3 * unit});
    const DevicePointer c = uploadAs(gpu, type, {0, 0});
    const float zero = 0;
    CHECK_EQUAL(0, cublasGemmEx(handle, 0, 0, 1, 2, 2, &one, a, type, 1, b, type, 2, &zero, c, type, 1, kCompute32, -1));
    const std::vector<float> got = downloadAs(gpu, type, c, 2);
    CHECK_EQUAL(1.0f, got[0]);
    CHECK_EQUAL(1 + 4 * unit, got[1]);
  }
}

void productsKeepStreamOrder() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  cublasContext* handle = newHandle();
  CUstr* stream = nullptr;
  CHECK_EQUAL(0, cuStreamCreate(&stream, 1));
  CHECK_EQUAL(0, cublasSetStream_v2(handle, stream));
  CHECK_EQUAL(0, cublasSetPointerMode_v2(handle, 0));
  const DevicePointer a = gpu.upload(std::vector<float>{3});
  const DevicePointer c = gpu.upload(std::vector<float>{5});
  const auto product = [&] {
    const float alpha = 1;  // on the host: read at the call
    const float beta = 0;
    return cublasSgemm_v2(handle, 0, 0, 1, 1, 1, &alpha, a, 1, a, 1, &beta, c, 1);
  };
  CHECK_EQUAL(0, gpu.launchOn(stream, "scale", {1, 1, 1}, {1, 1, 1}, 0, a, 1u, 2.0f));
  CHECK_EQUAL(0, product());
  CHECK_EQUAL(5.0f, gpu.download<float>(c, 1)[0]);
  CHECK_EQUAL(0, cuStreamSynchronize(stream));
  CHECK_EQUAL(36.0f, gpu.download<float>(c, 1)[0]);
}

void argumentsAreChecked() {
  const Gpu gpu;
  cublasContext* handle = newHandle();
  const float one = 1;
  const DevicePointer a = gpu.upload(std::vector<float>(12));
  const auto sgemm = [&](int m, int n, int k, int leading, DevicePointer c) {
    return cublasSgemm_v2(handle, 0, 0, m, n, k, &one, a, leading, a, k, &one, c, m);
  };
  CHECK_EQUAL(0, sgemm(3, 3, 4, 3, a));
  CHECK_EQUAL(7, sgemm(3, 3, 4, 2, a));      // leading dimension
  CHECK_EQUAL(7, sgemm(3, 3, 4, 4, a));      // leaves the allocation
  CHECK_EQUAL(7, sgemm(3, 3, 4, 3, a + 16));
  CHECK_EQUAL(7, sgemm(3, -1, 4, 3, a));
  CHECK_EQUAL(15, cublasGemmEx(handle, 0, 0, 1, 1, 1, &one, a, 1, 1, a, 1, 1, &one, a, 1, 1, kCompute32, -1));  // double
  CHECK_EQUAL(15, cublasGemmEx(handle, 0, 0, 1, 1, 1, &one, a, 0, 1, a, 0, 1, &one, a, 0, 1, 0, -1));  // no compute type
  {
    const With setting("FAIL", "cublasSgemm_v2:1:14");
    CHECK_EQUAL(14, sgemm(3, 3, 4, 3, a));
  }
  CHECK_EQUAL(0, cublasDestroy_v2(handle));
  CHECK_EQUAL(1, sgemm(3, 3, 4, 3, a));
}

void everySymbolIsThere() {
  std::istringstream names(readFile(getenv("STANDIN_TEST_CUBLAS_SYMBOLS")));
  void* library = dlopen("libcublas.so.12", RTLD_NOW | RTLD_NOLOAD);
  CHECK(library != nullptr);
  size_t count = 0;
  for (std::string name; std::getline(names, name);) {
    CHECK(dlvsym(library, name.c_str(), "libcublas.so.12") != nullptr);
    count++;
  }
  CHECK_EQUAL(size_t{494}, count);
}

}  // namespace

int main() {
  productsAreRight();
  oneTriangleIsUpdated();
  tensorFloatsLoseBits();
  resultsAreRoundedToEven();
  productsKeepStreamOrder();
  argumentsAreChecked();
  everySymbolIsThere();
  return report();
}
