#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "sanitizers.h"
#include "settings.h"

namespace standin {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kRedZone = 256;
constexpr unsigned char kRed = 0xFD;
constexpr size_t kPage = 4096;
constexpr size_t kRetiredBytes = size_t{64} << 20;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

template <class Map, class Key>
auto containing(Map& map, Key address) {
  auto next = map.upper_bound(address);
  if (next == map.begin()) {
    return map.end();
  }
  --next;
  return address - next->first < next->second.bytes ? next : map.end();
}

size_t guardAlignment() {
  const long long guard = setting("GUARD", 0LL);
  return guard == 1 ? kAlignment : static_cast<size_t>(guard);
}

}  // namespace

size_t DeviceMemory::total() { return static_cast<size_t>(setting("MEMORY", 80LL << 30)); }

Result DeviceMemory::allocate(size_t bytes, DevicePointer* address) {
  if (bytes == 0 || address == nullptr) {
    return kInvalidValue;
  }
  if (bytes > total() || used_ > total() - bytes) {
    return kOutOfMemory;
  }
  Allocation allocation{bytes, nullptr, 0, false};
  void* memory = nullptr;
  unsigned char* start = nullptr;
  if (const size_t alignment = guardAlignment(); alignment != 0) {
    allocation.mapped = true;
    allocation.memoryBytes = roundUp(roundUp(bytes, alignment), kPage) + 2 * kPage;
    memory = mmap(nullptr, allocation.memoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return kOutOfMemory;
    }
    allocation.memory = static_cast<unsigned char*>(memory);
    unsigned char* end = allocation.memory + allocation.memoryBytes - kPage;
    mprotect(allocation.memory, kPage, PROT_NONE);
    mprotect(end, kPage, PROT_NONE);
    start = end - roundUp(bytes, alignment);
  } else {
    const size_t redZone = underAddressSanitizer() || underThreadSanitizer() ? 0 : kRedZone;
    allocation.memoryBytes = bytes + 2 * redZone;
    if (posix_memalign(&memory, kAlignment, allocation.memoryBytes) != 0) {
      return kOutOfMemory;
    }
    allocation.memory = static_cast<unsigned char*>(memory);
    memset(allocation.memory, kRed, redZone);
    start = allocation.memory + redZone;
    memset(start + bytes, kRed, redZone);
  }
  memset(start, 0xFF, bytes);
  *address = reinterpret_cast<DevicePointer>(start);
  live_[*address] = allocation;
  used_ += bytes;
  return kSuccess;
}

Result DeviceMemory::free(DevicePointer address) {
  const auto found = live_.find(address);
  if (found == live_.end()) {
    fprintf(stderr, "[standin] free: %s\n", describe(address, 0).c_str());
    return kInvalidValue;
  }
  const Allocation allocation = found->second;
  live_.erase(found);
  used_ -= allocation.bytes;
  retire(address, allocation);
  return kSuccess;
}

// Keeps freed memory for a while, full of NaNs or inaccessible, so that its use shows.
void DeviceMemory::retire(DevicePointer address, const Allocation& allocation) {
  retired_[address] = allocation;
  if (allocation.mapped) {
    madvise(allocation.memory, allocation.memoryBytes, MADV_DONTNEED);
    mprotect(allocation.memory, allocation.memoryBytes, PROT_NONE);
  } else if (underAddressSanitizer() || underThreadSanitizer()) {
    release(allocation);  // the sanitizer has a quarantine of its own; here only the range is remembered
    retired_[address].memory = nullptr;
  } else {
    memset(reinterpret_cast<void*>(address), 0xFF, allocation.bytes);
  }
  retirement_.push_back(address);
  retiredBytes_ += allocation.bytes;
  while (retiredBytes_ > kRetiredBytes && !retirement_.empty()) {
    const auto oldest = retired_.find(retirement_.front());
    retiredBytes_ -= oldest->second.bytes;
    release(oldest->second);
    retired_.erase(oldest);
    retirement_.pop_front();
  }
}

void DeviceMemory::release(const Allocation& allocation) {
  if (allocation.mapped) {
    munmap(allocation.memory, allocation.memoryBytes);
  } else {
    ::free(allocation.memory);
  }
}

void DeviceMemory::freeAll() {
  while (!live_.empty()) {
    free(live_.begin()->first);
  }
}

