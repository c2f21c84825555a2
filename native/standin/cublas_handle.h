// What a cuBLAS handle holds, and the codes that its functions return.
#pragma once

#include "abi.h"

namespace standin {

struct Stream;

namespace blas {

enum Status : int {
  kOk = 0,
  kNotCreated = 1,
  kAllocationFailed = 3,
  kBadValue = 7,
  kExecutionFailed = 13,
  kUnsupported = 15,
};

constexpr int kTf32Math = 3;  // CUBLAS_TF32_TENSOR_OP_MATH

}  // namespace blas
}  // namespace standin

struct cublasContext {
  standin::Stream* stream = nullptr;
  bool scalarsOnDevice = false;
  int mathMode = 0;
  int atomics = 0;
};

namespace standin::blas {

using Handle = cublasContext*;

// False for a handle that wasn't created or is destroyed.
bool valid(Handle handle);

// Writes a line about a refused call to stderr and returns the status.
int refuse(const char* function, int status, const char* reason);

}  // namespace standin::blas
