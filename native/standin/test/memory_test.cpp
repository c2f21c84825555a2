// Memory: ranges, limits, writes beyond them, use after free, copies of rows, failures on request.
#include <cmath>
#include <cstring>
#include <numeric>

#include "gpu.h"

namespace {

DevicePointer allocate(size_t bytes) {
  DevicePointer address = 0;
  Gpu::require(cuMemAlloc_v2(&address, bytes));
  return address;
}

void newMemoryIsNoZero() {
  const Gpu gpu;
  for (const uint32_t word : gpu.download<uint32_t>(allocate(400), 100)) {
    CHECK_EQUAL(0xFFFFFFFFu, word);
  }
}

void copiesMustStayInsideAllocations() {
  const Gpu gpu;
  std::vector<char> host(64);
  const DevicePointer address = allocate(64);
  const DevicePointer other = allocate(64);
  CHECK_EQUAL(0ull, address % 256);
  CHECK_EQUAL(0, cuMemcpyHtoD_v2(address, host.data(), 64));
  CHECK_EQUAL(0, cuMemcpyHtoD_v2(address + 60, host.data(), 4));
  CHECK_EQUAL(1, cuMemcpyHtoD_v2(address + 60, host.data(), 5));
  CHECK_EQUAL(1, cuMemcpyHtoD_v2(address - 1, host.data(), 4));
  CHECK_EQUAL(1, cuMemcpyDtoH_v2(host.data(), address, 65));
  CHECK_EQUAL(1, cuMemcpyDtoD_v2(address, other + 1, 64));
  CHECK_EQUAL(1, cuMemcpyDtoD_v2(address + 1, other, 64));
  CHECK_EQUAL(1, cuMemsetD8_v2(address, 0, 65));
  CHECK_EQUAL(1, cuMemsetD32Async(address + 2, 0, 1, nullptr));  // misaligned
  CHECK_EQUAL(1, cuMemcpyHtoD_v2(address, nullptr, 4));
  void* pinned = nullptr;
  CHECK_EQUAL(0, cuMemHostAlloc(&pinned, 32, 0));
  CHECK_EQUAL(1, cuMemcpyHtoD_v2(address, pinned, 33));
  CHECK_EQUAL(0, cuMemFreeHost(pinned));
  CHECK_EQUAL(1, cuMemFreeHost(pinned));
}

void freedMemoryIsRefused() {
  for (const char* guard : {"0", "1"}) {
    const With setting("GUARD", guard);
    const Gpu gpu;
    std::vector<float> host(16, 1);
    const DevicePointer address = gpu.upload(host);
    CHECK_EQUAL(0, cuMemFree_v2(address));
    CHECK_EQUAL(1, cuMemFree_v2(address));
    CHECK_EQUAL(1, cuMemcpyDtoH_v2(host.data(), address, 64));
    CHECK_EQUAL(700, gpu.run("scale", 1, 16, 0, address, 16u, 2.0f));
    CHECK(contains(reason(700), "kernel scale: argument 0 points to freed memory"));
  }
}

// Unless a sanitizer watches: then the kernel's write itself is reported.
void writesBeyondAnAllocationFailTheLaunch() {
  if (underAddressSanitizer()) {
    return;
  }
  for (const unsigned threads : {100u, 101u}) {
    const Gpu gpu;
    const DevicePointer address = gpu.upload(std::vector<float>(100, 1));
    CHECK_EQUAL(threads == 100 ? 0 : 700, gpu.run("scale", 1, threads, 0, address, threads, 0.0f));
    if (threads > 100) {
      CHECK(contains(reason(700), "after the end of an allocation of 400 bytes"));
    }
  }
  const Gpu gpu;
  const DevicePointer address = gpu.upload(std::vector<float>(100, 1)) - 4;
  CHECK_EQUAL(700, gpu.run("scale", 1, 5, 0, address, 5u, 0.0f));
  CHECK(contains(reason(700), "1 bytes before the start of an allocation"));
}

void guardPagesStopTheAccessItself() {
  if (underAddressSanitizer()) {
    return;
  }
  const With setting("GUARD", "4");
  const Gpu gpu;
  const DevicePointer address = gpu.upload(std::vector<float>(99, 1));
  CHECK_EQUAL(0, gpu.run("scale", 1, 99, 0, address, 99u, 0.0f));
  CHECK_EQUAL(700, gpu.run("scale", 1, 100, 0, address, 100u, 0.0f));
  CHECK(contains(reason(700), "thread (99, 0, 0): access to address"));
}

void theLimitHolds() {
  const With setting("MEMORY", "1000000");
  const Gpu gpu;
  size_t free = 0;
  size_t total = 0;
  CHECK_EQUAL(0, cuMemGetInfo_v2(&free, &total));
  CHECK_EQUAL(size_t{1000000}, total);
  CHECK_EQUAL(total, free);
  const DevicePointer most = allocate(999000);
  DevicePointer more = 0;
  CHECK_EQUAL(2, cuMemAlloc_v2(&more, 1001));
  CHECK_EQUAL(2, cuMemAlloc_v2(&more, ~size_t{0}));
  CHECK_EQUAL(0, cuMemAlloc_v2(&more, 1000));
  CHECK_EQUAL(0, cuMemGetInfo_v2(&free, &total));
  CHECK_EQUAL(size_t{0}, free);
  CHECK_EQUAL(0, cuMemFree_v2(most));
  CHECK_EQUAL(0, cuMemGetInfo_v2(&free, &total));
  CHECK_EQUAL(size_t{999000}, free);
  CHECK_EQUAL(1, cuMemAlloc_v2(&more, 0));
}

void rowsAreCopiedWithTheirPitches() {
  const Gpu gpu;
  std::vector<int> host(6 * 8);
  std::iota(host.begin(), host.end(), 0);
  const DevicePointer device = gpu.upload(std::vector<int>(4 * 5, -1));
  standin::Memcpy2D copy{};
  copy.sourceType = standin::kMemoryHost;
  copy.sourceHost = host.data();
  copy.sourcePitch = 8 * sizeof(int);
  copy.sourceX = 2 * sizeof(int);
  copy.sourceY = 1;
  copy.targetType = standin::kMemoryDevice;
  copy.targetDevice = device;
  copy.targetPitch = 5 * sizeof(int);
  copy.targetX = sizeof(int);
  copy.widthBytes = 3 * sizeof(int);
  copy.height = 4;
  CHECK_EQUAL(0, cuMemcpy2D_v2(&copy));
  const std::vector<int> got = gpu.download<int>(device, 4 * 5);
  for (int row = 0; row < 4; row++) {
    for (int column = 0; column < 5; column++) {
      const bool inside = column >= 1 && column <= 3;
      CHECK_EQUAL(inside ? (row + 1) * 8 + column + 1 : -1, got[static_cast<size_t>(row * 5 + column)]);
    }
  }
  copy.height = 5;  // one row more than the target has
  CHECK_EQUAL(1, cuMemcpy2D_v2(&copy));
}

void failuresComeOnRequest() {
  {
    const With setting("FAIL", "cuMemAlloc_v2:2,cuStreamCreate:1:304");
    const Gpu gpu;
    DevicePointer address = 0;
    CUstr* stream = nullptr;
    CHECK_EQUAL(0, cuMemAlloc_v2(&address, 16));
    CHECK_EQUAL(2, cuMemAlloc_v2(&address, 16));
    CHECK_EQUAL(0, cuMemAlloc_v2(&address, 16));
    CHECK_EQUAL(304, cuStreamCreate(&stream, 0));
    CHECK_EQUAL(0, cuStreamCreate(&stream, 0));
  }
  const With setting("FAIL", "kernel:scale:3");
  const Gpu gpu;
  const DevicePointer address = gpu.upload(std::vector<float>(1, 1));
  CHECK_EQUAL(0, gpu.run("scale", 1, 1, 0, address, 1u, 2.0f));
  CHECK_EQUAL(0, gpu.run("scale", 1, 1, 0, address, 1u, 2.0f));
  CHECK_EQUAL(719, gpu.run("scale", 1, 1, 0, address, 1u, 2.0f));
  CHECK_EQUAL(719, cuCtxSynchronize());
}

void theLastContextTakesEverything() {
  size_t free = 0;
  size_t total = 0;
  {
    const Gpu gpu;
    allocate(1 << 20);
  }
  const Gpu gpu;
  CHECK_EQUAL(0, cuMemGetInfo_v2(&free, &total));
  CHECK_EQUAL(total, free);
}

}  // namespace

int main() {
  newMemoryIsNoZero();
  copiesMustStayInsideAllocations();
  freedMemoryIsRefused();
  writesBeyondAnAllocationFailTheLaunch();
  guardPagesStopTheAccessItself();
  theLimitHolds();
  rowsAreCopiedWithTheirPitches();
  failuresComeOnRequest();
  theLastContextTakesEverything();
  return report();
}
