// libcuda: cuTensorMapEncodeTiled, with the conditions that its documentation states.
#include <cstring>

#include "driver.h"

using namespace standin;

namespace {

constexpr uint32_t kElementBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};  // by CUtensorMapDataType
constexpr uint64_t kMaxStride = uint64_t{1} << 40;
constexpr uint64_t kMaxSize = uint64_t{1} << 32;
constexpr uint32_t kMaxBox = 256;

struct Arguments {
  unsigned type;
  uint32_t rank;
  uint64_t address;
  const uint64_t* sizes;
  const uint64_t* strides;  // of dimensions 1 and up, in bytes
  const uint32_t* boxes;
  const uint32_t* elementStrides;
  unsigned swizzle;
};

// "" or which condition doesn't hold.
std::string objection(const Arguments& a) {
  if (a.type >= std::size(kElementBytes)) {
    return "unknown data type";
  }
  if (a.rank < 1 || a.rank > 5) {
    return "rank " + std::to_string(a.rank);
  }
  if (a.address % 16 != 0) {
    return "the address is not a multiple of 16";
  }
  if (a.swizzle > 3) {
    return "unknown swizzle";
  }
  for (uint32_t i = 0; i < a.rank; i++) {
    const std::string dimension = " in dimension " + std::to_string(i);
    if (a.sizes[i] == 0 || a.sizes[i] > kMaxSize) {
      return "size " + std::to_string(a.sizes[i]) + dimension;
    }
    if (a.boxes[i] == 0 || a.boxes[i] > kMaxBox) {
      return "box " + std::to_string(a.boxes[i]) + dimension;
    }
    if (a.elementStrides[i] != 1) {
      return "the stand-in knows no element strides but 1";
    }
    if (i > 0 && (a.strides[i - 1] % 16 != 0 || a.strides[i - 1] >= kMaxStride)) {
      return "stride " + std::to_string(a.strides[i - 1]) + dimension;
    }
  }
  const uint32_t row = a.boxes[0] * kElementBytes[a.type];
  if (row % 16 != 0) {
    return "rows of a box have " + std::to_string(row) + " bytes, no multiple of 16";
  }
  if (a.swizzle != 0 && row > 16u << a.swizzle) {
    return "rows of a box have " + std::to_string(row) + " bytes, more than the swizzle spans";
  }
  return "";
}

}  // namespace

extern "C" STANDIN_API int cuTensorMapEncodeTiled(void* result, unsigned type, uint32_t rank, void* address,
                                                  const uint64_t* sizes, const uint64_t* strides, const uint32_t* boxes,
                                                  const uint32_t* elementStrides, unsigned interleave, unsigned swizzle,
                                                  unsigned, unsigned fill) {
  STANDIN_ENTER(kDriver);
  const Arguments arguments{type,  rank,           reinterpret_cast<uint64_t>(address), sizes, strides,
                            boxes, elementStrides, swizzle};
  if (interleave != 0) {
    return call.refuse(kNotSupported, "interleaved layouts");
  }
  if (result == nullptr || reinterpret_cast<uintptr_t>(result) % 64 != 0) {
    return call.refuse(kInvalidValue, "a tensor map must lie at a multiple of 64 bytes");
  }
  if (const std::string text = objection(arguments); !text.empty()) {
    return call.refuse(kInvalidValue, text);
  }
  TensorMap map{};
  map.magic = TensorMap::kMagic;
  map.rank = rank;
  map.elementBytes = kElementBytes[type];
  map.swizzle = swizzle;
  map.address = arguments.address;
  map.nanFill = fill;
  uint64_t extent = map.elementBytes;
  for (uint32_t i = 0; i < rank; i++) {
    map.size[i] = sizes[i];
    map.box[i] = boxes[i];
    map.stride[i] = i == 0 ? map.elementBytes : strides[i - 1];
    extent += (sizes[i] - 1) * map.stride[i];
  }
  const DeviceMemory& memory = Driver::get().device;
  if (!memory.contains(arguments.address, extent)) {
    return call.refuse(kInvalidValue, "the tensor is " + memory.describe(arguments.address, extent));
  }
  memcpy(result, &map, sizeof map);
  return kSuccess;
}
