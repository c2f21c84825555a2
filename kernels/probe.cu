// Tells whether a device runs kernels at all.
//
// quench_probe_i32: values[i] = i * factor for i < count.
//   grid ⌈count / 256⌉, block 256, no shared memory; values aligned to 4 bytes.
#include "common.cuh"

using namespace quench;

extern "C" __global__ void quench_probe_i32(i32* values, i64 count, i32 factor) {
  const i64 i = globalThread();
  if (i < count) {
    values[i] = static_cast<i32>(i) * factor;
  }
}
