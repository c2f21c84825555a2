// libcuda: initialization, the device, contexts, error names.
#include <cstdio>
#include <cstring>
#include <set>
#include <vector>

#include "driver.h"
#include "settings.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

constexpr char kDeviceName[] = "Quench CPU stand-in (no GPU)";

// The primary context of the device, and those that were created.
Context primary{0};
unsigned primaryUses = 0;

std::set<Context*>& contexts() {
  static auto* created = new std::set<Context*>;
  return *created;
}

std::vector<Context*>& contextStack() {
  static thread_local std::vector<Context*> stack;
  return stack;
}

bool isContext(Context* context) {
  return context == &primary ? primaryUses > 0 : contexts().count(context) != 0;
}

void resetIfUnused() {
  if (primaryUses == 0 && contexts().empty()) {
    Driver::get().reset();
  }
}

// An H100's figures, where kernels may depend on them.
int attribute(int attribute) {
  switch (attribute) {
    case kMaxThreadsPerBlock:
    case kMaxBlockDimX:
    case kMaxBlockDimY:
      return 1024;
    case kMaxBlockDimZ:
      return 64;
    case kMaxGridDimX:
      return 2147483647;
    case kMaxGridDimY:
    case kMaxGridDimZ:
      return 65535;
    case kMaxSharedMemoryPerBlock:
      return kSharedBytes;
    case kTotalConstantMemory:
      return 65536;
    case kWarpSize:
      return 32;
    case kMaxRegistersPerBlock:
    case kMaxRegistersPerMultiprocessor:
      return 65536;
    case kMultiprocessorCount:
      return 132;
    case kMaxThreadsPerMultiprocessor:
      return 2048;
    case kCanMapHostMemory:
    case kConcurrentKernels:
    case kUnifiedAddressing:
    case kMemoryPoolsSupported:
      return 1;
    case kTensorMapAccessSupported:
      return capability() >= 90;
    case kAsyncEngineCount:
      return 2;
    case kComputeCapabilityMajor:
      return static_cast<int>(capability() / 10);
    case kComputeCapabilityMinor:
      return static_cast<int>(capability() % 10);
    case kMaxSharedMemoryPerMultiprocessor:
      return 228 * 1024;
    case kMaxSharedMemoryPerBlockOptin:
      return kSharedBytesOptin;
    case kMaxBlocksPerMultiprocessor:
      return 32;
    case kReservedSharedMemoryPerBlock:
      return 1024;
    default:
      return 0;
  }
}

}  // namespace

Context* standin::currentContext() {
  return contextStack().empty() || !isContext(contextStack().back()) ? nullptr : contextStack().back();
}

// ---- the driver and its device

API cuInit(unsigned flags) {
  STANDIN_ENTER(kNothing);
  if (flags != 0) {
    return kInvalidValue;
  }
  if (setting("DEVICES", 1LL) == 0) {
    return kNoDevice;
  }
  Driver::get().initialized = true;
  return kSuccess;
}

API cuDriverGetVersion(int* version) {
  STANDIN_ENTER(kNothing);
  *version = driverVersion();
  return kSuccess;
}

API cuDeviceGetCount(int* count) {
  STANDIN_ENTER(kDriver);
  *count = 1;
  return kSuccess;
}

API cuDeviceGet(int* device, int ordinal) {
  STANDIN_ENTER(kDriver);
  if (ordinal != 0) {
    return kInvalidDevice;
  }
  *device = 0;
  return kSuccess;
}

API cuDeviceGetName(char* name, int bytes, int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0 || bytes <= 0) {
    return kInvalidValue;
  }
  snprintf(name, static_cast<size_t>(bytes), "%s", kDeviceName);
  return kSuccess;
}

API cuDeviceGetUuid(char* uuid, int device) {
  STANDIN_ENTER(kDriver);
  memset(uuid, 0, 16);
  return device == 0 ? kSuccess : kInvalidDevice;
}

API cuDeviceGetUuid_v2(char* uuid, int device) { return cuDeviceGetUuid(uuid, device); }

API cuDeviceGetPCIBusId(char* id, int bytes, int device) {
  STANDIN_ENTER(kDriver);
  snprintf(id, static_cast<size_t>(bytes), "0000:00:00.0");
  return device == 0 ? kSuccess : kInvalidDevice;
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
  STANDIN_ENTER(kDriver);
  *bytes = DeviceMemory::total();
  return device == 0 ? kSuccess : kInvalidDevice;
}

API cuDeviceComputeCapability(int* major, int* minor, int device) {
  STANDIN_ENTER(kDriver);
  *major = attribute(kComputeCapabilityMajor);
  *minor = attribute(kComputeCapabilityMinor);
  return device == 0 ? kSuccess : kInvalidDevice;
}

