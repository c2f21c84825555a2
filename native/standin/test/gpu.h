// What the tests share: the driver's entry points, a device with the kernels of kernels.ptx loaded, and CHECK.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include "abi.h"
#include "settings.h"
#include "simt.h"

using standin::DevicePointer;
using standin::Dim;

struct CUctx;
struct CUmod;
struct CUfunc;
struct CUstr;
struct CUev;

extern "C" {
int cuInit(unsigned);
int cuDriverGetVersion(int*);
int cuDeviceGetName(char*, int, int);
int cuDeviceGetAttribute(int*, int, int);
int cuDevicePrimaryCtxRetain(CUctx**, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuDevicePrimaryCtxReset_v2(int);
int cuCtxSetCurrent(CUctx*);
int cuCtxSynchronize();
int cuGetErrorName(int, const char**);
int cuGetErrorString(int, const char**);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemAlloc_v2(DevicePointer*, size_t);
int cuMemFree_v2(DevicePointer);
int cuMemFreeAsync(DevicePointer, CUstr*);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemHostRegister_v2(void*, size_t, unsigned);
int cuMemHostUnregister(void*);
int cuMemcpyHtoD_v2(DevicePointer, const void*, size_t);
int cuMemcpyDtoH_v2(void*, DevicePointer, size_t);
int cuMemcpyDtoD_v2(DevicePointer, DevicePointer, size_t);
int cuMemcpyHtoDAsync_v2(DevicePointer, const void*, size_t, CUstr*);
int cuMemcpyDtoHAsync_v2(void*, DevicePointer, size_t, CUstr*);
int cuMemcpy2D_v2(const standin::Memcpy2D*);
int cuMemsetD8_v2(DevicePointer, unsigned char, size_t);
int cuMemsetD32Async(DevicePointer, unsigned, size_t, CUstr*);
int cuModuleLoadData(CUmod**, const void*);
int cuModuleLoadDataEx(CUmod**, const void*, unsigned, int*, void**);
int cuModuleUnload(CUmod*);
int cuModuleGetFunction(CUfunc**, CUmod*, const char*);
int cuFuncGetAttribute(int*, int, CUfunc*);
int cuFuncSetAttribute(CUfunc*, int, int);
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int*, CUfunc*, int, size_t);
int cuLaunchKernel(CUfunc*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstr*, void**,
                   void**);
int cuLaunchKernelEx(const standin::LaunchConfig*, CUfunc*, void**, void**);
int cuStreamCreate(CUstr**, unsigned);
int cuStreamDestroy_v2(CUstr*);
int cuStreamSynchronize(CUstr*);
int cuStreamQuery(CUstr*);
int cuStreamWaitEvent(CUstr*, CUev*, unsigned);
int cuEventCreate(CUev**, unsigned);
int cuEventDestroy_v2(CUev*);
int cuEventRecord(CUev*, CUstr*);
int cuEventSynchronize(CUev*);
int cuEventQuery(CUev*);
int cuEventElapsedTime(float*, CUev*, CUev*);
int cuTensorMapEncodeTiled(void*, unsigned, uint32_t, void*, const uint64_t*, const uint64_t*, const uint32_t*,
                           const uint32_t*, unsigned, unsigned, unsigned, unsigned);
}

inline int failures = 0;

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) {                                                      \
      printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);   \
      failures++;                                                            \
    }                                                                        \
  } while (false)

#define CHECK_EQUAL(expected, actual)                                                                        \
  do {                                                                                                       \
    const auto expected_ = (expected);                                                                       \
    const auto actual_ = (actual);                                                                           \
    if (!(expected_ == actual_)) {                                                                           \
      std::ostringstream text_;                                                                              \
      text_ << __FILE__ << ":" << __LINE__ << ": " << #actual << " is " << actual_ << " and not " << expected_; \
      puts(text_.str().c_str());                                                                             \
      failures++;                                                                                            \
    }                                                                                                        \
  } while (false)

// A setting of the stand-in for the time of a block.
class With {
 public:
  With(const char* name, const std::string& value) : name_(name) { standinConfigure(name, value.c_str()); }
  ~With() { standinConfigure(name_, nullptr); }

 private:
  const char* name_;
};

inline std::string readFile(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

inline std::string testPtx() { return readFile(getenv("STANDIN_TEST_PTX")); }

// A context with the test kernels. What a test leaves is gone when its Gpu is.
class Gpu {
 public:
  Gpu() {
    require(cuInit(0));
    require(cuDevicePrimaryCtxRetain(&context_, 0));
    require(cuCtxSetCurrent(context_));
    require(cuModuleLoadData(&module_, testPtx().c_str()));
  }

  ~Gpu() { cuDevicePrimaryCtxRelease_v2(0); }

  CUfunc* function(const char* name) const {
    CUfunc* function = nullptr;
    require(cuModuleGetFunction(&function, module_, name));
    return function;
  }

  template <class... Arguments>
  int launchOn(CUstr* stream, const char* name, Dim grid, Dim block, unsigned shared, Arguments... arguments) const {
    void* pointers[] = {&arguments...};
    return cuLaunchKernel(function(name), grid.x, grid.y, grid.z, block.x, block.y, block.z, shared, stream, pointers,
                          nullptr);
  }

  // Launches on the default stream and waits; the first result that isn't 0.
  template <class... Arguments>
  int run(const char* name, unsigned blocks, unsigned threads, unsigned shared, Arguments... arguments) const {
    const int launched = launchOn(nullptr, name, {blocks, 1, 1}, {threads, 1, 1}, shared, arguments...);
    return launched != 0 ? launched : cuCtxSynchronize();
  }

  template <class T>
  DevicePointer upload(const std::vector<T>& values) const {
    DevicePointer address = 0;
    require(cuMemAlloc_v2(&address, values.size() * sizeof(T)));
    require(cuMemcpyHtoD_v2(address, values.data(), values.size() * sizeof(T)));
    return address;
  }

  template <class T>
  std::vector<T> download(DevicePointer address, size_t count) const {
    std::vector<T> values(count);
    require(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)));
    return values;
  }

  CUmod* module() const { return module_; }

  static void require(int result) {
    if (result != 0) {
      printf("a call that the test needs returned %d\n", result);
      exit(2);
    }
  }

 private:
  CUctx* context_ = nullptr;
  CUmod* module_ = nullptr;
};

inline bool underAddressSanitizer() { return std::string(getenv("STANDIN_TEST_SANITIZER")) == "address"; }

// Why the last launch failed.
inline std::string reason(int result) {
  const char* text = nullptr;
  return cuGetErrorString(result, &text) == 0 ? text : "";
}

inline bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

inline int report() {
  printf(failures == 0 ? "all checks hold\n" : "%d checks don't hold\n", failures);
  return failures == 0 ? 0 : 1;
}
