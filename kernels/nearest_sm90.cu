// Rounding to nearest to E4M3 codes, as in nearest.cu, with the conversions that sm_90 has.
#include "nearest.cuh"

using namespace quench;

QUENCH_NEAREST_E4M3(f32)
QUENCH_NEAREST_E4M3(f16)
QUENCH_NEAREST_E4M3(bf16)
