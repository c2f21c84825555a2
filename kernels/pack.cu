// Dense packing of codes. Integers: each row a stream of bits in 32-bit words, lowest first, code q
// of b bits as q + 2^(b−1); what is left of a row's last word is 0.
//
// quench_pack_i8: codes int8 [rows, columns] to words int32 [rows, ⌈columns · bits / 32⌉],
//   1 ≤ bits ≤ 8
// quench_unpack_i8: the inverse
// quench_pack_e2m1: codes, a byte each, to the halves of uint8 [rows, ⌈columns / 2⌉], the first of
//   two in the low half; only the low half of a code counts
// quench_unpack_e2m1: the inverse
//   grid as WarpPlace says; block 256; no shared memory
//
// A lane takes 32 codes, which are `bits` whole words. Rows of codes that are aligned to 16 bytes
// are read and written 16 bytes at a time, words in as large pieces as `bits` of them and their
// alignment allow.
#include "tiles.cuh"

namespace quench {

constexpr int CODES = 32;

// Lowers four numbers of B bits, one a byte, to the lowest 4·B bits.
template <int B>
__device__ __forceinline__ uint32_t squeezed(uint32_t bytes) {
  const uint32_t pairs = (bytes & 0x00FF00FF) | (bytes & 0xFF00FF00) >> (8 - B);
  return (pairs & 0xFFFF) | pairs >> 16 << (2 * B);
}

// The inverse; the bits above the lowest 4·B don't count.
template <int B>
__device__ __forceinline__ uint32_t spread(uint32_t codes) {
  constexpr uint32_t PAIR = (1u << (2 * B)) - 1;
  constexpr uint32_t ONE = (1u << B) - 1;
  const uint32_t pairs = (codes & PAIR) | (codes >> (2 * B) & PAIR) << 16;
  return (pairs & ONE * 0x00010001) | (pairs & (ONE << B) * 0x00010001) << (8 - B);
}

// int8 codes to numbers of B bits, and back: four at a time.
template <int B>
__device__ __forceinline__ uint32_t biased(uint32_t bytes) {
  return (bytes ^ (0x01010101u << (B - 1))) & 0x01010101u * ((1u << B) - 1);
}

template <int B>
__device__ __forceinline__ uint32_t unbiased(uint32_t bytes) {
  const uint32_t highest = 0x01010101u << (B - 1);
  const uint32_t code = bytes ^ highest;
  // The sign bit, repeated in the bits above it.
  const uint32_t negative = (code & highest) >> (B - 1);
  return code | negative * (0xFF & ~((1u << B) - 1));
}

// Puts 4·B bits into a stream of words.
template <int B>
__device__ __forceinline__ void put(uint32_t (&words)[B], int at, uint32_t codes) {
  const int shift = at % 32;
  words[at / 32] |= codes << shift;
  if (shift + 4 * B > 32) {
    words[at / 32 + 1] |= codes >> (32 - shift);
  }
}

template <int B>
__device__ __forceinline__ uint32_t get(const uint32_t (&words)[B], int at) {
  const int shift = at % 32;
  const uint32_t low = words[at / 32] >> shift;
  return shift + 4 * B > 32 ? low | words[at / 32 + 1] << (32 - shift) : low;
}

// N words, as a vector if that is aligned.
template <int N>
using Vector =
    std::conditional_t<N % 4 == 0, uint4, std::conditional_t<N % 2 == 0, uint2, uint32_t>>;

template <int B>
__device__ __forceinline__ void packCodes(const uint32_t (&bytes)[CODES / 4], uint32_t* target,
                                          int count) {
  uint32_t words[B] = {};
#pragma unroll
  for (int i = 0; i < CODES / 4; ++i) {
    put<B>(words, i * 4 * B, squeezed<B>(biased<B>(bytes[i])));
  }
  if (count == B && isAligned(target, sizeof(Vector<B>))) {
#pragma unroll
    for (int i = 0; i < B; i += sizeof(Vector<B>) / 4) {
      Vector<B> vector;
      memcpy(&vector, &words[i], sizeof(vector));
      *reinterpret_cast<Vector<B>*>(target + i) = vector;
    }
  } else {
#pragma unroll
    for (int i = 0; i < B; ++i) {
      if (i < count) {
        target[i] = words[i];
      }
    }
  }
}

template <int B>
__device__ __forceinline__ void unpackCodes(const uint32_t* __restrict__ source, int count,
                                            uint32_t (&bytes)[CODES / 4]) {
  uint32_t words[B];
  if (count == B && isAligned(source, sizeof(Vector<B>))) {
#pragma unroll
    for (int i = 0; i < B; i += sizeof(Vector<B>) / 4) {
      const Vector<B> vector = __ldg(reinterpret_cast<const Vector<B>*>(source + i));
      memcpy(&words[i], &vector, sizeof(vector));
    }
  } else {
#pragma unroll
    for (int i = 0; i < B; ++i) {
      words[i] = i < count ? source[i] : 0;
    }
  }
#pragma unroll
  for (int i = 0; i < CODES / 4; ++i) {
    bytes[i] = unbiased<B>(spread<B>(get<B>(words, i * 4 * B)));
  }
}

// Elements from `count` on are `rest`.
__device__ __forceinline__ void loadCodes(const i8* __restrict__ codes, int count, uint32_t rest,
                                          uint32_t (&bytes)[CODES / 4]) {
  if (count == CODES && isAligned(codes, 16)) {
    const uint4* const vectors = reinterpret_cast<const uint4*>(codes);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint4 vector = __ldg(vectors + i);
      memcpy(&bytes[4 * i], &vector, 16);
    }
  } else {
#pragma unroll
    for (int i = 0; i < CODES / 4; ++i) {
      bytes[i] = 0;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int at = 4 * i + k;
        const uint32_t code = at < count ? static_cast<uint8_t>(codes[at]) : rest;
        bytes[i] |= code << (8 * k);
      }
    }
  }
}

