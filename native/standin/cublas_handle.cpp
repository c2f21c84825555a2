// libcublas.so.12: handles.
#include "cublas_handle.h"

#include <cstdio>
#include <mutex>
#include <set>

#include "driver.h"

using namespace standin;
using namespace standin::blas;

#define API extern "C" STANDIN_API int

extern "C" int cuCtxGetCurrent(Context** context);

namespace {

std::mutex handlesMutex;

std::set<Handle>& handles() {
  static auto* live = new std::set<Handle>;
  return *live;
}

}  // namespace

bool standin::blas::valid(Handle handle) {
  const std::lock_guard<std::mutex> lock(handlesMutex);
  return handles().count(handle) != 0;
}

int standin::blas::refuse(const char* function, int status, const char* reason) {
  fprintf(stderr, "[standin] %s: %s\n", function, reason);
  return status;
}

API cublasCreate_v2(Handle* handle) {
  if (const int injected = standinInjectedFailure(__func__, kAllocationFailed); injected != 0) {
    return injected;
  }
  Context* context = nullptr;
  if (cuCtxGetCurrent(&context) != kSuccess || context == nullptr) {
    return refuse(__func__, kNotCreated, "the thread has no context");
  }
  const std::lock_guard<std::mutex> lock(handlesMutex);
  *handle = *handles().insert(new cublasContext).first;
  return kOk;
}

API cublasDestroy_v2(Handle handle) {
  const std::lock_guard<std::mutex> lock(handlesMutex);
  if (handles().erase(handle) == 0) {
    return kNotCreated;
  }
  delete handle;
  return kOk;
}

API cublasSetStream_v2(Handle handle, Stream* stream) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  handle->stream = stream;
  return kOk;
}

API cublasGetStream_v2(Handle handle, Stream** stream) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  *stream = handle->stream;
  return kOk;
}

API cublasGetVersion_v2(Handle, int* version) {
  *version = 12000;
  return kOk;
}

API cublasGetProperty(int which, int* value) {
  if (which < 0 || which > 2) {
    return kBadValue;
  }
  *value = which == 0 ? 12 : 0;
  return kOk;
}

API cublasSetMathMode(Handle handle, int mode) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  handle->mathMode = mode & 15;
  return kOk;
}

API cublasGetMathMode(Handle handle, int* mode) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  *mode = handle->mathMode;
  return kOk;
}

API cublasSetPointerMode_v2(Handle handle, int mode) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  handle->scalarsOnDevice = mode == 1;
  return kOk;
}

API cublasGetPointerMode_v2(Handle handle, int* mode) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  *mode = handle->scalarsOnDevice;
  return kOk;
}

API cublasSetAtomicsMode(Handle handle, int mode) {
  if (!valid(handle)) {
    return kNotCreated;
  }
  handle->atomics = mode;
  return kOk;
}

API cublasSetWorkspace_v2(Handle handle, void*, size_t) { return valid(handle) ? kOk : kNotCreated; }

extern "C" STANDIN_API const char* cublasGetStatusName(int status) {
  switch (status) {
    case kOk:
      return "CUBLAS_STATUS_SUCCESS";
    case kNotCreated:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case kAllocationFailed:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case kBadValue:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case kExecutionFailed:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case kUnsupported:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
  }
}

extern "C" STANDIN_API const char* cublasGetStatusString(int status) { return cublasGetStatusName(status); }
