// Scales and zero points from ranges, codes from elements, elements from codes.
//
// Suffix _int: integer codes, `bits` wide and packed as pack.cu says, into int32 words, or int8 if
// `packed` is 0; _e4m3: E4M3 codes. codesStride is in bytes; codesBytes is the size of a row of
// codes: columns, or 4 · ⌈columns · bits / 32⌉, the last bits of which become 0. Zero points are
// int8; scales and zero points are [⌈rows / blockRows⌉, ⌈columns / blockColumns⌉].
//
// quench_quantization_parameters_{f32,f16,bf16}
//   min, max and scale of that dtype, zeroPoint, all [rows, columns]
//   grid ⌈rows · columns / 256⌉, block 256
//
// quench_quantize_groups_{f32,f16,bf16}_{int,e4m3}
//   scales of x's dtype; the elements of a lane share one: column c has scale c >> blockShift, where
//   32 · 2^lanesLog ≤ 2^blockShift, or 2^blockShift ≥ columns
// quench_quantize_elements_{f32,f16,bf16}_{int,e4m3}
//   the same for blocks of any width
// quench_dequantize_groups_{int,e4m3}_{f32,f16,bf16}, quench_dequantize_elements_{int,e4m3}_{f32,f16,bf16}
//   from int8 or E4M3 codes to that dtype; scaleDtype 0, 1 or 2: the scale is f32, f16 or bf16
//   grid as WarpPlace says; block 256; no shared memory
//
// Loads are 16 bytes wide, those of codes 8, and stores as wide as eight codes or elements are,
// where rows are so aligned.
#include "quantize.cuh"

using namespace quench;

#define QUENCH_ALL(T)                      \
  QUENCH_PARAMETERS(T)                     \
  QUENCH_QUANTIZE_INT(T)                   \
  QUENCH_QUANTIZE_E4M3(T)                  \
  QUENCH_DEQUANTIZE(T, int, IntegerValues) \
  QUENCH_DEQUANTIZE(T, e4m3, FloatValues)

QUENCH_ALL(f32)
QUENCH_ALL(f16)
QUENCH_ALL(bf16)