__device__ __forceinline__ void storeCodes(i8* codes, int count,
                                           const uint32_t (&bytes)[CODES / 4]) {
  if (count == CODES && isAligned(codes, 16)) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint4 vector;
      memcpy(&vector, &bytes[4 * i], 16);
      reinterpret_cast<uint4*>(codes)[i] = vector;
    }
  } else {
#pragma unroll
    for (int i = 0; i < CODES; ++i) {
      if (i < count) {
        codes[i] = static_cast<i8>(bytes[i / 4] >> (8 * (i % 4)));
      }
    }
  }
}

// Bytes of E2M1 codes of a lane, 16 of them if they are whole and aligned.
__device__ __forceinline__ void storeHalves(uint8_t* target, int count,
                                            const uint32_t (&words)[CODES / 8]) {
  if (count == CODES / 2 && isAligned(target, 16)) {
    *reinterpret_cast<uint4*>(target) = make_uint4(words[0], words[1], words[2], words[3]);
  } else {
#pragma unroll
    for (int i = 0; i < CODES / 2; ++i) {
      if (i < count) {
        target[i] = static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)));
      }
    }
  }
}

__device__ __forceinline__ void loadHalves(const uint8_t* __restrict__ source, int count,
                                           uint32_t (&words)[CODES / 8]) {
  if (count == CODES / 2 && isAligned(source, 16)) {
    const uint4 vector = __ldg(reinterpret_cast<const uint4*>(source));
    memcpy(words, &vector, 16);
  } else {
#pragma unroll
    for (int i = 0; i < CODES / 8; ++i) {
      words[i] = 0;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const uint32_t byte = 4 * i + k < count ? source[4 * i + k] : 0;
        words[i] |= byte << (8 * k);
      }
    }
  }
}

// The 32 codes of a lane in its chunk.
struct CodesPlace {
  int column;
  int count;  // of codes
  int words;  // of the row that these codes fill

