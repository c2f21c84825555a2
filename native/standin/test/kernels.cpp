// Kernels as a translator writes them, each for one thing that the runtime does.
#include <algorithm>

#include "simt.h"

using namespace standin;

namespace {

template <class T>
T parameter(void** parameters, int index) {
  T value;
  memcpy(&value, parameters[index], sizeof value);
  return value;
}

template <class T>
T* pointer(void** parameters, int index) {
  return reinterpret_cast<T*>(parameter<uint64_t>(parameters, index));
}

unsigned globalThread() { return blk->ctaid.x * blk->threads + cur->linear; }

float* sharedFloats() { return reinterpret_cast<float*>(blk->shared); }

// Each level reads what other threads wrote in the last.
void sumInShared(bool withBarriers) {
  float* shared = sharedFloats();
  for (unsigned stride = blk->threads / 2; stride > 0; stride /= 2) {
    if (cur->linear < stride) {
      shared[cur->linear] += shared[cur->linear + stride];
    }
    if (withBarriers) {
      barrier();
    }
  }
}

void treeSum(void** parameters) {
  sharedFloats()[cur->linear] = pointer<float>(parameters, 0)[globalThread()];
  barrier();
  sumInShared(true);
  if (cur->linear == 0) {
    pointer<float>(parameters, 1)[blk->ctaid.x] = sharedFloats()[0];
  }
}

// Warp 0 produces, warp 1 consumes, through a buffer of one value: barrier 1 says "full", barrier 2 "empty".
void pingPong(void** parameters) {
  const unsigned rounds = parameter<uint32_t>(parameters, 1);
  auto* buffer = reinterpret_cast<volatile unsigned*>(blk->shared);
  for (unsigned round = 0; round < rounds; round++) {
    if (cur->linear < 32) {
      barrier(2, 64);
      if (cur->lane == 0) {
        *buffer = round * round;
      }
      barrierArrive(1, 64);
    } else {
      barrierArrive(2, 64);
      barrier(1, 64);
      if (cur->lane == 0) {
        pointer<unsigned>(parameters, 0)[round] = *buffer;
      }
    }
  }
}

void votes(void** parameters) {
  int* output = pointer<int>(parameters, 0);
  const int count = barrierReduce(Reduction::kCount, cur->linear % 3 == 0);
  const int all = barrierReduce(Reduction::kAnd, cur->linear < 90);
  const int any = barrierReduce(Reduction::kOr, cur->linear == 95);
  const int allSmall = barrierReduce(Reduction::kAnd, cur->linear < 96);
  if (cur->linear == 17) {
    output[0] = count;
    output[1] = all;
    output[2] = any;
    output[3] = allSmall;
  }
}

// Lanes of even and of odd halves sum by themselves, several times, with other work in between.
void warpSums(void** parameters) {
  const unsigned rounds = parameter<uint32_t>(parameters, 1);
  unsigned value = cur->lane + 1;
  for (unsigned round = 0; round < rounds; round++) {
    const uint32_t mask = round % 2 == 0 ? 0xFFFFFFFF : cur->lane < 8 ? 0x000000FF : 0xFFFFFF00;
    Payload mine{};
    mine.w[0] = value;
    const Payload* all = collective(mask, 1, mine);
    value = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
      value += mask >> lane & 1 ? all[lane].w[0] : 0;
    }
    value = value * 3 + cur->lane;
  }
  pointer<unsigned>(parameters, 0)[globalThread()] = value;
}

// A quarter of the threads leaves before the barrier: the others must not wait for them.
void earlyExit(void** parameters) {
  if (cur->linear % 4 == 1) {
    return;
  }
  barrier();
  pointer<unsigned>(parameters, 0)[cur->linear] = __builtin_popcount(activeMask());
}

