// MXFP8, as in microscaling.cu, with the conversions to and from E4M3 that sm_90 has; NVFP4 for its
// scales.
#include "microscaling.cuh"

using namespace quench;

#define QUENCH_ALL(T)           \
  QUENCH_MICRO(T, nvfp4, Nvfp4) \
  QUENCH_MICRO(T, mxfp8, Mxfp8)

QUENCH_ALL(f32)
QUENCH_ALL(f16)
QUENCH_ALL(bf16)
