// Scales and zero points from ranges, codes from elements, elements from codes.
//
// Suffix _int: integer codes, `bits` wide and packed as pack.cu says, into int32 words, or int8 if
// `packed` is 0; _e4m3: E4M3 codes. codesStride is in bytes; codesBytes is the size of a row of
// codes: columns, or 4 · ⌈columns · bits / 32⌉, the last bits of which become 0. Zero points are
// int8; scales and zero points are [⌈rows / blockRows⌉, ⌈columns / blockColumns⌉]. scaleDtype is a
// ScaleDtype of scales.cuh; scales count divided by globalScale.
//
// quench_quantization_parameters_{f32,f16,bf16}
//   min and max of that dtype, scale of that or E4M3 or E8M0, zeroPoint, all [rows, columns]
//   grid ⌈rows · columns / 256⌉, block 256
//
// quench_quantize_groups_{f32,f16,bf16}_{int,e4m3}
//   scales of x's dtype; the elements of a lane share one: column c has scale c >> blockShift, where
//   32 · 2^lanesLog ≤ 2^blockShift, or 2^blockShift ≥ columns
// quench_dequantize_groups_{int,e4m3}_{f32,f16,bf16}
//   the same from int8 or E4M3 codes to that dtype; scaleDtype 0, 1 or 2
// quench_quantize_elements_{f32,f16,bf16}, quench_dequantize_elements_{f32,f16,bf16}
//   blocks of any width; codes of any CodeFormat of quantize.cuh, E2M1 as microscaling.cu has them;
//   scales of any dtype
//   grid as WarpPlace says; block 256; no shared memory
//
// Loads are 16 bytes wide, those of codes 8, and stores as wide as eight codes or elements are,
// where rows are so aligned; those of _elements are not.
#include "quantize.cuh"

using namespace quench;

#define QUENCH_ELEMENTS(T)                                                                        \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_quantize_elements_##T(              \
      const T* __restrict__ x, i64 xStride, i64 rows, int columns, int scaleDtype,                \
      float globalScale, const void* scale, i64 scaleStride, const i8* __restrict__ zeroPoint,    \
      i64 zeroPointStride, int blockRows, int blockColumns, float low, float high,                \
      uint8_t* codes, i64 codesStride, int codesBytes, int codeFormat, int bits, int packed,      \
      int warpsLog) {                                                                             \
    quantizeElements(x, xStride, rows, columns, ScaleRow{scale, scaleDtype, globalScale},         \
                     scaleStride, zeroPoint, zeroPointStride, blockRows, blockColumns,            \
                     Levels{low, high, false}, AnyCodes(codeFormat, bits, packed != 0), codes,    \
                     codesStride, codesBytes, warpsLog);                                          \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256, 4) quench_dequantize_elements_##T(            \
      const uint8_t* __restrict__ codes, i64 codesStride, i64 rows, int columns, int codeFormat,  \
      int scaleDtype, float globalScale, const void* scale, i64 scaleStride,                      \
      const i8* __restrict__ zeroPoint, i64 zeroPointStride, int blockRows, int blockColumns,     \
      T* x, i64 xStride, int warpsLog) {                                                          \
    dequantizeElements(codes, codesStride, rows, columns, codeFormat,                             \
                       ScaleRow{scale, scaleDtype, globalScale}, scaleStride, zeroPoint,          \
                       zeroPointStride, blockRows, blockColumns, x, xStride, warpsLog);           \
  }

#define QUENCH_ALL(T)                      \
  QUENCH_PARAMETERS(T)                     \
  QUENCH_ELEMENTS(T)                       \
  QUENCH_QUANTIZE_INT(T)                   \
  QUENCH_QUANTIZE_E4M3(T)                  \
  QUENCH_DEQUANTIZE(T, int, IntegerValues) \
  QUENCH_DEQUANTIZE(T, e4m3, FloatValues)

QUENCH_ALL(f32)
QUENCH_ALL(f16)
QUENCH_ALL(bf16)
