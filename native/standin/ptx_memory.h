// Loads, stores and atomics. Addresses are the host's; those of shared memory are offsets in the block's buffer.
#pragma once

#include <cstdio>

#include "ptx_float.h"

namespace standin::ptx {

inline void* pointer(u64 address) { return reinterpret_cast<void*>(address); }

// The block's shared memory, as a kernel sees it.
class SharedMemory {
 public:
  SharedMemory() : base_(reinterpret_cast<u64>(blk->shared)), bytes_(blk->sharedBytes) {}

  u64 base() const { return base_; }

  // The address of `bytes` bytes at an offset.
  u64 at(u32 offset, u32 bytes) const {
    if (__builtin_expect(u64(offset) + bytes > bytes_, 0)) {
      outside(offset, bytes);
    }
    return base_ + offset;
  }

  bool holds(u64 address) const { return address - base_ < bytes_; }

  u64 offset(u64 address) const { return address - base_; }

 private:
  [[noreturn]] __attribute__((noinline, cold)) void outside(u32 offset, u32 bytes) const {
    char message[128];
    snprintf(message, sizeof message, "shared memory: %u bytes at offset %u of %zu", bytes, offset, size_t(bytes_));
    fail(message);
  }

  u64 base_;
  u64 bytes_;
};

[[noreturn]] __attribute__((noinline, cold)) inline void misaligned(u64 address, u32 alignment) {
  char message[96];
  snprintf(message, sizeof message, "misaligned address 0x%llx, %u bytes", static_cast<unsigned long long>(address),
           alignment);
  fail(message);
}

template <u32 Alignment>
inline void check_aligned(u64 address) {
  if (__builtin_expect((address & (Alignment - 1)) != 0, 0)) {
    misaligned(address, Alignment);
  }
}

template <class T>
struct __attribute__((may_alias)) Element {
  T value;
};

template <class T>
inline T load(u64 address) {
  check_aligned<sizeof(T)>(address);
  return static_cast<const Element<T>*>(pointer(address))->value;
}

template <class T>
inline void store(u64 address, T value) {
  check_aligned<sizeof(T)>(address);
  static_cast<Element<T>*>(pointer(address))->value = value;
}

// What other threads write meanwhile. A loop around such a load waits for them, so that they must get to run.
template <class T>
inline T load_ordered(u64 address) {
  check_aligned<sizeof(T)>(address);
  yield();
  T value;
  __atomic_load(static_cast<T*>(pointer(address)), &value, __ATOMIC_SEQ_CST);
  return value;
}

template <class T>
inline void store_ordered(u64 address, T value) {
  check_aligned<sizeof(T)>(address);
  __atomic_store(static_cast<T*>(pointer(address)), &value, __ATOMIC_SEQ_CST);
  progress();
}

// ---- atomics: each returns the old value

template <class T, class Change>
inline T atomic_change(u64 address, Change change) {
  using Bits = std::conditional_t<sizeof(T) == 2, u16, std::conditional_t<sizeof(T) == 4, u32, u64>>;
  check_aligned<sizeof(T)>(address);
  auto* place = static_cast<Bits*>(pointer(address));
  Bits old = __atomic_load_n(place, __ATOMIC_SEQ_CST);
  while (true) {
    const T changed = change(bit_cast<T>(old));
    if (__atomic_compare_exchange_n(place, &old, bit_cast<Bits>(changed), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
      return bit_cast<T>(old);
    }
  }
}

template <class T>
inline T atomic_add(u64 address, T x) {
  return atomic_change<T>(address, [x](T old) {
    if constexpr (std::is_floating_point_v<T>) {
      return old + x;
    } else {
      return T(Unsigned<T>(old) + Unsigned<T>(x));
    }
  });
}
template <class T>
inline T atomic_min(u64 address, T x) {
  return atomic_change<T>(address, [x](T old) { return min_(old, x); });
}
template <class T>
inline T atomic_max(u64 address, T x) {
  return atomic_change<T>(address, [x](T old) { return max_(old, x); });
}
template <class T>
inline T atomic_and(u64 address, T x) {
  return atomic_change<T>(address, [x](T old) { return T(old & x); });
}
template <class T>
inline T atomic_or(u64 address, T x) {
  return atomic_change<T>(address, [x](T old) { return T(old | x); });
}
template <class T>
inline T atomic_xor(u64 address, T x) {
  return atomic_change<T>(address, [x](T old) { return T(old ^ x); });
}
template <class T>
inline T atomic_exch(u64 address, T x) {
  return atomic_change<T>(address, [x](T) { return x; });
}
// A loop around a compare-and-swap may be a lock, whose owner must get to run.
template <class T>
inline T atomic_cas(u64 address, T expected, T x) {
  yield();
  return atomic_change<T>(address, [expected, x](T old) { return old == expected ? x : old; });
}
template <class T>
inline T atomic_inc(u64 address, T limit) {
  return atomic_change<T>(address, [limit](T old) { return old >= limit ? T(0) : T(old + 1); });
}
template <class T>
inline T atomic_dec(u64 address, T limit) {
  return atomic_change<T>(address, [limit](T old) { return old == 0 || old > limit ? limit : T(old - 1); });
}

// One f16 or bf16, or two in a register.
template <class Format, class Bits>
inline Bits atomic_half_add(u64 address, Bits x) {
  return atomic_change<Bits>(address, [x](Bits old) {
    if constexpr (sizeof(Bits) == 2) {
      return half_add<Format>(old, x);
    } else {
      return pairwise([](u16 a, u16 b) { return half_add<Format>(a, b); }, old, x);
    }
  });
}

// ---- what a kernel asks of its surroundings

// Grows by one at each call: time passes, but nothing can be measured.
inline u64 clock_ticks() {
  static u64 ticks = 0;
  return __atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED);
}

// __assertfail(message, file, line, function, character size)
[[noreturn]] inline void assert_fail(void** arguments) {
  const auto text = [&](int i) {
    const char* value;
    memcpy(&value, arguments[i], sizeof value);
    return value;
  };
  u32 line;
  memcpy(&line, arguments[2], sizeof line);
  char message[512];
  snprintf(message, sizeof message, "assertion failed: %s, %s:%u", text(0), text(1), line);
  fail(message);
}

inline bool only_rank(u32 rank) {
  if (rank != 0) {
    fail("an address of another block of the cluster; clusters have one block here");
  }
  return true;
}

inline void cluster_barrier() { barrier(0); }

}  // namespace standin::ptx

#ifdef STANDIN_PROFILE
#include "ptx_profile.h"
#else
#define PROFILE(shared_memory, stores, bytes)
#define PROFILE_COPY(bytes)
#define PROFILE_ROWS(stores, count)
#endif
