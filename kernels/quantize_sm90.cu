// E4M3 codes from elements and elements from them, as in quantize.cu, with the conversions that
// sm_90 has.
#include "quantize.cuh"

using namespace quench;

#define QUENCH_ALL(T)     \
  QUENCH_QUANTIZE_E4M3(T) \
  QUENCH_DEQUANTIZE(T, e4m3, FloatValues)

QUENCH_ALL(f32)
QUENCH_ALL(f16)
QUENCH_ALL(bf16)
