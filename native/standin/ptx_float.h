// Floating point: f32 and f64 as C++ computes them, f16, bf16, e4m3 and e5m2 by their definition.
#pragma once

#include <cfenv>
#include <cmath>
#include <cstdlib>

#include "ptx_integer.h"

namespace standin::ptx {

// Arithmetic that makes a NaN makes this one. (PTX doesn't say which one f64 makes.)
constexpr u32 kNan32 = 0x7fffffff;
constexpr u64 kNan64 = 0x7ff8000000000000;

inline f32 f(u32 bits) { return bit_cast<f32>(bits); }
inline f64 d(u64 bits) { return bit_cast<f64>(bits); }
inline u32 bits(f32 value) { return value != value ? kNan32 : bit_cast<u32>(value); }
inline u64 bits(f64 value) { return value != value ? kNan64 : bit_cast<u64>(value); }

inline f32 ftz(f32 value) {
  const u32 raw = bit_cast<u32>(value);
  return (raw & 0x7f800000) == 0 ? bit_cast<f32>(raw & 0x80000000) : value;
}

// To 0 … 1, NaN to 0.
template <class T>
inline T saturate(T value) {
  return value > 0 ? (value < 1 ? value : T(1)) : T(0);
}

inline u32 abs_bits(u32 a) { return a & 0x7fffffff; }
inline u64 abs_bits(u64 a) { return a & ~(u64(1) << 63); }
inline u32 neg_bits(u32 a) { return a ^ 0x80000000; }
inline u64 neg_bits(u64 a) { return a ^ (u64(1) << 63); }
inline u32 copysign_bits(u32 sign, u32 a) { return (a & 0x7fffffff) | (sign & 0x80000000); }
inline u64 copysign_bits(u64 sign, u64 a) { return abs_bits(a) | (sign & (u64(1) << 63)); }

template <class T>
inline bool testp_finite(T a) {
  return std::isfinite(a);
}
template <class T>
inline bool testp_infinite(T a) {
  return std::isinf(a);
}
template <class T>
inline bool testp_number(T a) {
  return a == a;
}
template <class T>
inline bool testp_notanumber(T a) {
  return a != a;
}
template <class T>
inline bool testp_normal(T a) {
  return std::isnormal(a);
}
template <class T>
inline bool testp_subnormal(T a) {
  return std::fpclassify(a) == FP_SUBNORMAL;
}

// ---- minimum and maximum: a NaN loses against a number, or wins (_nan); −0 is less than +0

template <class T>
inline T min(T a, T b) {
  if (a != a) {
    return b;
  }
  if (b != b) {
    return a;
  }
  return a < b || (a == b && std::signbit(a)) ? a : b;
}

template <class T>
inline T max(T a, T b) {
  if (a != a) {
    return b;
  }
  if (b != b) {
    return a;
  }
  return a > b || (a == b && !std::signbit(a)) ? a : b;
}

template <class T>
inline T min_nan(T a, T b) {
  return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : min(a, b);
}

template <class T>
inline T max_nan(T a, T b) {
  return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : max(a, b);
}

// Of the magnitudes, with the product's sign.
template <class T, class Choose>
inline T xorsign(T a, T b, Choose choose) {
  const T magnitude = choose(std::fabs(a), std::fabs(b));
  return std::signbit(a) != std::signbit(b) ? -magnitude : magnitude;
}

template <class T>
inline T min_xorsign(T a, T b) {
  return xorsign(a, b, [](T x, T y) { return min(x, y); });
}
template <class T>
inline T max_xorsign(T a, T b) {
  return xorsign(a, b, [](T x, T y) { return max(x, y); });
}
template <class T>
inline T min_nan_xorsign(T a, T b) {
  return xorsign(a, b, [](T x, T y) { return min_nan(x, y); });
}
template <class T>
inline T max_nan_xorsign(T a, T b) {
  return xorsign(a, b, [](T x, T y) { return max_nan(x, y); });
}

// ---- comparisons that C++ has no operator for. Without u: false for NaN; with u: true for NaN

inline bool compare_ne(f64 a, f64 b) { return a < b || a > b; }
inline bool compare_equ(f64 a, f64 b) { return !compare_ne(a, b); }
inline bool compare_neu(f64 a, f64 b) { return a != b; }
inline bool compare_ltu(f64 a, f64 b) { return !(a >= b); }
inline bool compare_leu(f64 a, f64 b) { return !(a > b); }
inline bool compare_gtu(f64 a, f64 b) { return !(a <= b); }
inline bool compare_geu(f64 a, f64 b) { return !(a < b); }
inline bool compare_num(f64 a, f64 b) { return a == a && b == b; }
inline bool compare_nan(f64 a, f64 b) { return !compare_num(a, b); }

// ---- rounding modes

// rna: to nearest, ties away from zero (tf32 only).
enum class Rounding { rn, rz, rm, rp, rna };

// Runs an operation under a rounding mode. The volatile operands keep the compiler from moving it out.
template <Rounding Mode>
struct DirectedRounding {
  int before = fegetround();
  DirectedRounding() {
    fesetround(Mode == Rounding::rz   ? FE_TOWARDZERO
               : Mode == Rounding::rm ? FE_DOWNWARD
               : Mode == Rounding::rp ? FE_UPWARD
                                      : FE_TONEAREST);
  }
  ~DirectedRounding() { fesetround(before); }
};

template <Rounding Mode, class T, class Operation>
__attribute__((noinline)) T directed(T a, T b, T c, Operation operation) {
  const DirectedRounding<Mode> mode;
  volatile T x = a, y = b, z = c;
  volatile T result = operation(T(x), T(y), T(z));
  return result;
}

template <Rounding Mode, class T>
inline T add_directed(T a, T b) {
  return directed<Mode>(a, b, b, [](T x, T y, T) { return x + y; });
}
template <Rounding Mode, class T>
inline T sub_directed(T a, T b) {
  return directed<Mode>(a, b, b, [](T x, T y, T) { return x - y; });
}
template <Rounding Mode, class T>
inline T mul_directed(T a, T b) {
  return directed<Mode>(a, b, b, [](T x, T y, T) { return x * y; });
}
template <Rounding Mode, class T>
inline T div_directed(T a, T b) {
  return directed<Mode>(a, b, b, [](T x, T y, T) { return x / y; });
}
template <Rounding Mode, class T>
inline T fma_directed(T a, T b, T c) {
  return directed<Mode>(a, b, c, [](T x, T y, T z) { return std::fma(x, y, z); });
}
template <Rounding Mode, class T>
inline T rcp_directed(T a) {
  return directed<Mode>(T(1), a, a, [](T x, T y, T) { return x / y; });
}
template <Rounding Mode, class T>
inline T sqrt_directed(T a) {
  return directed<Mode>(a, a, a, [](T x, T, T) { return std::sqrt(x); });
}

template <class To, Rounding Mode, class From>
__attribute__((noinline)) To convert_directed(From value) {
  const DirectedRounding<Mode> mode;
  volatile From x = value;
  volatile To result = static_cast<To>(x);
  return result;
}

template <class T>
inline T div_rn(T a, T b) {
  return a / b;
}
template <class T>
inline T rcp_rn(T a) {
  return T(1) / a;
}

// To an integral value.
template <Rounding Mode, class T>
inline T integral(T value) {
  return Mode == Rounding::rz   ? std::trunc(value)
         : Mode == Rounding::rm ? std::floor(value)
         : Mode == Rounding::rp ? std::ceil(value)
                                : std::nearbyint(value);
}

// To an integer type: clamped to its range; NaN becomes 0, or the lowest number where 64-bit types take part.
template <class To, Rounding Mode, class T>
inline To to_integer(T value) {
  if (value != value) {
    const bool wide = sizeof(To) == 8 || sizeof(T) == 8;
    return wide ? To(Unsigned<To>(1) << (kBits<To> - 1)) : To(0);
  }
  const f64 whole = f64(integral<Mode>(value));
  const f64 low = f64(std::numeric_limits<To>::min());
  const f64 above = std::ldexp(1.0, std::numeric_limits<To>::digits);
  return whole < low ? std::numeric_limits<To>::min() : whole >= above ? std::numeric_limits<To>::max() : To(whole);
}

// ---- approximations: the exact value, or with STANDIN_APPROX=perturb one that is off by as much as PTX allows

inline bool perturbs() {
  static const bool value = [] {
    const char* mode = getenv("STANDIN_APPROX");
    return mode != nullptr && strcmp(mode, "perturb") == 0;
  }();
  return value;
}

// A number in −1 … 1 that depends on the bits alone.
inline f64 noise(u64 seed) {
  seed = (seed ^ (seed >> 31)) * 0x9E3779B97F4A7C15ull;
  seed = (seed ^ (seed >> 29)) * 0xBF58476D1CE4E5B9ull;
  return f64(s64(seed ^ (seed >> 32))) * 0x1p-63;
}

// The value with an error of up to `relative` times itself plus `absolute`, at full size in one direction or the other.
inline f32 approximate(f64 exact, f64 relative, f64 absolute = 0) {
  if (!perturbs() || !std::isfinite(exact) || exact == 0) {
    return f32(exact);
  }
  const f64 size = relative * std::fabs(exact) + absolute;
  const f32 off = f32(exact + size * noise(bit_cast<u64>(exact)));
  return std::isfinite(off) ? off : f32(exact);
}

// At least the largest errors that the PTX ISA states for its floating-point instructions; an ulp counts 2^-23.
constexpr f64 kUlp = 0x1p-23;

inline f32 rcp_approx(f32 a) { return approximate(1.0 / a, kUlp); }
inline f32 sqrt_approx(f32 a) { return approximate(std::sqrt(f64(a)), kUlp); }
inline f32 rsqrt_approx(f32 a) { return approximate(1.0 / std::sqrt(f64(a)), 0x1p-22); }
inline f64 rsqrt_approx(f64 a) { return 1.0 / std::sqrt(a); }
inline f32 ex2_approx(f32 a) { return approximate(std::exp2(f64(a)), 2 * kUlp); }
inline f32 sin_approx(f32 a) { return approximate(std::sin(f64(a)), 0, 0x1p-20); }
inline f32 cos_approx(f32 a) { return approximate(std::cos(f64(a)), 0, 0x1p-20); }
inline f32 tanh_approx(f32 a) { return approximate(std::tanh(f64(a)), 0x1p-11); }

inline f32 lg2_approx(f32 a) {
  const f64 exact = std::log2(f64(a));
  return std::fabs(exact) < 1 ? approximate(exact, 0, 0x1p-22) : approximate(exact, 0x1p-22);
}

inline f32 div_full(f32 a, f32 b) { return approximate(f64(a) / f64(b), 2 * kUlp); }

// As div.full, but divisors above 2^126 give 0 (NaN for infinities).
inline f32 div_approx(f32 a, f32 b) {
  const f32 size = std::fabs(b);
  if (size > 0x1p126f && std::isfinite(b) && a == a) {
    return std::isinf(a) ? std::numeric_limits<f32>::quiet_NaN() : std::copysign(0.0f, a) * std::copysign(1.0f, b);
  }
  return div_full(a, b);
}

// ---- small formats

// mantissa · 2^exponent, exactly; mantissa 0 is a zero.
struct Exact {
  bool negative;
  u64 mantissa;
  s32 exponent;
};

inline Exact exactly(f64 value) {  // finite
  const u64 raw = bit_cast<u64>(value);
  const u64 fraction = raw & ((u64(1) << 52) - 1);
  const s32 exponent = s32(raw >> 52 & 0x7ff);
  return exponent == 0 ? Exact{(raw >> 63) != 0, fraction, -1074}
                       : Exact{(raw >> 63) != 0, fraction | (u64(1) << 52), exponent - 1075};
}

inline Exact exactly(s64 value) {
  return {value < 0, value < 0 ? 0 - u64(value) : u64(value), 0};
}
inline Exact exactly(u64 value) { return {false, value, 0}; }

// A format with a sign, `Exponent` and `Mantissa` bits, and the bias of IEEE 754.
template <class Bits_, int Exponent, int Mantissa, bool HasInfinity>
struct SmallFloat {
  using Bits = Bits_;
  static constexpr int kMantissa = Mantissa;
  static constexpr int kBias = (1 << (Exponent - 1)) - 1;
  static constexpr u32 kSign = 1u << (Exponent + Mantissa);
  static constexpr u32 kInfinity = ((1u << Exponent) - 1) << Mantissa;  // where the format has infinities
  static constexpr u32 kNan = kSign - 1;                                // the NaN that conversions make
  // The formats without infinities have one NaN a sign, and use the rest of the highest exponent for numbers.
  static constexpr u32 kLargest = HasInfinity ? kInfinity - 1 : kNan - 1;

