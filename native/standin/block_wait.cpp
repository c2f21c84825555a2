// Barriers, collectives, and the functions of simt.h that kernels call.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "block.h"
#include "sanitizers.h"
#include "text.h"

namespace standin {
namespace {

constexpr uint64_t kMaxYields = 1000000;
constexpr uint64_t kMaxNaps = 100000;
constexpr unsigned kNapMicroseconds = 100;

}  // namespace

void BlockRunner::wait(State state, const void* where) {
  cur->where = where;
  cur->state = state;
  if (state != kYielded) {
    yields_ = 0;
  }
  running_->leave(host_);
}

void BlockRunner::barrier(unsigned id, unsigned threads, const void* where) {
  barrierReduce(Reduction::kCount, false, id, threads, where);
}

int BlockRunner::barrierReduce(Reduction kind, bool predicate, unsigned id, unsigned threads, const void* where) {
  Thread* thread = cur;
  thread->barrierId = id;
  thread->where = where;
  if (id >= 16) {
    fail("there are 16 barriers, 0 to 15");
  }
  void* tsan = &barriers_[id].tsan[barriers_[id].generation & 1];
  tsanRelease(tsan);
  thread->state = kAtBarrier;
  atBarriers_++;
  if (!arrive(id, threads, predicate)) {
    wait(kAtBarrier, where);
  }
  tsanAcquire(tsan);
  const int count = thread->reduced & 0xFFFF;
  const int participants = thread->reduced >> 16;
  switch (kind) {
    case Reduction::kAnd:
      return count == participants;
    case Reduction::kOr:
      return count > 0;
    default:
      return count;
  }
}

void BlockRunner::barrierArrive(unsigned id, unsigned threads) {
  if (id >= 16 || threads == 0) {
    fail("bar.arrive needs a barrier from 0 to 15 and a number of threads");
  }
  tsanRelease(&barriers_[id].tsan[barriers_[id].generation & 1]);
  arrive(id, threads, false);
}

// Without ThreadSanitizer's knowledge: wgmma orders its own accesses, not those of other instructions.
void BlockRunner::warpgroupMeet(const void* where) {
  cur->barrierId = 16 + cur->linear / 128;
  cur->where = where;
  cur->state = kAtBarrier;
  atBarriers_++;
  if (!arrive(cur->barrierId, 128, false)) {
    wait(kAtBarrier, where);
  }
}

// True if that completed the barrier.
bool BlockRunner::arrive(unsigned id, unsigned threads, bool predicate) {
  Barrier& barrier = barriers_[id];
  if (threads % kWarp != 0) {
    fail(format("barrier %u for %u threads: not a multiple of the warp size", id, threads));
  }
  if (barrier.arrived > 0 && barrier.expected != threads) {
    fail(format("threads meet at barrier %u with different thread counts, %u and %u", id, barrier.expected, threads));
  }
  barrier.expected = threads;
  barrier.arrived++;
  barrier.predicates += predicate;
  if (barrier.arrived != (threads == 0 ? live_ : threads)) {
    return false;
  }
  completeBarrier(id);
  return true;
}

void BlockRunner::completeBarrier(unsigned id) {
  Barrier& barrier = barriers_[id];
  for (Thread& thread : threads_) {
    if (thread.state == kAtBarrier && thread.barrierId == id) {
      thread.state = kReady;
      thread.reduced = static_cast<int>(barrier.predicates | barrier.arrived << 16);
      atBarriers_--;
    }
  }
  barrier.arrived = 0;
  barrier.predicates = 0;
  barrier.generation++;
}

const Payload* BlockRunner::collective(uint32_t mask, int operation, const Payload& mine, const void* where) {
  Thread* thread = cur;
  Warp* warp = thread->warp;
  thread->where = where;
  if ((mask >> thread->lane & 1) == 0) {
    fail(format("a warp collective with mask 0x%08x was called by lane %u, which is not in it", mask, thread->lane));
  }
  Warp::Rendezvous& meeting = rendezvous(warp, mask);
  if (meeting.arrived == 0) {
    meeting.operation = operation;
  } else if (meeting.operation != operation) {
    fail(format("lanes of one warp meet in different collectives, with the same mask 0x%08x", mask));
  }
  Payload* payloads = meeting.payloads[meeting.generation & 1];
  tsanRelease(payloads);
  {
    const TsanIgnore ignore;
    payloads[thread->lane] = mine;
  }
  meeting.arrived |= 1u << thread->lane;
  if (meeting.arrived != mask) {
    wait(kInCollective, where);
  } else {
    meeting.arrived = 0;
    meeting.generation++;
    Thread* lanes = thread - thread->lane;
    for (uint32_t rest = mask & ~(1u << thread->lane); rest != 0; rest &= rest - 1) {
      lanes[__builtin_ctz(rest)].state = kReady;
    }
  }
  tsanAcquire(payloads);
  return payloads;
}

Warp::Rendezvous& BlockRunner::rendezvous(Warp* warp, uint32_t mask) {
  Warp::Rendezvous* unused = nullptr;
  for (unsigned i = 0; i < warp->masks; i++) {
    Warp::Rendezvous& meeting = warp->rendezvous[i];
    if (meeting.mask == mask) {
      return meeting;
    }
    if (meeting.arrived == 0) {
      unused = &meeting;
    }
  }
  if (warp->masks < std::size(warp->rendezvous)) {
    unused = &warp->rendezvous[warp->masks++];
  }
  if (unused == nullptr) {
    fail(format("more than %zu masks are in use at once in the collectives of a warp", std::size(warp->rendezvous)));
  }
  unused->mask = mask;
  unused->arrived = 0;
  return *unused;
}

// The copy happens after what its issuer did, whoever makes it.
void BlockRunner::bulkLoadIssue(const BulkCopy& load) {
  tsanRelease(reinterpret_cast<char*>(load.barrier) + 2);
  const TsanIgnore ignore;
  bulkLoads_.push_back(load);
}

bool BlockRunner::bulkLoadTake(uint64_t barrier, BulkCopy* load) {
  tsanAcquire(reinterpret_cast<char*>(barrier) + 2);
  const TsanIgnore ignore;
  for (auto it = bulkLoads_.begin(); it != bulkLoads_.end(); ++it) {
    if (it->barrier == barrier) {
      *load = *it;
      bulkLoads_.erase(it);
      return true;
    }
  }
  return false;
}

void BlockRunner::yield() {
  yields_++;
  wait(kYielded, nullptr);
}

// Blocks that run on other OS threads may be what this one waits for; then it gets some seconds.
void BlockRunner::checkYields() {
  if (yields_ < kMaxYields || !failure_.empty()) {
    return;
  }
  if (launch_->running > 1 && naps_++ < kMaxNaps) {
    usleep(kNapMicroseconds);
    return;
  }
  failure_ = "threads spin and what they wait for never happens: " + deadlock();
}

// ---- what kernels call

namespace {

// A kernel that is called outside a launch is a mistake of the caller's that can't be reported in any better way.
BlockRunner& runner() {
  if (BlockRunner::current() == nullptr || cur == nullptr) {
    fprintf(stderr, "[standin] an operation of a CUDA thread was called outside a kernel\n");
    abort();
  }
  return *BlockRunner::current();
}

}  // namespace

void barrier(unsigned id, unsigned threads) { runner().barrier(id, threads, __builtin_return_address(0)); }

void barrierArrive(unsigned id, unsigned threads) { runner().barrierArrive(id, threads); }

void warpgroupMeet() { runner().warpgroupMeet(__builtin_return_address(0)); }

int barrierReduce(Reduction kind, bool predicate, unsigned id, unsigned threads) {
  return runner().barrierReduce(kind, predicate, id, threads, __builtin_return_address(0));
}

const Payload* collective(uint32_t mask, int operation, const Payload& mine) {
  return runner().collective(mask, operation, mine, __builtin_return_address(0));
}

uint32_t activeMask() { return cur->warp->alive; }

void yield() { runner().yield(); }

void progress() { runner().progress(); }

void bulkLoadIssue(const BulkCopy& load) { runner().bulkLoadIssue(load); }

bool bulkLoadTake(uint64_t barrier, BulkCopy* load) { return runner().bulkLoadTake(barrier, load); }

void fail(const char* message) { runner().fail(message); }

}  // namespace standin
