// Device memory and pinned host memory: which ranges there are, and whether somebody writes outside of them.
//
// New memory is 0xFF bytes (NaN). An allocation lies between red zones, which are compared after every launch; under
// a sanitizer it has the exact size instead. With STANDIN_GUARD=n allocations end at a page that can't be accessed,
// aligned to n bytes (1: to 256, as the driver's), and freed ones can't be accessed at all.
//
// All functions are called under the driver's lock.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "abi.h"

namespace standin {

class DeviceMemory {
 public:
  struct Range {
    DevicePointer start;
    size_t bytes;
  };

  // STANDIN_MEMORY bytes; 80 GiB unless set.
  static size_t total();

  size_t used() const { return used_; }
  Result allocate(size_t bytes, DevicePointer* address);
  Result free(DevicePointer address);
  void freeAll();

  // The allocation that an address lies in.
  std::optional<Range> find(DevicePointer address) const;
  bool contains(DevicePointer address, size_t bytes) const;

  // True for addresses in memory that was freed a short while ago.
  bool freed(DevicePointer address) const;

  // What a range is, for messages about those that contains() refuses.
  std::string describe(DevicePointer address, size_t bytes) const;

  // "" or which allocation was written beyond its bounds.
  std::string damage() const;

 private:
  struct Allocation {
    size_t bytes;
    unsigned char* memory;
    size_t memoryBytes;
    bool mapped;
  };
  using Allocations = std::map<DevicePointer, Allocation>;

  static std::string damageOf(DevicePointer address, const Allocation& allocation);
  void retire(DevicePointer address, const Allocation& allocation);
  static void release(const Allocation& allocation);

  Allocations live_;
  Allocations retired_;
  std::deque<DevicePointer> retirement_;  // oldest first
  size_t retiredBytes_ = 0;
  size_t used_ = 0;
};

// Host memory that was allocated or registered as pinned: asynchronous copies read and write it in stream order.
class HostMemory {
 public:
  Result allocate(size_t bytes, void** address);
  Result free(void* address);
  Result registerRange(void* address, size_t bytes);
  Result unregisterRange(void* address);
  void freeAll();

  enum class Kind { kPageable, kPinned, kCut };  // cut: begins in pinned memory and leaves it

  Kind kind(const void* address, size_t bytes) const;

 private:
  struct Pinned {
    size_t bytes;
    bool owned;
  };

  std::map<uintptr_t, Pinned> ranges_;
};

}  // namespace standin
