// The state of mbarrier objects. It lives here and not in translated code, so that ThreadSanitizer sees what an mbarrier
// synchronizes instead of accesses to its bytes.
#include "sanitizers.h"
#include "simt.h"

namespace standin {
namespace {

constexpr uint32_t kMaxCount = (1u << 20) - 1;
constexpr unsigned kInitialized = 1;

struct Mbarrier {
  uint64_t parity : 1;  // of the current phase
  uint64_t pending : 20;
  uint64_t expected : 20;
  int64_t bytes : 21;  // expected less arrived
  uint64_t mark : 2;   // fresh memory has 3
};
static_assert(sizeof(Mbarrier) == 8, "an mbarrier object has 8 bytes");

Mbarrier* at(uint64_t address) {
  if (address % 8 != 0) {
    fail("mbarrier: misaligned address");
  }
  auto* barrier = reinterpret_cast<Mbarrier*>(address);
  if (barrier->mark != kInitialized) {
    fail("mbarrier: not initialized");
  }
  return barrier;
}

void* synchronization(uint64_t address, uint32_t parity) { return reinterpret_cast<char*>(address) + (parity & 1); }

void completePhaseIfDone(Mbarrier* barrier) {
  if (barrier->pending == 0 && barrier->bytes == 0) {
    barrier->parity ^= 1;
    barrier->pending = barrier->expected;
    progress();
  }
}

void addBytes(Mbarrier* barrier, int64_t bytes) {
  const int64_t sum = barrier->bytes + bytes;
  if (sum > kMaxCount || sum < -static_cast<int64_t>(kMaxCount)) {
    fail("mbarrier: the count of bytes overflows");
  }
  barrier->bytes = sum;
}

}  // namespace

void mbarrierInit(uint64_t address, uint32_t count) {
  if (address % 8 != 0) {
    fail("mbarrier: misaligned address");
  }
  if (count == 0 || count > kMaxCount) {
    fail("mbarrier: a count outside 1 … 2^20 - 1");
  }
  Mbarrier barrier{};
  barrier.pending = count;
  barrier.expected = count;
  barrier.mark = kInitialized;
  memcpy(reinterpret_cast<void*>(address), &barrier, sizeof barrier);
}

void mbarrierInvalidate(uint64_t address) { memset(at(address), 0xFF, sizeof(Mbarrier)); }

void mbarrierExpect(uint64_t address, uint32_t bytes) { addBytes(at(address), bytes); }

void mbarrierComplete(uint64_t address, uint32_t bytes) {
  Mbarrier* barrier = at(address);
  tsanRelease(synchronization(address, barrier->parity));
  addBytes(barrier, -static_cast<int64_t>(bytes));
  completePhaseIfDone(barrier);
}

uint64_t mbarrierArrive(uint64_t address, uint32_t count) {
  Mbarrier* barrier = at(address);
  tsanRelease(synchronization(address, barrier->parity));
  uint64_t state;
  memcpy(&state, barrier, sizeof state);
  if (count == 0 || count > barrier->pending) {
    fail("mbarrier: more arrivals than expected");
  }
  barrier->pending -= count;
  completePhaseIfDone(barrier);
  return state;
}

bool mbarrierTest(uint64_t address, uint32_t parity) {
  if (at(address)->parity == (parity & 1)) {
    return false;
  }
  tsanAcquire(synchronization(address, parity));
  progress();
  return true;
}

}  // namespace standin
