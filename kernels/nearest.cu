// Rounding to nearest in one read of a matrix: scales, zero points and codes.
//
// Suffix _int: integer codes, `bits` wide and packed as pack.cu says, into int32 words, or int8 if
// `packed` is 0; _e4m3: E4M3 codes. codesStride is in bytes; codesBytes is the size of a row of
// codes: columns, or 4 · ⌈columns · bits / 32⌉, the last bits of which become 0. Scales are of x's
// dtype, zero points int8; both are [⌈rows / blockRows⌉, ⌈columns / blockColumns⌉].
//
// quench_quantize_to_nearest_groups_{f32,f16,bf16}_{int,e4m3}
//   blocks of one row and 32 · 2^lanesLog columns, at most 1024
//   grid as WarpPlace says; block 256; no shared memory
//
// quench_quantize_to_nearest_tiles_{f32,f16,bf16}_{int,e4m3}
//   blocks of any height; blockColumns is a multiple of 8, or not less than columns
//   grid (⌈rows / blockRows⌉, at most ⌈columns / blockColumns⌉)
//   block: whole warps, at least a quarter of the runs of eight elements that a block has;
//   at most 1024 threads, 512 for f32
//
// Elements stay in registers between the two steps; those of a tile that isn't aligned, or that the
// threads can't deal out evenly, are loaded again. Loads are 16 bytes wide, stores as wide as eight
// codes are, where rows are so aligned.
#include "nearest.cuh"

using namespace quench;

QUENCH_NEAREST_INT(f32)
QUENCH_NEAREST_INT(f16)
QUENCH_NEAREST_INT(bf16)

QUENCH_NEAREST_E4M3(f32)
QUENCH_NEAREST_E4M3(f16)
QUENCH_NEAREST_E4M3(bf16)
