// mbarrier, and the bulk copies (TMA) that count their bytes there.
//
// Copies have the latest effect that PTX allows: a bulk load leaves garbage at its destination until somebody waits
// for its mbarrier, a bulk store reads its source when its group is waited for. So a missing wait shows.
#pragma once

#include "ptx_warp.h"

namespace standin::ptx {

// ---- mbarrier: the runtime's, under the names of the instructions

inline void mbarrier_arrive(u64 address, u32 count, u64* state) { *state = mbarrierArrive(address, count); }

// Expects bytes, then arrives once.
inline void mbarrier_arrive_expect(u64 address, u32 bytes, u64* state) {
  mbarrierExpect(address, bytes);
  *state = mbarrierArrive(address, 1);
}

// cp.async.mbarrier.arrive: when this thread's cp.async copies are done, which is now. Without noinc the arrival is
// counted beforehand and makes no difference.
inline void mbarrier_arrive_after_copies(u64 address, bool counted) {
  cp_wait_all();
  if (counted) {
    mbarrierArrive(address, 1);
  }
}

// ---- bulk copies

// TMA's swizzle modes exchange 16-byte pieces by the address bits from 7 on.
inline u64 swizzled(u64 address, u32 mode) {
  const u64 pieces = mode == 0 ? 0 : (u64(1) << mode) - 1;
  return address ^ ((address >> 7 & pieces) << 4);
}

// Calls visit(shared address, global address, bytes) for each run of elements of a tile that lies in the tensor or
// outside it (global address 0) as a whole, at most 16 bytes long.
template <class Visit>
inline void for_each_piece(const BulkCopy& copy, Visit visit) {
  const TensorMap& map = copy.map;
  const u32 row_bytes = map.box[0] * map.elementBytes;
  u64 rows = 1;
  for (u32 i = 1; i < map.rank; i++) {
    rows *= map.box[i];
  }
  for (u64 row = 0; row < rows; row++) {
    bool inside = true;
    u64 start = map.address;
    u64 rest = row;
    for (u32 i = 1; i < map.rank; i++) {
      const s64 k = copy.coordinate[i] + s64(rest % map.box[i]);
      rest /= map.box[i];
      inside = inside && k >= 0 && u64(k) < map.size[i];
      start += u64(k) * map.stride[i];
    }
    const u64 place = copy.shared + row * row_bytes;
    const s64 first = s64(copy.coordinate[0]);
    const bool whole = inside && first >= 0 && u64(first) + map.box[0] <= map.size[0];
    const u32 step = whole || !inside ? 16 : map.elementBytes;
    for (u32 byte = 0; byte < row_bytes; byte += step) {
      const s64 k = first + byte / map.elementBytes;
      const bool there = whole || (inside && k >= 0 && u64(k) < map.size[0]);
      visit(swizzled(place + byte, map.swizzle), there ? start + u64(k) * map.elementBytes : 0, step);
    }
  }
}

inline u64 tile_bytes(const TensorMap& map) {
  u64 bytes = map.elementBytes;
  for (u32 i = 0; i < map.rank; i++) {
    bytes *= map.box[i];
  }
  return bytes;
}

inline BulkCopy tensor_copy(u64 place, u64 map, u32 rank, const s32* coordinate, u64 barrier,
                            const SharedMemory& shared) {
  BulkCopy copy{};
  check_aligned<64>(map);
  memcpy(&copy.map, pointer(map), sizeof copy.map);
  if (copy.map.magic != TensorMap::kMagic || copy.map.rank != rank) {
    fail("bulk tensor copy: not a tensor map of this rank");
  }
  if (copy.map.swizzle != 0 && copy.map.box[0] * copy.map.elementBytes != 16u << copy.map.swizzle) {
    fail("bulk tensor copy: a swizzled box whose rows are shorter than the swizzle's span");
  }
  check_aligned<128>(place);
  shared.at(u32(shared.offset(place)), u32(tile_bytes(copy.map)));
  copy.shared = place;
  copy.barrier = barrier;
  memcpy(copy.coordinate, coordinate, rank * sizeof *coordinate);
  return copy;
}

inline BulkCopy plain_copy(u64 place, u64 global, u32 bytes, u64 barrier, const SharedMemory& shared) {
  check_aligned<16>(place | global | bytes);
  shared.at(u32(shared.offset(place)), bytes);
  BulkCopy copy{};
  copy.shared = place;
  copy.global = global;
  copy.bytes = bytes;
  copy.barrier = barrier;
  return copy;
}

inline void issue_load(const BulkCopy& copy, u64 bytes) {
  memset(pointer(copy.shared), 0xFF, bytes);
  bulkLoadIssue(copy);
}

inline void bulk_load(u64 place, u64 global, u32 bytes, u64 barrier, const SharedMemory& shared) {
  issue_load(plain_copy(place, global, bytes, barrier, shared), bytes);
}

inline void tensor_load(u64 place, u64 map, u32 rank, const s32* coordinate, u64 barrier,
                        const SharedMemory& shared) {
  const BulkCopy copy = tensor_copy(place, map, rank, coordinate, barrier, shared);
  issue_load(copy, tile_bytes(copy.map));
}

inline void deliver(const BulkCopy& copy) {
  u32 bytes = copy.bytes;
  if (copy.map.magic == 0) {
    memcpy(pointer(copy.shared), pointer(copy.global), bytes);
  } else {
    const int fill = copy.map.nanFill != 0 ? 0xFF : 0;
    for_each_piece(copy, [&](u64 place, u64 global, u32 count) {
      if (global != 0) {
        memcpy(pointer(place), pointer(global), count);
      } else {
        memset(pointer(place), fill, count);
      }
      bytes += count;
    });
  }
  mbarrierComplete(copy.barrier, bytes);
}

inline void bulk_store(u64 global, u64 place, u32 bytes, const SharedMemory& shared) {
  async().bulkStores.add(plain_copy(place, global, bytes, 0, shared));
}

inline void tensor_store(u64 place, u64 map, u32 rank, const s32* coordinate, const SharedMemory& shared) {
  async().bulkStores.add(tensor_copy(place, map, rank, coordinate, 0, shared));
}

inline void bulk_commit_group() { async().bulkStores.commit(); }

inline void bulk_wait_group(size_t pending) {
  async().bulkStores.wait(pending, [](const BulkCopy& copy) {
    if (copy.map.magic == 0) {
      memcpy(pointer(copy.global), pointer(copy.shared), copy.bytes);
    } else {
      for_each_piece(copy, [](u64 place, u64 global, u32 count) {
        if (global != 0) {
          memcpy(pointer(global), pointer(place), count);
        }
      });
    }
  });
}

// ---- waiting

// test_wait and try_wait: whether the phase of this parity is over. Bulk loads that the barrier waits for arrive now.
inline bool mbarrier_wait(u64 address, u32 parity) {
  if (mbarrierTest(address, parity)) {
    return true;
  }
  for (BulkCopy copy; bulkLoadTake(address, &copy);) {
    deliver(copy);
  }
  if (mbarrierTest(address, parity)) {
    return true;
  }
  yield();
  return mbarrierTest(address, parity);
}

}  // namespace standin::ptx
