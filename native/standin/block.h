// Runs the threads of one block: scheduling, barriers, warp collectives, and reports of what went wrong.
//
// A thread runs until it waits. Waiting threads are looked at in the order of `order_`, a warp at a time, until no
// thread of the warp can go on: so the stacks that are in use stay in the cache. A block has failed if threads are left
// and none can go on (deadlock), or if they do nothing but yield.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "simt.h"

namespace standin {

enum class Order { kForward, kReverse, kRandom };

// One launch of a kernel, shared by the OS threads that run its blocks.
struct Launch {
  const Kernel* kernel;
  Dim grid;
  Dim block;
  size_t dynamicBytes;
  void** parameters;
  Order order;
  uint64_t seed;
  std::atomic<uint64_t> running{0};  // blocks
};

struct Warp {
  struct Rendezvous {
    uint32_t mask = 0;
    uint32_t arrived = 0;
    unsigned generation = 0;  // parity picks the payloads: those of the last one may still be read
    int operation = 0;
    Payload payloads[2][32];
  };

  uint32_t alive;
  unsigned masks;  // that have been used
  Rendezvous rendezvous[4];
};

class BlockRunner {
 public:
  BlockRunner();
  ~BlockRunner();
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  // Runs block `index` of the launch; false if it failed, then failure() tells why.
  bool run(Launch& launch, uint64_t index);
  const std::string& failure() const { return failure_; }

  // Called when the last block of a launch has been run here.
  void finishLaunch();

  // The runner of this OS thread, null on others.
  static BlockRunner* current();

  // ---- called on the fibers
  void barrier(unsigned id, unsigned threads, const void* where);
  void barrierArrive(unsigned id, unsigned threads);
  int barrierReduce(Reduction kind, bool predicate, unsigned id, unsigned threads, const void* where);
  const Payload* collective(uint32_t mask, int operation, const Payload& mine, const void* where);
  void yield();
  void progress() { yields_ = 0; }
  void bulkLoadIssue(const BulkCopy& load);
  bool bulkLoadTake(uint64_t barrier, BulkCopy* load);
  [[noreturn]] void fail(std::string message);

  // ---- called by the handler of memory faults, on a fiber
  void* stackForFailure() const { return running_->stackTop(); }
  bool overflowed(const void* address) const { return running_->overflowed(address); }

 private:
  enum State : unsigned { kUnstarted, kReady, kYielded, kAtBarrier, kInCollective, kExited };

  struct Barrier {
    unsigned arrived = 0;
    unsigned expected = 0;  // 0: all threads that have not exited
    unsigned predicates = 0;
    unsigned generation = 0;
    char tsan[2] = {};  // by parity of the generation: synchronization of the next must not hide races of this one
  };

  static void fiberMain();
  void start(Launch& launch, uint64_t index);
  void allocateShared();
  void freeShared();
  void runThreads();
  bool runOnce(size_t from, size_t to);
  void runThread(Thread* thread);
  void exitThread(Thread* thread);
  Thread* nextUnstarted();
  Fiber* takeFiber(unsigned thread);
  void checkYields();
  void wait(State state, const void* where);
  bool arrive(unsigned id, unsigned threads, bool predicate);
  void completeBarrier(unsigned id);
  Warp::Rendezvous& rendezvous(Warp* warp, uint32_t mask);
  std::string deadlock() const;
  void abandonFibers();
  uint64_t random();

  Launch* launch_ = nullptr;
  Block block_{};
  std::vector<BulkCopy> bulkLoads_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<unsigned> order_;
  std::vector<Fiber*> fiberOf_;  // by thread; null if it has none
  std::vector<Fiber*> free_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Barrier barriers_[16];
  FiberHost host_;
  Fiber* running_ = nullptr;
  size_t position_ = 0;  // in order_, of the running thread
  size_t end_ = 0;       // of the part of order_ that is being run
  unsigned live_ = 0;
  unsigned atBarriers_ = 0;
  uint64_t yields_ = 0;  // since the last progress
  uint64_t naps_ = 0;
  uint64_t random_ = 0;
  std::string failure_;
  // What ThreadSanitizer knows of the order of events: all before a block started, all of a launch's threads.
  char tsanStart_ = 0;
  char tsanEnd_ = 0;
};

}  // namespace standin