// Two copies over old values, in groups of their own; waits until `pending` groups are left, then reads both.
void asyncCopy(void** parameters) {
  const auto* source = pointer<float>(parameters, 0);
  auto* output = pointer<float>(parameters, 1);
  float* shared = sharedFloats() + 8 * cur->linear;
  std::fill_n(shared, 8, 0.0f);
  cp_issue(shared, source + 8 * cur->linear, 16, 16);
  cp_commit_group();
  cp_issue(shared + 4, source + 8 * cur->linear + 4, 16, 8);
  cp_commit_group();
  cp_wait_group(parameter<uint32_t>(parameters, 2));
  memcpy(output + 8 * cur->linear, shared, 32);
}

void deliver(uint64_t barrier) {
  BulkCopy load;
  while (bulkLoadTake(barrier, &load)) {
    memcpy(reinterpret_cast<void*>(load.shared), reinterpret_cast<const void*>(load.global), load.bytes);
    mbarrierComplete(barrier, load.bytes);
  }
}

void waitFor(uint64_t barrier, uint32_t parity) {
  while (!mbarrierTest(barrier, parity)) {
    deliver(barrier);
    if (!mbarrierTest(barrier, parity)) {
      yield();
    }
  }
}

// A producer thread and 32 consumers with a ring of two stages: 8 tiles of 128 bytes, which the consumers add up.
void bulkPipeline(void** parameters) {
  const auto source = parameter<uint64_t>(parameters, 0);
  const auto shared = reinterpret_cast<uint64_t>(blk->shared);
  const uint64_t full = shared + 256;
  const uint64_t empty = shared + 272;
  if (cur->linear == 0) {
    for (unsigned stage = 0; stage < 2; stage++) {
      mbarrierInit(full + 8 * stage, 1);
      mbarrierInit(empty + 8 * stage, 32);
    }
  }
  barrier();
  float sum = 0;
  for (unsigned tile = 0; tile < 8; tile++) {
    const unsigned stage = tile % 2;
    const uint32_t phase = tile / 2 % 2;
    if (cur->linear == 32) {
      waitFor(empty + 8 * stage, phase ^ 1);
      mbarrierExpect(full + 8 * stage, 128);
      bulkLoadIssue({shared + 128 * stage, source + 128 * tile, 128, full + 8 * stage, {}, {}});
      mbarrierArrive(full + 8 * stage, 1);
    } else if (cur->linear < 32) {
      waitFor(full + 8 * stage, phase);
      sum += reinterpret_cast<const float*>(shared + 128 * stage)[cur->lane];
      mbarrierArrive(empty + 8 * stage, 1);
    }
  }
  if (cur->linear < 32) {
    pointer<float>(parameters, 1)[cur->lane] = sum;
  }
}

// Writes to shared memory after it has read what was there.
void freshShared(void** parameters) {
  auto* shared = reinterpret_cast<uint32_t*>(blk->shared);
  pointer<uint32_t>(parameters, 0)[globalThread()] = shared[cur->linear];
  shared[cur->linear] = 1;
}

int recurse(volatile char* caller, int depth) {
  volatile char frame[1024];
  frame[0] = *caller;
  return depth == 0 ? frame[0] : recurse(frame, depth - 1) + frame[0];
}