  __device__ __forceinline__ CodesPlace(int chunk, int columns, int bits)
      : column(chunk * CHUNK + threadIdx.x % 32 * CODES),
        count(::max(0, ::min(CODES, columns - column))),
        words((count * bits + 31) / 32) {}

  __device__ __forceinline__ int word(int bits) const { return column / CODES * bits; }
};

}  // namespace quench

using namespace quench;

#define QUENCH_BY_BITS(CALL) \
  switch (bits) {            \
    case 1:                  \
      CALL(1);               \
      break;                 \
    case 2:                  \
      CALL(2);               \
      break;                 \
    case 3:                  \
      CALL(3);               \
      break;                 \
    case 4:                  \
      CALL(4);               \
      break;                 \
    case 5:                  \
      CALL(5);               \
      break;                 \
    case 6:                  \
      CALL(6);               \
      break;                 \
    case 7:                  \
      CALL(7);               \
      break;                 \
    case 8:                  \
      CALL(8);               \
      break;                 \
  }
#define QUENCH_PACK(B) packCodes<B>(bytes, words + lane.word(B), lane.words)
#define QUENCH_UNPACK(B) unpackCodes<B>(words + lane.word(B), lane.words, bytes)

extern "C" __global__ void __launch_bounds__(256, 4)
    quench_pack_i8(const i8* __restrict__ codes, i64 codesStride, i64 rows, int columns, int bits,
                   uint32_t* words, i64 wordsStride, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  words += place.row * wordsStride;
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const CodesPlace lane(chunk, columns, bits);
    if (lane.count > 0) {
      uint32_t bytes[CODES / 4];
      const uint32_t lowest = 0xFF & (0xFFu << (bits - 1));  // packs to 0
      loadCodes(codes + lane.column, lane.count, lowest, bytes);
      QUENCH_BY_BITS(QUENCH_PACK)
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    quench_unpack_i8(const uint32_t* __restrict__ words, i64 wordsStride, i64 rows, int columns,
                     int bits, i8* codes, i64 codesStride, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  words += place.row * wordsStride;
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const CodesPlace lane(chunk, columns, bits);
    if (lane.count > 0) {
      uint32_t bytes[CODES / 4];
      QUENCH_BY_BITS(QUENCH_UNPACK)
      storeCodes(codes + lane.column, lane.count, bytes);
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    quench_pack_e2m1(const i8* __restrict__ codes, i64 codesStride, i64 rows, int columns,
                     uint8_t* halves, i64 halvesStride, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  halves += place.row * halvesStride;
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const CodesPlace lane(chunk, columns, 4);
    if (lane.count > 0) {
      uint32_t bytes[CODES / 4];
      loadCodes(codes + lane.column, lane.count, 0, bytes);
      uint32_t words[CODES / 8];
#pragma unroll
      for (int i = 0; i < CODES / 8; ++i) {
        words[i] = squeezed<4>(bytes[2 * i] & 0x0F0F0F0F) |
                   squeezed<4>(bytes[2 * i + 1] & 0x0F0F0F0F) << 16;
      }
      storeHalves(halves + lane.column / 2, (lane.count + 1) / 2, words);
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 4)
    quench_unpack_e2m1(const uint8_t* __restrict__ halves, i64 halvesStride, i64 rows, int columns,
                       i8* codes, i64 codesStride, int warpsLog) {
  const WarpPlace place(warpsLog);
  if (place.row >= rows) {
    return;
  }
  codes += place.row * codesStride;
  halves += place.row * halvesStride;
  for (int chunk = place.chunk; chunk * CHUNK < columns; chunk += place.chunkStep) {
    const CodesPlace lane(chunk, columns, 4);
    if (lane.count > 0) {
      uint32_t words[CODES / 8];
      loadHalves(halves + lane.column / 2, (lane.count + 1) / 2, words);
      uint32_t bytes[CODES / 4];
#pragma unroll
      for (int i = 0; i < CODES / 4; ++i) {
        bytes[i] = spread<4>(words[i / 2] >> (16 * (i % 2)));
      }
      storeCodes(codes + lane.column, lane.count, bytes);
    }
  }
}