  static bool is_nan(u32 raw) { return HasInfinity ? (raw & (kSign - 1)) > kInfinity : (raw & (kSign - 1)) == kNan; }

  static f64 value(u32 raw) {
    const u32 magnitude = raw & (kSign - 1);
    f64 result;
    if (is_nan(raw)) {
      result = std::numeric_limits<f64>::quiet_NaN();
    } else if (HasInfinity && magnitude == kInfinity) {
      result = std::numeric_limits<f64>::infinity();
    } else {
      const s32 exponent = s32(magnitude >> Mantissa);
      const u32 fraction = magnitude & ((1u << Mantissa) - 1);
      const u32 whole = exponent == 0 ? fraction : fraction | (1u << Mantissa);
      const s32 scale = (exponent == 0 ? 1 : exponent) - kBias - Mantissa;
      result = f64(whole) * bit_cast<f64>(u64(1023 + scale) << 52);
    }
    return (raw & kSign) != 0 ? -result : result;
  }

  // What a number beyond the largest becomes.
  static u32 overflow(bool negative, Rounding mode, bool finite) {
    const bool away = mode == Rounding::rn || mode == Rounding::rna || (mode == Rounding::rp && !negative) ||
                      (mode == Rounding::rm && negative);
    const u32 infinity = HasInfinity ? kInfinity : kNan;
    return finite || !away ? kLargest : infinity;
  }