// Each way to be wrong.
void misbehave(void** parameters) {
  const unsigned how = parameter<uint32_t>(parameters, 0);
  switch (how) {
    case 0:
      if (cur->linear < 32) {
        barrier(3);
      }
      if (cur->linear >= 32) {
        barrier(4);
      }
      break;
    case 1:
      if (cur->lane != 5) {
        collective(0xFFFFFFFF, 1, {});
      }
      break;
    case 2:
      collective(0xFFFFFFFF, cur->lane == 3 ? 2 : 1, {});
      break;
    case 3:
      collective(0x0000FFFF, 1, {});
      break;
    case 4:
      while (true) {
        yield();
      }
    case 5:
      *pointer<volatile int>(parameters, 1) = 1;
      break;
    case 6: {
      volatile char start = 1;
      *pointer<volatile int>(parameters, 1) = recurse(&start, 1 << 20);
      break;
    }
    case 7:
      fail("unknown instruction foo.bar");
    case 8:
      mbarrierArrive(reinterpret_cast<uint64_t>(blk->shared), 1);
      break;
    case 9:
      mbarrierInit(reinterpret_cast<uint64_t>(blk->shared) + 64 * (cur->linear + 1), 1);
      mbarrierArrive(reinterpret_cast<uint64_t>(blk->shared) + 64 * (cur->linear + 1), 2);
      break;
    case 10:
      bulkLoadIssue({reinterpret_cast<uint64_t>(blk->shared), 0, 16, 8, {}, {}});
      break;
    case 11:
      read_issue(blk->shared, 64);
      read_commit_group();
      blk->shared[5] = static_cast<unsigned char>(cur->linear);
      read_wait_group(0);
      break;
    case 12:
      barrier(1, 48);
      break;
    case 13:
      barrier(16);
      break;
    default:
      async().bulkStores.add({});
  }
}

void scale(void** parameters) {
  const unsigned i = globalThread();
  if (i < parameter<uint32_t>(parameters, 1)) {
    pointer<float>(parameters, 0)[i] *= parameter<float>(parameters, 2);
  }
}

// Notes in which order blocks and threads run.
void record(void** parameters) {
  const unsigned at = __atomic_fetch_add(pointer<unsigned>(parameters, 0), 1, __ATOMIC_RELAXED);
  pointer<unsigned>(parameters, 1)[at] = globalThread();
}

void structure(void** parameters) {
  const auto address = reinterpret_cast<uint64_t>(parameters[0]);
  auto* output = pointer<unsigned>(parameters, 1);
  output[0] = address % 64 == 0;
  output[1] = static_cast<const unsigned*>(parameters[0])[31];
}

// A race: only some schedules show it, ThreadSanitizer always.
void missingBarrier(void** parameters) {
  sharedFloats()[cur->linear] = 1;
  barrier();
  sumInShared(false);
  if (cur->linear == 0) {
    *pointer<float>(parameters, 0) = sharedFloats()[0];
  }
}

// A race between blocks.
void overlap(void** parameters) {
  pointer<unsigned>(parameters, 0)[(cur->linear + blk->ctaid.x) % blk->threads] = globalThread();
}

constexpr unsigned kTwoPointers[] = {8, 8};
constexpr unsigned kPointerAndInt[] = {8, 4};
constexpr unsigned kIntAndPointer[] = {4, 8};
constexpr unsigned kPointer[] = {8};
constexpr unsigned kTwoPointersAndInt[] = {8, 8, 4};
constexpr unsigned kScale[] = {8, 4, 4};
constexpr unsigned kStructure[] = {128, 8};

const Kernel kKernels[] = {
    {"treeSum", treeSum, 2, kTwoPointers, 0},
    {"pingPong", pingPong, 2, kPointerAndInt, 16},
    {"votes", votes, 1, kPointer, 0},
    {"warpSums", warpSums, 2, kPointerAndInt, 0},
    {"earlyExit", earlyExit, 1, kPointer, 0},
    {"asyncCopy", asyncCopy, 3, kTwoPointersAndInt, 0},
    {"bulkPipeline", bulkPipeline, 2, kTwoPointers, 1024},
    {"freshShared", freshShared, 1, kPointer, 1024},
    {"misbehave", misbehave, 2, kIntAndPointer, 16384},
    {"scale", scale, 3, kScale, 0},
    {"record", record, 2, kTwoPointers, 0},
    {"structure", structure, 2, kStructure, 0},
    {"missingBarrier", missingBarrier, 1, kPointer, 0},
    {"overlap", overlap, 1, kPointer, 0},
};

const bool kRegistered =
    std::all_of(std::begin(kKernels), std::end(kKernels), [](const Kernel& kernel) { return registerKernel(&kernel); });

}  // namespace