std::optional<DeviceMemory::Range> DeviceMemory::find(DevicePointer address) const {
  const auto found = containing(live_, address);
  if (found == live_.end()) {
    return std::nullopt;
  }
  return Range{found->first, found->second.bytes};
}

bool DeviceMemory::contains(DevicePointer address, size_t bytes) const {
  if (bytes == 0) {
    return true;
  }
  const std::optional<Range> range = find(address);
  return range && bytes <= range->bytes - (address - range->start);
}

bool DeviceMemory::freed(DevicePointer address) const { return containing(retired_, address) != retired_.end(); }

std::string DeviceMemory::describe(DevicePointer address, size_t bytes) const {
  char text[200];
  if (const std::optional<Range> range = find(address)) {
    snprintf(text, sizeof text, "%zu bytes at offset %llu of an allocation of %zu bytes", bytes,
             address - range->start, range->bytes);
  } else {
    snprintf(text, sizeof text, "%zu bytes at 0x%llx, which is %s", bytes, address,
             freed(address) ? "freed memory" : "no device memory");
  }
  return text;
}

std::string DeviceMemory::damage() const {
  for (const auto& [address, allocation] : live_) {
    std::string text = damageOf(address, allocation);
    if (!text.empty()) {
      return text;
    }
  }
  return "";
}

std::string DeviceMemory::damageOf(DevicePointer address, const Allocation& allocation) {
  if (allocation.mapped || allocation.memoryBytes == allocation.bytes) {
    return "";
  }
  const auto* start = reinterpret_cast<const unsigned char*>(address);
  for (size_t i = 0; i < kRedZone; i++) {
    const bool after = start[allocation.bytes + i] != kRed;
    if (after || start[-1 - static_cast<ptrdiff_t>(i)] != kRed) {
      char text[160];
      snprintf(text, sizeof text, "%zu bytes %s an allocation of %zu bytes at 0x%llx were written", i + (after ? 0 : 1),
               after ? "after the end of" : "before the start of", allocation.bytes, address);
      return text;
    }
  }
  return "";
}

// ---- pinned host memory

Result HostMemory::allocate(size_t bytes, void** address) {
  if (bytes == 0 || address == nullptr) {
    return kInvalidValue;
  }
  if (posix_memalign(address, kPage, bytes) != 0) {
    return kOutOfMemory;
  }
  memset(*address, 0xFF, bytes);
  ranges_[reinterpret_cast<uintptr_t>(*address)] = {bytes, true};
  return kSuccess;
}

Result HostMemory::free(void* address) {
  const auto found = ranges_.find(reinterpret_cast<uintptr_t>(address));
  if (found == ranges_.end() || !found->second.owned) {
    return kInvalidValue;
  }
  ranges_.erase(found);
  ::free(address);
  return kSuccess;
}

Result HostMemory::registerRange(void* address, size_t bytes) {
  if (address == nullptr || bytes == 0) {
    return kInvalidValue;
  }
  const auto start = reinterpret_cast<uintptr_t>(address);
  const auto next = ranges_.upper_bound(start);
  if (containing(ranges_, start) != ranges_.end() || (next != ranges_.end() && next->first - start < bytes)) {
    return kHostMemoryAlreadyRegistered;
  }
  ranges_[start] = {bytes, false};
  return kSuccess;
}

Result HostMemory::unregisterRange(void* address) {
  const auto found = ranges_.find(reinterpret_cast<uintptr_t>(address));
  if (found == ranges_.end() || found->second.owned) {
    return kHostMemoryNotRegistered;
  }
  ranges_.erase(found);
  return kSuccess;
}

void HostMemory::freeAll() {
  for (const auto& [address, pinned] : ranges_) {
    if (pinned.owned) {
      ::free(reinterpret_cast<void*>(address));
    }
  }
  ranges_.clear();
}

HostMemory::Kind HostMemory::kind(const void* address, size_t bytes) const {
  const auto start = reinterpret_cast<uintptr_t>(address);
  const auto found = containing(ranges_, start);
  if (found == ranges_.end()) {
    return Kind::kPageable;
  }
  return bytes <= found->second.bytes - (start - found->first) ? Kind::kPinned : Kind::kCut;
}

}  // namespace standin
