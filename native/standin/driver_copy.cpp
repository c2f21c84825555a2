// libcuda: copies and fills.
#include <cstring>
#include <vector>

#include "driver.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

Driver& driver() { return Driver::get(); }

template <class T>
T* pointer(DevicePointer address) {
  return reinterpret_cast<T*>(address);
}

DevicePointer address(const void* pointer) { return reinterpret_cast<DevicePointer>(pointer); }

// One end of a copy.
struct Side {
  void* memory;
  bool device;

  static Side ofDevice(DevicePointer address) { return {pointer<void>(address), true}; }
  static Side ofHost(const void* memory) { return {const_cast<void*>(memory), false}; }
  static Side either(DevicePointer address) { return {pointer<void>(address), driver().device.find(address).has_value()}; }
};

// Rows of bytes; a flat copy has one.
struct Shape {
  size_t width;
  size_t height;

  size_t extent(size_t pitch) const { return height == 0 ? 0 : (height - 1) * pitch + width; }
};

bool pageable(const Side& side, size_t bytes) {
  return !side.device && driver().host.kind(side.memory, bytes) == HostMemory::Kind::kPageable;
}

Result check(const Call& call, const char* role, const Side& side, size_t bytes) {
  if (side.device) {
    if (!driver().device.contains(address(side.memory), bytes)) {
      return call.refuse(kInvalidValue, role + driver().device.describe(address(side.memory), bytes));
    }
  } else if (side.memory == nullptr && bytes > 0) {
    return kInvalidValue;
  } else if (driver().host.kind(side.memory, bytes) == HostMemory::Kind::kCut) {
    return call.refuse(kInvalidValue, std::string(role) + std::to_string(bytes) + " bytes leave pinned memory");
  }
  return kSuccess;
}

void copyRows(void* target, size_t targetPitch, const void* source, size_t sourcePitch, Shape shape) {
  for (size_t row = 0; row < shape.height; row++) {
    memmove(static_cast<char*>(target) + row * targetPitch, static_cast<const char*>(source) + row * sourcePitch,
            shape.width);
  }
}

// Copies in the stream's order. Pageable memory behaves as the driver documents it: it is read before the call returns,
// and what is written to it has been written when the call returns.
Result copy(const Call& call, Stream* handle, bool wait, Side target, size_t targetPitch, Side source,
            size_t sourcePitch, Shape shape) {
  Stream* stream = driver().streams.find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  const size_t targetExtent = shape.extent(targetPitch);
  const size_t sourceExtent = shape.extent(sourcePitch);
  if (const Result bad = check(call, "to ", target, targetExtent); bad != kSuccess) {
    return bad;
  }
  if (const Result bad = check(call, "from ", source, sourceExtent); bad != kSuccess) {
    return bad;
  }
  if (shape.width == 0 || shape.height == 0) {
    return kSuccess;
  }
  if (!wait && pageable(source, sourceExtent)) {
    const auto* bytes = static_cast<const char*>(source.memory);
    driver().streams.submit(stream, [=, staged = std::vector<char>(bytes, bytes + sourceExtent)] {
      copyRows(target.memory, targetPitch, staged.data(), sourcePitch, shape);
      return kSuccess;
    });
  } else {
    driver().streams.submit(stream, [=] {
      copyRows(target.memory, targetPitch, source.memory, sourcePitch, shape);
      return kSuccess;
    });
  }
  if (wait || pageable(target, targetExtent)) {
    driver().streams.finish(stream);
    return driver().streams.failure();
  }
  return kSuccess;
}

Result copyFlat(const Call& call, Stream* stream, bool wait, Side target, Side source, size_t bytes) {
  return copy(call, stream, wait, target, bytes, source, bytes, {bytes, 1});
}

Side sideOf(unsigned type, const void* host, DevicePointer device) {
  switch (type) {
    case kMemoryHost:
      return Side::ofHost(host);
    case kMemoryDevice:
      return Side::ofDevice(device);
    default:
      return Side::either(device);
  }
}

Side offset(Side side, size_t bytes) { return {static_cast<char*>(side.memory) + bytes, side.device}; }

Result copy2D(const Call& call, Stream* stream, bool wait, const Memcpy2D* c) {
  if (c->sourceType == kMemoryArray || c->targetType == kMemoryArray) {
    return call.refuse(kNotSupported, "arrays");
  }
  if (c->height > 1 && (c->sourcePitch < c->sourceX + c->widthBytes || c->targetPitch < c->targetX + c->widthBytes)) {
    return kInvalidValue;
  }
  const Side source = offset(sideOf(c->sourceType, c->sourceHost, c->sourceDevice), c->sourceY * c->sourcePitch + c->sourceX);
  const Side target = offset(sideOf(c->targetType, c->targetHost, c->targetDevice), c->targetY * c->targetPitch + c->targetX);
  return copy(call, stream, wait, target, c->targetPitch, source, c->sourcePitch, {c->widthBytes, c->height});
}

