// libcublas.so.12: the products that Quench needs, in stream order through the stand-in's driver. Everything else that
// JCublas2 links is a stub that returns CUBLAS_STATUS_NOT_SUPPORTED.
#include <functional>
#include <optional>

#include "cublas_handle.h"
#include "driver.h"
#include "gemm.h"

using namespace standin;
using namespace standin::blas;

#define API extern "C" STANDIN_API int

namespace {

enum DataType : int { kReal32 = 0, kReal16 = 2, kRealB16 = 14 };

enum ComputeType : int { kCompute32 = 68, kCompute32Pedantic = 69, kCompute32FastTf32 = 77 };

std::optional<Element> element(int type) {
  switch (type) {
    case kReal32:
      return Element::kFloat;
    case kReal16:
      return Element::kHalf;
    case kRealB16:
      return Element::kBfloat;
    default:
      return std::nullopt;
  }
}

// CUBLAS_OP_N, T and C; for real matrices the last two are the same.
std::optional<bool> transposed(int operation) {
  return operation < 0 || operation > 2 ? std::nullopt : std::optional<bool>(operation != 0);
}

struct Operand {
  const void* data;
  int type;
  int64_t leading;
  int64_t batchStride = 0;
};

struct Product {
  const char* function;
  int operationA, operationB;
  int64_t m, n, k;
  const float* alpha;
  Operand a, b;
  const float* beta;
  Operand c;
  int64_t batch = 1;
  bool tf32 = false;
};

bool inRange(const char* function, const Operand& operand, Element element, int64_t rows, int64_t columns,
             int64_t batch) {
  if (rows == 0 || columns == 0 || batch == 0) {
    return true;
  }
  const int64_t elements = (batch - 1) * operand.batchStride + (columns - 1) * operand.leading + rows;
  return standinCheckRange(function, operand.data, static_cast<size_t>(elements) * elementBytes(element)) != 0;
}

Matrix matrix(const Operand& operand, Element element, int64_t batch) {
  auto* data = static_cast<char*>(const_cast<void*>(operand.data));
  return {element, data + batch * operand.batchStride * static_cast<int64_t>(elementBytes(element)), operand.leading};
}

// Scalars on the host are read when the routine is called, those on the device when it runs.
struct Scalars {
  Scalars(Handle handle, const float* alpha, const float* beta)
      : alpha_(alpha), beta_(beta), onDevice_(handle->scalarsOnDevice) {
    if (!onDevice_) {
      values_[0] = *alpha;
      values_[1] = *beta;
    }
  }

  float alpha() const { return onDevice_ ? *alpha_ : values_[0]; }
  float beta() const { return onDevice_ ? *beta_ : values_[1]; }

 private:
  const float* alpha_;
  const float* beta_;
  bool onDevice_;
  float values_[2] = {};
};

int submit(Handle handle, const std::function<int()>& task) {
  return standinSubmit(handle->stream, &task) == kSuccess ? kOk : kExecutionFailed;
}

int multiply(Handle handle, const Product& p) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  if (const int injected = standinInjectedFailure(p.function, kExecutionFailed); injected != 0) {
    return injected;
  }
  const auto transposeA = transposed(p.operationA);
  const auto transposeB = transposed(p.operationB);
  if (!transposeA || !transposeB || p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0 || p.alpha == nullptr ||
      p.beta == nullptr) {
    return refuse(p.function, kBadValue, "a bad operation, size or scalar");
  }
  const auto a = element(p.a.type);
  const auto b = element(p.b.type);
  const auto c = element(p.c.type);
  if (!a || !b || !c || *a != *b || (*c != Element::kFloat && *c != *a)) {
    return refuse(p.function, kUnsupported, "element types");
  }
  const int64_t rowsA = *transposeA ? p.k : p.m;
  const int64_t rowsB = *transposeB ? p.n : p.k;
  if (p.a.leading < std::max<int64_t>(1, rowsA) || p.b.leading < std::max<int64_t>(1, rowsB) ||
      p.c.leading < std::max<int64_t>(1, p.m)) {
    return refuse(p.function, kBadValue, "a leading dimension is smaller than the matrix");
  }
  if (!inRange(p.function, p.a, *a, rowsA, *transposeA ? p.m : p.k, p.batch) ||
      !inRange(p.function, p.b, *b, rowsB, *transposeB ? p.k : p.n, p.batch) ||
      !inRange(p.function, p.c, *c, p.m, p.n, p.batch)) {
    return kBadValue;
  }
  const bool tf32 = p.tf32 || (handle->mathMode == kTf32Math && *a == Element::kFloat);
  const Scalars scalars(handle, p.alpha, p.beta);
  return submit(handle, [=] {
    for (int64_t i = 0; i < p.batch; i++) {
      gemm({p.m, p.n, p.k, *transposeA, *transposeB, scalars.alpha(), scalars.beta(), matrix(p.a, *a, i),
            matrix(p.b, *b, i), matrix(p.c, *c, i), tf32});
    }
    return 0;
  });
}