API cuDeviceGetAttribute(int* value, int which, int device) {
  STANDIN_ENTER(kDriver);
  *value = attribute(which);
  return device == 0 ? kSuccess : kInvalidDevice;
}

// ---- the primary context

API cuDevicePrimaryCtxRetain(Context** context, int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0) {
    return kInvalidDevice;
  }
  primaryUses++;
  *context = &primary;
  return kSuccess;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0 || primaryUses == 0) {
    return kInvalidContext;
  }
  primaryUses--;
  resetIfUnused();
  return kSuccess;
}

API cuDevicePrimaryCtxReset_v2(int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0) {
    return kInvalidDevice;
  }
  Driver::get().reset();
  return kSuccess;
}

API cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
  STANDIN_ENTER(kDriver);
  primary.flags = flags;
  return device == 0 ? kSuccess : kInvalidDevice;
}

API cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
  STANDIN_ENTER(kDriver);
  *flags = primary.flags;
  *active = primaryUses > 0;
  return device == 0 ? kSuccess : kInvalidDevice;
}

// ---- contexts

API cuCtxCreate_v2(Context** context, unsigned flags, int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0) {
    return kInvalidDevice;
  }
  *context = *contexts().insert(new Context{flags}).first;
  contextStack().push_back(*context);
  return kSuccess;
}

API cuCtxDestroy_v2(Context* context) {
  STANDIN_ENTER(kDriver);
  if (contexts().erase(context) == 0) {
    return kInvalidContext;
  }
  if (!contextStack().empty() && contextStack().back() == context) {
    contextStack().pop_back();
  }
  delete context;
  resetIfUnused();
  return kSuccess;
}

API cuCtxSetCurrent(Context* context) {
  STANDIN_ENTER(kDriver);
  if (context != nullptr && !isContext(context)) {
    return kInvalidContext;
  }
  if (!contextStack().empty()) {
    contextStack().pop_back();
  }
  if (context != nullptr) {
    contextStack().push_back(context);
  }
  return kSuccess;
}

API cuCtxGetCurrent(Context** context) {
  STANDIN_ENTER(kDriver);
  *context = currentContext();
  return kSuccess;
}

API cuCtxPushCurrent_v2(Context* context) {
  STANDIN_ENTER(kDriver);
  if (!isContext(context)) {
    return kInvalidContext;
  }
  contextStack().push_back(context);
  return kSuccess;
}

API cuCtxPopCurrent_v2(Context** context) {
  STANDIN_ENTER(kDriver);
  if (contextStack().empty()) {
    return kInvalidContext;
  }
  if (context != nullptr) {
    *context = contextStack().back();
  }
  contextStack().pop_back();
  return kSuccess;
}

API cuCtxGetDevice(int* device) {
  STANDIN_ENTER(kContext);
  *device = 0;
  return kSuccess;
}

API cuCtxGetFlags(unsigned* flags) {
  STANDIN_ENTER(kContext);
  *flags = currentContext()->flags;
  return kSuccess;
}

API cuCtxGetApiVersion(Context* context, unsigned* version) {
  STANDIN_ENTER(kDriver);
  *version = 3020;
  return context == nullptr || isContext(context) ? kSuccess : kInvalidContext;
}

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  STANDIN_ENTER(kContext);
  if (least != nullptr) {
    *least = 0;
  }
  if (greatest != nullptr) {
    *greatest = -5;
  }
  return kSuccess;
}

API cuCtxSetCacheConfig(int) {
  STANDIN_ENTER(kContext);
  return kSuccess;
}

API cuCtxSynchronize() {
  STANDIN_ENTER(kContext);
  Driver& driver = Driver::get();
  driver.streams.finishAll();
  return driver.streams.failure();
}

// ---- errors

API cuGetErrorName(Result result, const char** name) {
  *name = resultName(result);
  return *name == nullptr ? kInvalidValue : kSuccess;
}

// After a failed launch the text goes on with the reason, which a device would not tell.
API cuGetErrorString(Result result, const char** text) {
  static thread_local std::string withReason;
  Driver& driver = Driver::get();
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  *text = resultText(result);
  if (*text != nullptr && result == driver.streams.failure() && !driver.launchFailure.empty()) {
    withReason = std::string(*text) + " (stand-in: " + driver.launchFailure + ")";
    *text = withReason.c_str();
  }
  return *text == nullptr ? kInvalidValue : kSuccess;
}

API cuProfilerStart() { return kSuccess; }

API cuProfilerStop() { return kSuccess; }