template <class T>
Result fill(const Call& call, Stream* handle, DevicePointer target, size_t pitch, T value, size_t width, size_t height) {
  Stream* stream = driver().streams.find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  if (target % sizeof(T) != 0 || pitch % sizeof(T) != 0 || (height > 1 && pitch < width * sizeof(T))) {
    return kInvalidValue;
  }
  const size_t extent = Shape{width * sizeof(T), height}.extent(pitch);
  if (const Result bad = check(call, "of ", Side::ofDevice(target), extent); bad != kSuccess) {
    return bad;
  }
  driver().streams.submit(stream, [=] {
    for (size_t row = 0; row < height; row++) {
      std::fill_n(pointer<T>(target + row * pitch), width, value);
    }
    return kSuccess;
  });
  return kSuccess;
}

}  // namespace

// ---- copies

API cuMemcpyHtoD_v2(DevicePointer target, const void* source, size_t bytes) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, nullptr, true, Side::ofDevice(target), Side::ofHost(source), bytes);
}

API cuMemcpyDtoH_v2(void* target, DevicePointer source, size_t bytes) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, nullptr, true, Side::ofHost(target), Side::ofDevice(source), bytes);
}

API cuMemcpyDtoD_v2(DevicePointer target, DevicePointer source, size_t bytes) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, nullptr, false, Side::ofDevice(target), Side::ofDevice(source), bytes);
}

API cuMemcpyHtoDAsync_v2(DevicePointer target, const void* source, size_t bytes, Stream* stream) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, stream, false, Side::ofDevice(target), Side::ofHost(source), bytes);
}

API cuMemcpyDtoHAsync_v2(void* target, DevicePointer source, size_t bytes, Stream* stream) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, stream, false, Side::ofHost(target), Side::ofDevice(source), bytes);
}

API cuMemcpyDtoDAsync_v2(DevicePointer target, DevicePointer source, size_t bytes, Stream* stream) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, stream, false, Side::ofDevice(target), Side::ofDevice(source), bytes);
}

API cuMemcpy(DevicePointer target, DevicePointer source, size_t bytes) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, nullptr, true, Side::either(target), Side::either(source), bytes);
}

API cuMemcpyAsync(DevicePointer target, DevicePointer source, size_t bytes, Stream* stream) {
  STANDIN_ENTER(kContext);
  return copyFlat(call, stream, false, Side::either(target), Side::either(source), bytes);
}

API cuMemcpy2D_v2(const Memcpy2D* parameters) {
  STANDIN_ENTER(kContext);
  return copy2D(call, nullptr, true, parameters);
}

API cuMemcpy2DUnaligned_v2(const Memcpy2D* parameters) {
  STANDIN_ENTER(kContext);
  return copy2D(call, nullptr, true, parameters);
}

API cuMemcpy2DAsync_v2(const Memcpy2D* parameters, Stream* stream) {
  STANDIN_ENTER(kContext);
  return copy2D(call, stream, false, parameters);
}

// ---- fills. None waits, as none does for device memory.

API cuMemsetD8Async(DevicePointer target, unsigned char value, size_t count, Stream* stream) {
  STANDIN_ENTER(kContext);
  return fill(call, stream, target, count, value, count, 1);
}

API cuMemsetD16Async(DevicePointer target, unsigned short value, size_t count, Stream* stream) {
  STANDIN_ENTER(kContext);
  return fill(call, stream, target, count * 2, value, count, 1);
}

API cuMemsetD32Async(DevicePointer target, unsigned value, size_t count, Stream* stream) {
  STANDIN_ENTER(kContext);
  return fill(call, stream, target, count * 4, value, count, 1);
}

API cuMemsetD8_v2(DevicePointer target, unsigned char value, size_t count) {
  STANDIN_ENTER(kContext);
  return fill(call, nullptr, target, count, value, count, 1);
}

API cuMemsetD16_v2(DevicePointer target, unsigned short value, size_t count) {
  STANDIN_ENTER(kContext);
  return fill(call, nullptr, target, count * 2, value, count, 1);
}

API cuMemsetD32_v2(DevicePointer target, unsigned value, size_t count) {
  STANDIN_ENTER(kContext);
  return fill(call, nullptr, target, count * 4, value, count, 1);
}

API cuMemsetD2D8Async(DevicePointer target, size_t pitch, unsigned char value, size_t width, size_t height,
                      Stream* stream) {
  STANDIN_ENTER(kContext);
  return fill(call, stream, target, pitch, value, width, height);
}

API cuMemsetD2D32Async(DevicePointer target, size_t pitch, unsigned value, size_t width, size_t height,
                       Stream* stream) {
  STANDIN_ENTER(kContext);
  return fill(call, stream, target, pitch, value, width, height);
}