int gemmEx(Handle handle, Product product, int compute) {
  if (compute != kCompute32 && compute != kCompute32Pedantic && compute != kCompute32FastTf32) {
    return refuse(product.function, kUnsupported, "compute type: only those with float sums");
  }
  product.tf32 = compute == kCompute32FastTf32;
  return multiply(handle, product);
}

}  // namespace

API cublasSgemm_v2_64(Handle handle, int operationA, int operationB, int64_t m, int64_t n, int64_t k,
                      const float* alpha, const float* a, int64_t leadingA, const float* b, int64_t leadingB,
                      const float* beta, float* c, int64_t leadingC) {
  return multiply(handle, {"cublasSgemm_v2", operationA, operationB, m, n, k, alpha, {a, kReal32, leadingA},
                           {b, kReal32, leadingB}, beta, {c, kReal32, leadingC}});
}

API cublasSgemm_v2(Handle handle, int operationA, int operationB, int m, int n, int k, const float* alpha,
                   const float* a, int leadingA, const float* b, int leadingB, const float* beta, float* c,
                   int leadingC) {
  return cublasSgemm_v2_64(handle, operationA, operationB, m, n, k, alpha, a, leadingA, b, leadingB, beta, c, leadingC);
}

API cublasSgemmStridedBatched(Handle handle, int operationA, int operationB, int m, int n, int k, const float* alpha,
                              const float* a, int leadingA, long long strideA, const float* b, int leadingB,
                              long long strideB, const float* beta, float* c, int leadingC, long long strideC,
                              int batch) {
  return multiply(handle, {"cublasSgemmStridedBatched", operationA, operationB, m, n, k, alpha,
                           {a, kReal32, leadingA, strideA}, {b, kReal32, leadingB, strideB}, beta,
                           {c, kReal32, leadingC, strideC}, batch});
}

API cublasGemmEx_64(Handle handle, int operationA, int operationB, int64_t m, int64_t n, int64_t k, const void* alpha,
                    const void* a, int typeA, int64_t leadingA, const void* b, int typeB, int64_t leadingB,
                    const void* beta, void* c, int typeC, int64_t leadingC, int compute, int) {
  return gemmEx(handle,
                {"cublasGemmEx", operationA, operationB, m, n, k, static_cast<const float*>(alpha), {a, typeA, leadingA},
                 {b, typeB, leadingB}, static_cast<const float*>(beta), {c, typeC, leadingC}},
                compute);
}

API cublasGemmEx(Handle handle, int operationA, int operationB, int m, int n, int k, const void* alpha, const void* a,
                 int typeA, int leadingA, const void* b, int typeB, int leadingB, const void* beta, void* c, int typeC,
                 int leadingC, int compute, int algorithm) {
  return cublasGemmEx_64(handle, operationA, operationB, m, n, k, alpha, a, typeA, leadingA, b, typeB, leadingB, beta,
                         c, typeC, leadingC, compute, algorithm);
}

API cublasGemmStridedBatchedEx(Handle handle, int operationA, int operationB, int m, int n, int k, const void* alpha,
                               const void* a, int typeA, int leadingA, long long strideA, const void* b, int typeB,
                               int leadingB, long long strideB, const void* beta, void* c, int typeC, int leadingC,
                               long long strideC, int batch, int compute, int) {
  return gemmEx(handle,
                {"cublasGemmStridedBatchedEx", operationA, operationB, m, n, k, static_cast<const float*>(alpha),
                 {a, typeA, leadingA, strideA}, {b, typeB, leadingB, strideB}, static_cast<const float*>(beta),
                 {c, typeC, leadingC, strideC}, batch},
                compute);
}

API cublasSsyrk_v2(Handle handle, int fill, int operation, int n, int k, const float* alpha, const float* a,
                   int leadingA, const float* beta, float* c, int leadingC) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  if (const int injected = standinInjectedFailure(__func__, kExecutionFailed); injected != 0) {
    return injected;
  }
  const auto transpose = transposed(operation);
  const int64_t rows = operation != 0 ? k : n;
  if (!transpose || n < 0 || k < 0 || fill < 0 || fill > 1 || leadingA < std::max<int64_t>(1, rows) ||
      leadingC < std::max(1, n)) {
    return refuse(__func__, kBadValue, "a bad operation, triangle, size or leading dimension");
  }
  if (!inRange(__func__, {a, kReal32, leadingA}, Element::kFloat, rows, *transpose ? n : k, 1) ||
      !inRange(__func__, {c, kReal32, leadingC}, Element::kFloat, n, n, 1)) {
    return kBadValue;
  }
  const Scalars scalars(handle, alpha, beta);
  const Matrix source{Element::kFloat, const_cast<float*>(a), leadingA};
  const Matrix target{Element::kFloat, c, leadingC};
  const bool tf32 = handle->mathMode == kTf32Math;
  return submit(handle, [=] {
    syrk({n, n, k, *transpose, false, scalars.alpha(), scalars.beta(), source, source, target, tf32},
         fill == 0 ? Triangle::kLower : Triangle::kUpper);
    return 0;
  });
}
