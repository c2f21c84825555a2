// libcuda: device memory and pinned host memory.
#include "driver.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

Driver& driver() { return Driver::get(); }

}  // namespace

// ---- device memory

API cuMemGetInfo_v2(size_t* free, size_t* total) {
  STANDIN_ENTER(kContext);
  *total = DeviceMemory::total();
  *free = *total - std::min(*total, driver().device.used());
  return kSuccess;
}

API cuMemAlloc_v2(DevicePointer* result, size_t bytes) {
  STANDIN_ENTER(kContext);
  return driver().device.allocate(bytes, result);
}

// Waits for all work, as the driver does.
API cuMemFree_v2(DevicePointer target) {
  STANDIN_ENTER(kContext);
  if (target == 0) {
    return kSuccess;
  }
  driver().streams.finishAll();
  const Result freed = driver().device.free(target);
  return freed == kSuccess ? driver().streams.failure() : freed;
}

API cuMemAllocAsync(DevicePointer* result, size_t bytes, Stream* stream) {
  STANDIN_ENTER(kContext);
  return driver().streams.find(stream) == nullptr ? kInvalidHandle : driver().device.allocate(bytes, result);
}

API cuMemFreeAsync(DevicePointer target, Stream* handle) {
  STANDIN_ENTER(kContext);
  Stream* stream = driver().streams.find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  driver().streams.submit(stream, [target] { return driver().device.free(target); });
  return kSuccess;
}

API cuMemGetAddressRange_v2(DevicePointer* start, size_t* bytes, DevicePointer inside) {
  STANDIN_ENTER(kContext);
  const std::optional<DeviceMemory::Range> range = driver().device.find(inside);
  if (!range) {
    return kNotFound;
  }
  if (start != nullptr) {
    *start = range->start;
  }
  if (bytes != nullptr) {
    *bytes = range->bytes;
  }
  return kSuccess;
}

API cuPointerGetAttribute(void* value, int which, DevicePointer inside) {
  STANDIN_ENTER(kContext);
  constexpr int kMemoryType = 2;
  if (which != kMemoryType) {
    return call.refuse(kNotSupported, "attribute " + std::to_string(which));
  }
  if (!driver().device.find(inside)) {
    return kInvalidValue;
  }
  *static_cast<unsigned*>(value) = kMemoryDevice;
  return kSuccess;
}

// ---- pinned host memory

API cuMemHostAlloc(void** result, size_t bytes, unsigned) {
  STANDIN_ENTER(kContext);
  return driver().host.allocate(bytes, result);
}

API cuMemAllocHost_v2(void** result, size_t bytes) {
  STANDIN_ENTER(kContext);
  return driver().host.allocate(bytes, result);
}

API cuMemFreeHost(void* memory) {
  STANDIN_ENTER(kContext);
  driver().streams.finishAll();
  return driver().host.free(memory);
}

API cuMemHostRegister_v2(void* memory, size_t bytes, unsigned) {
  STANDIN_ENTER(kContext);
  return driver().host.registerRange(memory, bytes);
}

API cuMemHostUnregister(void* memory) {
  STANDIN_ENTER(kContext);
  driver().streams.finishAll();
  return driver().host.unregisterRange(memory);
}

API cuMemHostGetDevicePointer_v2(DevicePointer* result, void* memory, unsigned) {
  STANDIN_ENTER(kContext);
  if (driver().host.kind(memory, 1) != HostMemory::Kind::kPinned) {
    return kInvalidValue;
  }
  *result = reinterpret_cast<DevicePointer>(memory);
  return kSuccess;
}
