// Runs one kernel, for ThreadSanitizer to watch: missingBarrier and overlap race, all others don't ("all").
#include <cstring>

#include "gpu.h"

namespace {

void runAll(const Gpu& gpu) {
  const DevicePointer output = gpu.upload(std::vector<float>(4096, 1));
  const DevicePointer input = gpu.upload(std::vector<float>(4096, 1));
  for (int i = 0; i < 2; i++) {
    CHECK_EQUAL(0, gpu.run("treeSum", 4, 128, 512, input, output));
    CHECK_EQUAL(0, gpu.run("pingPong", 1, 64, 0, output, 20u));
    CHECK_EQUAL(0, gpu.run("votes", 1, 96, 0, output));
    CHECK_EQUAL(0, gpu.run("warpSums", 3, 96, 0, output, 5u));
    CHECK_EQUAL(0, gpu.run("earlyExit", 1, 80, 0, output));
    CHECK_EQUAL(0, gpu.run("asyncCopy", 2, 64, 64 * 32, input, output, 0u));
    CHECK_EQUAL(0, gpu.run("bulkPipeline", 1, 64, 0, input, output));
    CHECK_EQUAL(0, gpu.run("freshShared", 20, 64, 0, output));
    CHECK_EQUAL(0, gpu.run("scale", 5, 64, 0, output, 300u, 2.0f));
  }
}

}  // namespace

int main(int, char** arguments) {
  const Gpu gpu;
  if (strcmp(arguments[1], "all") == 0) {
    runAll(gpu);
  } else {
    const DevicePointer output = gpu.upload(std::vector<float>(64));
    CHECK_EQUAL(0, gpu.run(arguments[1], 2, 64, 256, output));
  }
  return report();
}
