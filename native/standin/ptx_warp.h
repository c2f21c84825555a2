// Exchanges among the lanes of a warp.
#pragma once

#include "ptx_memory.h"

namespace standin::ptx {

// Numbers of the collectives: lanes that meet must bring the same one.
enum Operation { kShuffle = 1, kVote = 8, kMatch, kReduce, kWarpSync, kLoadMatrix, kStoreMatrix, kMultiply };

inline void warp_sync(u32 mask) { collective(mask, kWarpSync, Payload{}); }

inline u32 lowest_lane(u32 mask) { return u32(__builtin_ctz(mask)); }

enum class Shuffle { up, down, bfly, idx };

// shfl.sync: `clamp` holds the highest lane in bits 0 … 4 and the segment mask in bits 8 … 12.
template <Shuffle Mode>
inline u32 shuffle(u32 value, u32 b, u32 clamp, u32 mask, bool* inside) {
  const s32 lane = s32(cur->lane);
  const s32 segment = s32(clamp >> 8 & 31), offset = s32(b & 31);
  const s32 least = lane & segment, most = least | (s32(clamp & 31) & ~segment);
  s32 source;
  if (Mode == Shuffle::up) {
    source = lane - offset;
    *inside = source >= most;
  } else {
    source = Mode == Shuffle::down ? lane + offset : Mode == Shuffle::bfly ? lane ^ offset : least | (offset & ~segment);
    *inside = source <= most;
  }
  source = *inside ? source : lane;
  Payload mine{};
  mine.w[0] = value;
  const Payload* warp = collective(mask, kShuffle + int(Mode), mine);
  if ((mask >> source & 1) == 0) {
    fail("shfl reads a lane outside its mask");
  }
  return warp[source].w[0];
}

inline u32 vote_ballot(bool predicate, u32 mask) {
  Payload mine{};
  mine.w[0] = predicate;
  const Payload* warp = collective(mask, kVote, mine);
  u32 result = 0;
  for (u32 rest = mask; rest != 0; rest &= rest - 1) {
    const u32 lane = lowest_lane(rest);
    result |= warp[lane].w[0] << lane;
  }
  return result;
}

inline bool vote_any(bool predicate, u32 mask) { return vote_ballot(predicate, mask) != 0; }
inline bool vote_all(bool predicate, u32 mask) { return vote_ballot(predicate, mask) == mask; }
inline bool vote_uni(bool predicate, u32 mask) {
  const u32 votes = vote_ballot(predicate, mask);
  return votes == 0 || votes == mask;
}

// The lanes whose value equals this lane's.
template <class T>
inline u32 match_any(T value, u32 mask) {
  Payload mine{};
  memcpy(mine.w, &value, sizeof value);
  const Payload* warp = collective(mask, kMatch, mine);
  u32 result = 0;
  for (u32 rest = mask; rest != 0; rest &= rest - 1) {
    const u32 lane = lowest_lane(rest);
    result |= u32(memcmp(warp[lane].w, &value, sizeof value) == 0) << lane;
  }
  return result;
}

template <class T>
inline u32 match_all(T value, u32 mask, bool* equal) {
  *equal = match_any(value, mask) == mask;
  return *equal ? mask : 0;
}

template <class T, class Join>
inline T reduce(T value, u32 mask, Join join) {
  Payload mine{};
  memcpy(mine.w, &value, sizeof value);
  const Payload* warp = collective(mask, kReduce, mine);
  T result{};
  bool first = true;
  for (u32 rest = mask; rest != 0; rest &= rest - 1) {
    T other;
    memcpy(&other, warp[lowest_lane(rest)].w, sizeof other);
    result = first ? other : join(result, other);
    first = false;
  }
  return result;
}

template <class T>
inline T redux_add(T value, u32 mask) {
  return reduce(value, mask, [](T a, T b) { return T(Unsigned<T>(a) + Unsigned<T>(b)); });
}
template <class T>
inline T redux_min(T value, u32 mask) {
  return reduce(value, mask, [](T a, T b) { return min_(a, b); });
}
template <class T>
inline T redux_max(T value, u32 mask) {
  return reduce(value, mask, [](T a, T b) { return max_(a, b); });
}
template <class T>
inline T redux_and(T value, u32 mask) {
  return reduce(value, mask, [](T a, T b) { return T(a & b); });
}
template <class T>
inline T redux_or(T value, u32 mask) {
  return reduce(value, mask, [](T a, T b) { return T(a | b); });
}
template <class T>
inline T redux_xor(T value, u32 mask) {
  return reduce(value, mask, [](T a, T b) { return T(a ^ b); });
}

}  // namespace standin::ptx