  static Bits round(Exact x, Rounding mode, bool finite) {
    const u32 sign = x.negative ? kSign : 0;
    if (x.mantissa == 0) {
      return Bits(sign);
    }
    const s32 top = 63 - __builtin_clzll(x.mantissa) + x.exponent;  // the value is in [2^top, 2^(top+1))
    const s32 lowest = 1 - kBias - Mantissa;                        // exponent of the last place of subnormals
    const s32 place = top - Mantissa > lowest ? top - Mantissa : lowest;
    const s32 dropped = place - x.exponent;  // bits below the last place
    u64 kept;
    if (dropped <= 0) {
      kept = x.mantissa << -dropped;
    } else {
      kept = dropped > 63 ? 0 : x.mantissa >> dropped;
      const u64 rest = dropped > 63 ? x.mantissa : x.mantissa & ((u64(1) << dropped) - 1);
      const u64 half = dropped > 64 ? ~u64(0) : u64(1) << (dropped - 1);
      const bool above = dropped <= 64 && rest > half, tie = dropped <= 64 && rest == half;
      const bool up = mode == Rounding::rn    ? above || (tie && (kept & 1) != 0)
                      : mode == Rounding::rna ? above || tie
                      : mode == Rounding::rz  ? false
                      : mode == Rounding::rp  ? rest != 0 && !x.negative
                                              : rest != 0 && x.negative;
      kept += up;
    }
    // Adding the exponent to the mantissa with its leading bit carries into the next binade by itself.
    const u64 biased = u64(place - lowest);
    const u64 raw = (biased << Mantissa) + kept;
    return Bits(sign | (raw > kLargest ? overflow(x.negative, mode, finite) : u32(raw)));
  }

