// Matrix instructions of a warp. Fragments are laid out as the PTX ISA's figures show: with g = lane / 4 and
// t = lane % 4, and e elements in a 32-bit register,
//   register r of A holds row g + 8·(r mod 2), columns (t + 4·(r / 2))·e … + e − 1;
//   register r of B holds column g, rows (t + 4·r)·e … + e − 1;
//   element i of C holds row g + 8·(i / 2), column 2·t + i mod 2.
// Sums run over k in order, each product added with one rounding. Hardware adds in another order and may truncate, so
// that only results within an error bound are the kernel's.
#pragma once

#include "ptx_warp.h"

namespace standin::ptx {

// ---- elements of A and B

struct Tf32 {
  using Bits = u32;
  // The lower 13 bits of the register are ignored.
  static f64 value(u32 raw) { return bit_cast<f32>(raw & 0xFFFFE000); }
};
struct S8 {
  using Bits = u8;
  static s32 value(u32 raw) { return s8(raw); }
};
struct U8 {
  using Bits = u8;
  static s32 value(u32 raw) { return s32(raw & 0xFF); }
};

template <class Element>
constexpr u32 kElementBits = 8 * sizeof(typename Element::Bits);

template <class Element>
constexpr u32 kPerRegister = 32 / kElementBits<Element>;

// Element i of a register.
template <class Element>
inline auto element(u32 reg, u32 i) {
  if constexpr (kElementBits<Element> == 32) {
    return Element::value(reg);
  } else {
    return Element::value(reg >> (i * kElementBits<Element>) & ((1u << kElementBits<Element>) - 1));
  }
}

// ---- accumulators: value `index` of a thread's registers

struct AccumulatorF32 {
  using Sum = f32;
  static f32 get(const u32* registers, u32 index) { return f(registers[index]); }
  static void set(u32* registers, u32 index, f32 sum, bool) { registers[index] = bits(sum); }
  static f32 add(f32 sum, f64 a, f64 b) { return f32(a * b + sum); }
};
struct AccumulatorF16 {
  using Sum = f32;
  static f32 get(const u32* registers, u32 index) {
    return f32(F16::value(registers[index / 2] >> 16 * (index % 2) & 0xFFFF));
  }
  static void set(u32* registers, u32 index, f32 sum, bool) {
    u32& place = registers[index / 2];
    const u32 shift = 16 * (index % 2);
    place = (place & ~(0xFFFFu << shift)) | u32(F16::round(sum, Rounding::rn, false)) << shift;
  }
  static f32 add(f32 sum, f64 a, f64 b) { return f32(a * b + sum); }
};
struct AccumulatorS32 {
  using Sum = s64;
  static s64 get(const u32* registers, u32 index) { return s32(registers[index]); }
  static void set(u32* registers, u32 index, s64 sum, bool saturates) {
    registers[index] = u32(saturates ? clamp_to_s32(sum) : s32(sum));
  }
  static s64 add(s64 sum, s32 a, s32 b) { return sum + s64(a) * b; }
};

// mma.sync m16n8kDepth: c += a · b.
template <u32 Depth, class Accumulator, class A, class B, size_t CountA, size_t CountB, size_t CountC>
inline void mma(u32 (&c)[CountC], const u32 (&a)[CountA], const u32 (&b)[CountB], bool saturates) {
  constexpr u32 e = kPerRegister<A>;
  static_assert(kPerRegister<B> == e && CountA * 32 * e == 16 * Depth && CountB * 32 * e == 8 * Depth);
  Payload mine{};
  memcpy(mine.w, a, sizeof a);
  memcpy(mine.w + 4, b, sizeof b);
  const Payload* warp = collective(~0u, kMultiply, mine);
  const u32 group = cur->lane / 4, t = cur->lane % 4;
  u32 result[CountC];
  memcpy(result, c, sizeof result);
  for (u32 i = 0; i < 4; i++) {
    const u32 column = 2 * t + i % 2;
    typename Accumulator::Sum sum = Accumulator::get(c, i);
    for (u32 k = 0; k < Depth; k++) {
      const u32 part = k / e % 4, chunk = k / e / 4;
      const u32 a_register = warp[group * 4 + part].w[i / 2 + 2 * chunk];
      const u32 b_register = warp[column * 4 + part].w[4 + chunk];
      sum = Accumulator::add(sum, element<A>(a_register, k % e), element<B>(b_register, k % e));
    }
    Accumulator::set(result, i, sum, saturates);
  }
  memcpy(c, result, sizeof result);
}

// ---- matrices of 8×8 16-bit elements between shared memory and registers

// The address of row `row` of matrix `matrix`, which lane 8·matrix + row gave.
inline u64 row_address(const Payload* warp, u32 matrix, u32 row, const SharedMemory& shared) {
  const u64 address = shared.at(warp[8 * matrix + row].w[0], 16);
  check_aligned<16>(address);
  return address;
}

// ldmatrix: a lane's register holds elements 2t and 2t + 1 of row g, or of column g.
template <u32 Count, bool Transposed>
inline void ldmatrix(u32 (&out)[Count], const SharedMemory& shared, u32 offset) {
  Payload mine{};
  mine.w[0] = offset;
  const Payload* warp = collective(~0u, kLoadMatrix, mine);
  const u32 group = cur->lane / 4, t = cur->lane % 4;
  for (u32 m = 0; m < Count; m++) {
    if (Transposed) {
      const u32 low = load<u16>(row_address(warp, m, 2 * t, shared) + 2 * group);
      const u32 high = load<u16>(row_address(warp, m, 2 * t + 1, shared) + 2 * group);
      out[m] = low | high << 16;
    } else {
      out[m] = load<u32>(row_address(warp, m, group, shared) + 4 * t);
    }
  }
}

// stmatrix: the inverse. Each lane writes its own elements.
template <u32 Count, bool Transposed>
inline void stmatrix(const u32 (&in)[Count], const SharedMemory& shared, u32 offset) {
  Payload mine{};
  mine.w[0] = offset;
  const Payload* warp = collective(~0u, kStoreMatrix, mine);
  const u32 group = cur->lane / 4, t = cur->lane % 4;
  for (u32 m = 0; m < Count; m++) {
    if (Transposed) {
      store<u16>(row_address(warp, m, 2 * t, shared) + 2 * group, u16(in[m]));
      store<u16>(row_address(warp, m, 2 * t + 1, shared) + 2 * group, u16(in[m] >> 16));
    } else {
      store<u32>(row_address(warp, m, group, shared) + 4 * t, in[m]);
    }
  }
}

}  // namespace standin::ptx
