// Rounding in the formats whose groups are small and whose scales have 8 bits. Suffixes:
//   _nvfp4: E2M1 codes, groups of 16 columns, E4M3 scales, which count divided by globalScale
//   _mxfp4: E2M1 codes, groups of 32 columns, E8M0 scales
//   _mxfp8: E4M3 codes, groups of 32 columns, E8M0 scales
// Scales and zero points, int8, are [rows, ⌈columns / group⌉]. codesStride is in bytes; codesBytes
// is the size of a row of codes: columns, or ⌈columns / 2⌉ of E2M1 codes if `packed` isn't 0, the
// first of two in the low half of a byte; the last half that no code takes becomes 0.
//
// quench_quantize_to_nearest_{f32,f16,bf16}_{nvfp4,mxfp4,mxfp8}
//   scales, zero points and codes from elements, in one read of them
// quench_quantize_{f32,f16,bf16}_{nvfp4,mxfp4,mxfp8}
//   codes from elements
// quench_dequantize_{nvfp4,mxfp4,mxfp8}_{f32,f16,bf16}
//   elements from codes, a byte each
//   grid as WarpPlace says; block 256; no shared memory
//
// A lane takes 32 neighbouring columns, so that it finds the scales of whole groups by itself. Loads
// are 16 bytes wide, and stores as wide as the codes of a group are, up to 16 bytes, where rows are
// so aligned.
#include "microscaling.cuh"

using namespace quench;

#define QUENCH_ALL(T)           \
  QUENCH_MICRO(T, nvfp4, Nvfp4) \
  QUENCH_MICRO(T, mxfp4, Mxfp4) \
  QUENCH_MICRO(T, mxfp8, Mxfp8)

QUENCH_ALL(f32)
QUENCH_ALL(f16)
QUENCH_ALL(bf16)
