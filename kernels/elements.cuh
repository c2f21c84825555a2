// Four elements at a time.
#pragma once

#include <cstring>
#include <type_traits>

#include "common.cuh"

namespace quench {

// The value as another type; equal types keep their bits.
template <class T, class S>
__device__ inline T cast(S x) {
  if constexpr (std::is_same_v<T, S>) {
    return x;
  } else {
    return fromFloat<T>(toFloat(x));
  }
}

// Four neighbours of a row: one load or store where they are aligned.
template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T at[4];
};

// True if every quad of a matrix is aligned, given the address of its first element.
template <class T>
__device__ inline bool quadsAligned(const T* matrix, i64 stride) {
  return isAligned(matrix, sizeof(Quad<T>)) && stride % 4 == 0;
}

// Four elements, or the first `count` of them if they aren't whole; the others are `rest`. Whole
// quads are aligned.
template <bool kWhole, class T>
__device__ inline Quad<T> loadQuad(const T* from, i64 count, T rest = T()) {
  if constexpr (kWhole) {
    return *reinterpret_cast<const Quad<T>*>(from);
  } else {
    Quad<T> quad;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      quad.at[i] = i < count ? from[i] : rest;
    }
    return quad;
  }
}

template <class T>
__device__ inline Quad<T> loadQuad(const T* from, i64 count, bool aligned, T rest = T()) {
  return aligned && count >= 4 ? loadQuad<true>(from, count, rest)
                               : loadQuad<false>(from, count, rest);
}

// One store for every 16 bytes. It is written as an instruction, since nvcc makes four stores of
// some assignments of a struct, as if it had forgotten how that is aligned.
template <int kWords>
__device__ inline void storeWords(void* to, const uint32_t (&words)[kWords]) {
  const size_t at = __cvta_generic_to_global(to);
  if constexpr (kWords == 1) {
    asm volatile("st.global.b32 [%0], %1;" ::"l"(at), "r"(words[0]) : "memory");
  } else if constexpr (kWords == 2) {
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(at), "r"(words[0]), "r"(words[1])
                 : "memory");
  } else {
    static_assert(kWords % 4 == 0);
#pragma unroll
    for (int i = 0; i < kWords; i += 4) {
      asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(at + 4 * i), "r"(words[i]),
                   "r"(words[i + 1]), "r"(words[i + 2]), "r"(words[i + 3])
                   : "memory");
    }
  }
}

// Writes four elements, or the first `count` of them.
template <bool kWhole, class T>
__device__ inline void storeQuad(T* to, i64 count, const Quad<T>& quad) {
  if constexpr (kWhole) {
    uint32_t words[sizeof(quad) / 4];
    memcpy(words, &quad, sizeof(quad));
    storeWords(to, words);
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < count) {
        to[i] = quad.at[i];
      }
    }
  }
}

template <class T>
__device__ inline void storeQuad(T* to, i64 count, bool aligned, const Quad<T>& quad) {
  if (aligned && count >= 4) {
    storeQuad<true>(to, count, quad);
  } else {
    storeQuad<false>(to, count, quad);
  }
}

// Shares the quads of a matrix among a grid. A block of 256 threads is a tile of 2^widthBits
// threads across and the rest down. A thread takes kQuads quads, a tile's width apart, and loads
// all before it stores the first, so that enough bytes are in flight; elements one by one where
// operands aren't aligned and at the end of a row. Grid: x covers the columns, y the rows, in a
// loop where there are more of them than a grid may have.
//
// Body: a type Packet; bool aligned(), of all operands; Packet load<whole>(row, column, count);
// void store<whole>(row, column, count, Packet).
template <int kQuads, class Body>
__device__ inline void overQuads(i64 rows, i64 columns, int widthBits, const Body& body) {
  const int down = blockDim.x >> widthBits;
  const int across = threadIdx.x & ((1 << widthBits) - 1);
  const int apart = 4 << widthBits;
  const i64 first = i64(blockIdx.x) * kQuads * apart + across * 4;
  const bool whole = body.aligned() && first + (kQuads - 1) * apart + 4 <= columns;
  i64 row = i64(blockIdx.y) * down + (threadIdx.x >> widthBits);
  for (; row < rows; row += i64(gridDim.y) * down) {
    if (whole) {
      typename Body::Packet packets[kQuads];
#pragma unroll
      for (int i = 0; i < kQuads; i++) {
        packets[i] = body.template load<true>(row, first + i * apart, 4);
      }
#pragma unroll
      for (int i = 0; i < kQuads; i++) {
        body.template store<true>(row, first + i * apart, 4, packets[i]);
      }
    } else {
#pragma unroll 1
      for (i64 column = first; column < min(columns, first + kQuads * apart); column += apart) {
        const i64 count = columns - column;
        body.template store<false>(
            row, column, count, body.template load<false>(row, column, count));
      }
    }
  }
}

}  // namespace quench
