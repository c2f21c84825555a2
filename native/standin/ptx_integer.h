// Integer arithmetic and operations on bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "simt.h"

namespace standin::ptx {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using u128 = unsigned __int128;
using s8 = int8_t;
using s16 = int16_t;
using s32 = int32_t;
using s64 = int64_t;
using s128 = __int128;
using f32 = float;
using f64 = double;

template <class To, class From>
inline To bit_cast(From value) {
  static_assert(sizeof(To) == sizeof(From), "a cast of bits keeps the width");
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}

template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T>
constexpr u32 kBits = sizeof(T) * 8;

// ---- sums and products

inline s32 clamp_to_s32(s64 value) {
  constexpr s64 low = std::numeric_limits<s32>::min(), high = std::numeric_limits<s32>::max();
  return static_cast<s32>(value < low ? low : value > high ? high : value);
}

inline s32 add_sat(s32 a, s32 b) { return clamp_to_s32(s64(a) + b); }
inline s32 sub_sat(s32 a, s32 b) { return clamp_to_s32(s64(a) - b); }

template <class T>
inline T add_carry(T a, T b, bool in, bool& out) {
  const u128 sum = u128(a) + b + in;
  out = (sum >> kBits<T>) != 0;
  return T(sum);
}

// The flag of a subtraction is its borrow.
template <class T>
inline T sub_carry(T a, T b, bool in, bool& out) {
  out = u128(a) < u128(b) + in;
  return T(a - b - in);
}

template <class T>
inline T mul_hi(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, s128, u128>;
  return T((Wide(a) * Wide(b)) >> kBits<T>);
}

// The operands' lower 24 bits, and bits 0 … 31 or 16 … 47 of the product.
template <class T>
inline s64 product24(T a, T b) {
  const s64 x = std::is_signed_v<T> ? s64(s32(u32(a) << 8) >> 8) : s64(u32(a) & 0xFFFFFF);
  const s64 y = std::is_signed_v<T> ? s64(s32(u32(b) << 8) >> 8) : s64(u32(b) & 0xFFFFFF);
  return x * y;
}

template <class T>
inline T mul24_lo(T a, T b) {
  return T(product24(a, b));
}

template <class T>
inline T mul24_hi(T a, T b) {
  return T(product24(a, b) >> 16);
}

template <class T>
inline T sad(T a, T b, T c) {
  using U = Unsigned<T>;
  return T(U(c) + (a > b ? U(U(a) - U(b)) : U(U(b) - U(a))));
}

// PTX leaves division by zero open; hardware gives all ones.
template <class T>
inline T div_(T a, T b) {
  if (b == 0) {
    return T(-1);
  }
  return std::is_signed_v<T> && b == T(-1) ? T(0 - Unsigned<T>(a)) : T(a / b);
}

template <class T>
inline T rem_(T a, T b) {
  if (b == 0) {
    return a;
  }
  return std::is_signed_v<T> && b == T(-1) ? T(0) : T(a % b);
}

template <class T>
inline T neg_(T a) {
  return T(0 - Unsigned<T>(a));
}

template <class T>
inline T abs_(T a) {
  return a < 0 ? neg_(a) : a;
}

template <class T>
inline T min_(T a, T b) {
  return b < a ? b : a;
}

template <class T>
inline T max_(T a, T b) {
  return a < b ? b : a;
}

// Four products of bytes, added to c.
template <class A, class B>
inline u32 dp4a(u32 a, u32 b, u32 c) {
  for (int i = 0; i < 4; i++) {
    c += u32(s32(A(a >> 8 * i)) * s32(B(b >> 8 * i)));
  }
  return c;
}

// Conversion that clamps to the target's range.
template <class To, class From>
inline To saturated(From value) {
  const s128 x = value;
  constexpr s128 low = std::numeric_limits<To>::min(), high = std::numeric_limits<To>::max();
  return To(x < low ? low : x > high ? high : x);
}

// ---- shifts: amounts beyond the width shift everything out

template <class T>
inline T shl_(T a, u32 n) {
  return n >= kBits<T> ? T(0) : T(Unsigned<T>(a) << n);
}

template <class T>
inline T shr_(T a, u32 n) {
  if (n >= kBits<T>) {
    return a < 0 ? T(-1) : T(0);
  }
  return T(a >> n);
}

inline u32 shf_l_clamp(u32 low, u32 high, u32 n) {
  n = n < 32 ? n : 32;
  return u32((((u64(high) << 32) | low) << n) >> 32);
}

inline u32 shf_r_clamp(u32 low, u32 high, u32 n) {
  n = n < 32 ? n : 32;
  return u32(((u64(high) << 32) | low) >> n);
}

inline u32 shf_l_wrap(u32 low, u32 high, u32 n) { return shf_l_clamp(low, high, n & 31); }
inline u32 shf_r_wrap(u32 low, u32 high, u32 n) { return shf_r_clamp(low, high, n & 31); }

// ---- counting

inline u32 popc_(u32 a) { return u32(__builtin_popcount(a)); }
inline u32 popc_(u64 a) { return u32(__builtin_popcountll(a)); }
inline u32 clz_(u32 a) { return a == 0 ? 32 : u32(__builtin_clz(a)); }
inline u32 clz_(u64 a) { return a == 0 ? 64 : u32(__builtin_clzll(a)); }

// The highest bit that differs from the sign, counted from bit 0; all ones if there is none.
template <class T>
inline u32 bfind(T a) {
  const Unsigned<T> bits = a < 0 ? ~Unsigned<T>(a) : Unsigned<T>(a);
  return bits == 0 ? ~0u : kBits<T> - 1 - clz_(bits);
}

template <class T>
inline u32 bfind_shiftamt(T a) {
  const u32 position = bfind(a);
  return position == ~0u ? position : kBits<T> - 1 - position;
}

template <class T>
inline T brev(T a) {
  T result = 0;
  for (u32 i = 0; i < kBits<T>; i++) {
    result = T(result | (((a >> i) & 1) << (kBits<T> - 1 - i)));
  }
  return result;
}

// ---- fields

// The field of `length` bits at `start`, extended with zeros, or with the sign bit of the field (of the value, where
// the field reaches beyond it).
template <class T>
inline T bfe(T a, u32 start, u32 length) {
  using U = Unsigned<T>;
  start &= 255;
  length &= 255;
  if (length == 0) {
    return T(0);
  }
  const u32 last = start + length - 1 < kBits<T> - 1 ? start + length - 1 : kBits<T> - 1;
  const bool negative = std::is_signed_v<T> && ((U(a) >> last) & 1) != 0;
  U result = start < kBits<T> ? U(U(a) >> start) : U(0);
  const u32 kept = start <= last ? last - start + 1 : 0;
  const U mask = kept >= kBits<T> ? U(~U(0)) : U((U(1) << kept) - 1);
  result &= mask;
  return T(negative ? U(result | U(~mask)) : result);
}

template <class T>
inline T bfi(T field, T into, u32 start, u32 length) {
  start &= 255;
  length &= 255;
  if (length == 0 || start >= kBits<T>) {
    return into;
  }
  const T ones = length >= kBits<T> ? T(~T(0)) : T((T(1) << length) - 1);
  const T mask = T(ones << start);
  return T((into & T(~mask)) | (T(field << start) & mask));
}

// Byte `selector & 7` of the eight bytes b:a; bit 3 replicates its sign.
inline u32 selected_byte(u64 bytes, u32 selector) {
  const u32 byte = u32(bytes >> (8 * (selector & 7))) & 0xFF;
  return (selector & 8) == 0 ? byte : (byte & 0x80) != 0 ? 0xFF : 0;
}

inline u32 permuted(u32 a, u32 b, u32 s0, u32 s1, u32 s2, u32 s3) {
  const u64 bytes = (u64(b) << 32) | a;
  return selected_byte(bytes, s0) | (selected_byte(bytes, s1) << 8) | (selected_byte(bytes, s2) << 16) |
         (selected_byte(bytes, s3) << 24);
}

inline u32 prmt(u32 a, u32 b, u32 c) { return permuted(a, b, c, c >> 4, c >> 8, c >> 12); }

inline u32 prmt_f4e(u32 a, u32 b, u32 c) {
  c &= 3;
  return permuted(a, b, c, c + 1, c + 2, c + 3);
}

inline u32 prmt_b4e(u32 a, u32 b, u32 c) {
  c &= 3;
  return permuted(a, b, c, (c + 7) & 7, (c + 6) & 7, (c + 5) & 7);
}

inline u32 prmt_rc8(u32 a, u32 b, u32 c) {
  c &= 3;
  return permuted(a, b, c, c, c, c);
}

inline u32 prmt_ecl(u32 a, u32 b, u32 c) {
  c &= 3;
  return permuted(a, b, c, c < 1 ? 1 : c, c < 2 ? 2 : c, 3);
}

inline u32 prmt_ecr(u32 a, u32 b, u32 c) {
  c &= 3;
  return permuted(a, b, 0, c < 1 ? c : 1, c < 2 ? c : 2, c);
}

inline u32 prmt_rc16(u32 a, u32 b, u32 c) {
  c = 2 * (c & 1);
  return permuted(a, b, c, c + 1, c, c + 1);
}

// Bit by bit, the entry of the table at the index that the bits of a, b and c form.
template <int Table>
inline u32 lop3(u32 a, u32 b, u32 c) {
  u32 result = 0;
  for (int i = 0; i < 8; i++) {
    if ((Table >> i & 1) != 0) {
      result |= ((i & 4) != 0 ? a : ~a) & ((i & 2) != 0 ? b : ~b) & ((i & 1) != 0 ? c : ~c);
    }
  }
  return result;
}

}  // namespace standin::ptx
