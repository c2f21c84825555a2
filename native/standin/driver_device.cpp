// libcuda: initialization and the device.
#include <cstdio>
#include <cstring>

#include "driver.h"
#include "settings.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

constexpr char kDeviceName[] = "Quench CPU stand-in (no GPU)";

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