  static Bits round(f64 x, Rounding mode, bool finite) {
    if (x != x) {
      return Bits(kNan);
    }
    if (std::isinf(x)) {
      const u32 magnitude = finite ? kLargest : HasInfinity ? kInfinity : kNan;
      return Bits((x < 0 ? kSign : 0) | magnitude);
    }
    return round(exactly(x), mode, finite);
  }
  static Bits round(f32 x, Rounding mode, bool finite) { return round(f64(x), mode, finite); }
  template <class Integer>
  static Bits round(Integer x, Rounding mode, bool finite) {
    return round(exactly(std::conditional_t<std::is_signed_v<Integer>, s64, u64>(x)), mode, finite);
  }
};

using F16 = SmallFloat<u16, 5, 10, true>;
using Bf16 = SmallFloat<u16, 8, 7, true>;
using E4m3 = SmallFloat<u8, 4, 3, false>;
using E5m2 = SmallFloat<u8, 5, 2, true>;

template <class Format, Rounding Mode, class T>
inline typename Format::Bits to_half(T value, bool finite) {
  return Format::round(value, Mode, finite);
}

template <class Format>
inline typename Format::Bits half_relu(u32 raw) {
  return typename Format::Bits(Format::is_nan(raw) ? Format::kNan : (raw & Format::kSign) != 0 ? 0 : raw);
}

template <class Format>
inline u16 half_saturate(u32 raw) {
  return Format::round(saturate(Format::value(raw)), Rounding::rn, false);
}

template <class Format>
inline f64 ftz_half(f64 value) {
  const f64 smallest = bit_cast<f64>(u64(1024 - Format::kBias) << 52);  // normal
  return std::fabs(value) < smallest ? std::copysign(0.0, value) : value;
}

// Two results in one register, the first operand's above.
template <class Format, Rounding Mode>
inline u32 pack_pair(f32 high, f32 low, bool finite, bool rectifies) {
  u32 h = Format::round(high, Mode, finite), l = Format::round(low, Mode, finite);
  if (rectifies) {
    h = half_relu<Format>(h);
    l = half_relu<Format>(l);
  }
  return h << (8 * sizeof(typename Format::Bits)) | l;
}

template <class To, class From>
inline u32 convert_pair(u32 pair, bool finite, bool rectifies) {
  constexpr u32 shift = 8 * sizeof(typename From::Bits);
  const f64 high = From::value(pair >> shift), low = From::value(pair & ((1u << shift) - 1));
  return pack_pair<To, Rounding::rn>(f32(high), f32(low), finite, rectifies);
}

template <Rounding Mode>
inline u32 to_tf32(f32 value, bool finite, bool rectifies) {
  using Tf32Format = SmallFloat<u32, 8, 10, true>;
  u32 raw = Tf32Format::round(value, Mode, finite);
  return (rectifies ? half_relu<Tf32Format>(raw) : raw) << 13;
}

// ---- arithmetic on f16 and bf16: exact, then rounded once

// a + b rounded to odd in f64: a further rounding to a shorter format is then as good as a single one.
inline f64 sum_to_odd(f64 a, f64 b) {
  const f64 sum = a + b;
  if (!std::isfinite(sum)) {
    return sum;
  }
  const f64 from_b = sum - a;
  const f64 error = (a - (sum - from_b)) + (b - from_b);
  const u64 raw = bit_cast<u64>(sum);
  if (error == 0 || (raw & 1) != 0) {
    return sum;
  }
  return bit_cast<f64>((error > 0) == (sum > 0) ? raw + 1 : raw - 1);
}

constexpr bool kFlush = true;

template <class Format, bool Flush = false>
inline f64 half_operand(u16 raw) {
  return Flush ? ftz_half<Format>(Format::value(raw)) : Format::value(raw);
}

template <class Format, bool Flush = false>
inline u16 half_result(f64 value) {
  const u16 raw = Format::round(value, Rounding::rn, false);
  return Flush && (raw & Format::kInfinity) == 0 ? u16(raw & Format::kSign) : raw;
}

template <class Format, bool Flush = false>
inline u16 half_add(u16 a, u16 b) {
  return half_result<Format, Flush>(sum_to_odd(half_operand<Format, Flush>(a), half_operand<Format, Flush>(b)));
}
template <class Format, bool Flush = false>
inline u16 half_sub(u16 a, u16 b) {
  return half_result<Format, Flush>(sum_to_odd(half_operand<Format, Flush>(a), -half_operand<Format, Flush>(b)));
}
template <class Format, bool Flush = false>
inline u16 half_mul(u16 a, u16 b) {
  return half_result<Format, Flush>(half_operand<Format, Flush>(a) * half_operand<Format, Flush>(b));
}
template <class Format, bool Flush = false>
inline u16 half_fma(u16 a, u16 b, u16 c) {
  return half_result<Format, Flush>(
      sum_to_odd(half_operand<Format, Flush>(a) * half_operand<Format, Flush>(b), half_operand<Format, Flush>(c)));
}
template <class Format, bool Flush = false>
inline u16 half_min(u16 a, u16 b) {
  return half_result<Format, Flush>(min(half_operand<Format, Flush>(a), half_operand<Format, Flush>(b)));
}
template <class Format, bool Flush = false>
inline u16 half_max(u16 a, u16 b) {
  return half_result<Format, Flush>(max(half_operand<Format, Flush>(a), half_operand<Format, Flush>(b)));
}
template <class Format, bool Flush = false>
inline u16 half_min_nan(u16 a, u16 b) {
  return half_result<Format, Flush>(min_nan(half_operand<Format, Flush>(a), half_operand<Format, Flush>(b)));
}
template <class Format, bool Flush = false>
inline u16 half_max_nan(u16 a, u16 b) {
  return half_result<Format, Flush>(max_nan(half_operand<Format, Flush>(a), half_operand<Format, Flush>(b)));
}
template <class Format, bool Flush = false>
inline u16 half_abs(u16 a) {
  return u16((Flush && (a & Format::kInfinity) == 0 ? 0 : a) & ~Format::kSign);
}
template <class Format, bool Flush = false>
inline u16 half_neg(u16 a) {
  return u16((Flush && (a & Format::kInfinity) == 0 ? a & Format::kSign : a) ^ Format::kSign);
}

// The same for f16 and bf16.
template <class Format, bool Flush = false>
inline u16 half_ex2(u16 a) {
  const f64 error = Format::kMantissa == 10 ? 0x1.1p-10 : 0x1p-7;
  return half_result<Format, Flush>(approximate(std::exp2(half_operand<Format, Flush>(a)), error));
}
template <class Format, bool Flush = false>
inline u16 half_tanh(u16 a) {
  const f64 error = Format::kMantissa == 10 ? 0x1p-11 : 0x1p-8;
  return half_result<Format, Flush>(approximate(std::tanh(half_operand<Format, Flush>(a)), error));
}

// Applies a function of 16-bit values to the lower and the upper halves.
template <class Function, class... Pairs>
inline u32 pairwise(Function function, Pairs... pairs) {
  return u32(function(u16(pairs)...)) | (u32(function(u16(pairs >> 16)...)) << 16);
}

}  // namespace standin::ptx
