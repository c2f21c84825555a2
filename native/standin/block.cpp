#include "block.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "sanitizers.h"
#include "text.h"

namespace standin {

__thread Thread* cur = nullptr;
__thread Block* blk = nullptr;
__thread BlockRunner* BlockRunner::current_ = nullptr;

namespace {

Dim split(uint64_t linear, Dim size) {
  return {static_cast<unsigned>(linear % size.x), static_cast<unsigned>(linear / size.x % size.y),
          static_cast<unsigned>(linear / size.x / size.y)};
}

}  // namespace

BlockRunner::BlockRunner() = default;

BlockRunner::~BlockRunner() { abandonFibers(); }

bool BlockRunner::run(Launch& launch, uint64_t index) {
  start(launch, index);
  launch.running++;
  runThreads();
  launch.running--;
  if (failure_.empty() && !bulkLoads_.empty()) {
    failure_ = format("block (%u, %u, %u) ended while bulk copies to its shared memory were in flight", block_.ctaid.x,
                      block_.ctaid.y, block_.ctaid.z);
  }
  if (!failure_.empty()) {
    failure_ = format("kernel %s: ", block_.kernel) + failure_;
    abandonFibers();
  }
  bulkLoads_.clear();
  freeShared();
  cur = nullptr;
  blk = nullptr;
  current_ = nullptr;
  return failure_.empty();
}

void BlockRunner::start(Launch& launch, uint64_t index) {
  const Dim size = launch.block;
  const unsigned count = size.x * size.y * size.z;
  launch_ = &launch;
  current_ = this;
  blk = &block_;
  failure_.clear();
  block_.ctaid = split(index, launch.grid);
  block_.ntid = size;
  block_.nctaid = launch.grid;
  block_.threads = count;
  block_.kernel = launch.kernel->name;
  block_.dynamicBytes = launch.dynamicBytes;
  block_.sharedBytes = launch.kernel->sharedBytes + launch.dynamicBytes;
  allocateShared();
  threads_.resize(count);
  warps_.resize((count + kWarp - 1) / kWarp);
  fiberOf_.assign(count, nullptr);
  for (unsigned i = 0; i < count; i++) {
    threads_[i] = {split(i, size), i, i % kWarp, &warps_[i / kWarp], nullptr, nullptr, kUnstarted, 0, 0};
  }
  for (Warp& warp : warps_) {
    warp.alive = ~0u;
    warp.masks = 0;
  }
  if (count % kWarp != 0) {
    warps_.back().alive = (1u << (count % kWarp)) - 1;
  }
  for (Barrier& barrier : barriers_) {
    barrier.arrived = 0;
    barrier.predicates = 0;
  }
  live_ = count;
  atBarriers_ = 0;
  yields_ = 0;
  naps_ = 0;
  random_ = launch.seed * 0x9E3779B97F4A7C15 + index;
  order_.resize(count);
  std::iota(order_.begin(), order_.end(), 0u);
  if (launch.order == Order::kReverse) {
    std::reverse(order_.begin(), order_.end());
  }
  if (underThreadSanitizer()) {
    host_.tsan = __tsan_get_current_fiber();
  }
  tsanRelease(&tsanStart_);
}

// A buffer a block, of the exact size: sanitizers see its bounds, and don't take one block's accesses for another's.
// ThreadSanitizer would call free() a race, since blocks of a launch end without synchronization.
void BlockRunner::allocateShared() {
  const size_t bytes = std::max<size_t>(block_.sharedBytes, 1);
  void* shared = nullptr;
  if (underThreadSanitizer()) {
    shared = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  } else if (posix_memalign(&shared, 1024, bytes) != 0) {
    shared = MAP_FAILED;
  }
  if (shared == MAP_FAILED) {
    failure_ = "the host is out of memory";
    shared = nullptr;
  } else {
    memset(shared, 0xFF, bytes);
  }
  block_.shared = static_cast<unsigned char*>(shared);
}

void BlockRunner::freeShared() {
  if (underThreadSanitizer() && block_.shared != nullptr) {
    munmap(block_.shared, std::max<size_t>(block_.sharedBytes, 1));
  } else {
    free(block_.shared);
  }
  block_.shared = nullptr;
}

void BlockRunner::finishLaunch() {
  tsanAcquire(&tsanEnd_);
  launch_ = nullptr;
}

void BlockRunner::runThreads() {
  while (live_ > 0 && failure_.empty()) {
    for (Thread& thread : threads_) {
      if (thread.state == kYielded) {
        thread.state = kReady;
      }
    }
    if (launch_->order == Order::kRandom) {
      for (size_t i = order_.size() - 1; i > 0; i--) {
        std::swap(order_[i], order_[random() % (i + 1)]);
      }
    }
    bool any = false;
    for (size_t from = 0; from < order_.size() && failure_.empty(); from += kWarp) {
      const size_t to = std::min(order_.size(), from + kWarp);
      while (runOnce(from, to)) {
        any = true;
        if (launch_->order == Order::kRandom) {
          break;  // the part isn't a warp: shuffle anew
        }
      }
    }
    if (!any && failure_.empty()) {
      failure_ = deadlock();
    }
    checkYields();
  }
}

// Runs each thread of a part of order_ that can go on; false if none can.
bool BlockRunner::runOnce(size_t from, size_t to) {
  bool any = false;
  end_ = to;
  for (position_ = from; position_ < to && failure_.empty(); position_++) {
    Thread* thread = &threads_[order_[position_]];
    if (thread->state == kUnstarted || thread->state == kReady) {
      any = true;
      runThread(thread);
    }
  }
  return any;
}

void BlockRunner::runThread(Thread* thread) {
  if (thread->state == kUnstarted) {
    thread->state = kReady;
    fiberOf_[thread->linear] = takeFiber(thread->linear);
  }
  running_ = fiberOf_[thread->linear];
  cur = thread;
  running_->resume(host_);
}

// Under ThreadSanitizer thread i always gets fiber i: a fiber has one history of accesses, its stack's among them.
Fiber* BlockRunner::takeFiber(unsigned thread) {
  if (underThreadSanitizer()) {
    while (fibers_.size() <= thread) {
      fibers_.push_back(std::make_unique<Fiber>(fiberMain, fibers_.size()));
    }
    return fibers_[thread].get();
  }
  if (free_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(fiberMain, fibers_.size()));
    return fibers_.back().get();
  }
  Fiber* fiber = free_.back();
  free_.pop_back();
  return fiber;
}

void BlockRunner::fiberMain() {
  BlockRunner& runner = *current_;
  runner.running_->entered(runner.host_);
  while (true) {
    tsanAcquire(&runner.tsanStart_);
    runner.launch_->kernel->entry(runner.launch_->parameters);
    tsanRelease(&runner.tsanEnd_);
    Fiber* fiber = runner.running_;
    runner.exitThread(cur);
    if (Thread* next = runner.nextUnstarted()) {
      next->state = kReady;
      runner.fiberOf_[next->linear] = fiber;
      cur = next;
      continue;
    }
    if (!underThreadSanitizer()) {
      runner.free_.push_back(fiber);
    }
    fiber->leave(runner.host_);
  }
}

void BlockRunner::exitThread(Thread* thread) {
  if (thread->async != nullptr) {
    if (!thread->async->bulkStores.empty()) {
      fail("exited while bulk copies from shared memory were in flight");
    }
    delete thread->async;
    thread->async = nullptr;
  }
  thread->state = kExited;
  thread->warp->alive &= ~(1u << thread->lane);
  fiberOf_[thread->linear] = nullptr;
  live_--;
  yields_ = 0;
  for (unsigned id = 0; atBarriers_ > 0 && id < 16; id++) {
    const Barrier& barrier = barriers_[id];
    if (barrier.arrived > 0 && barrier.expected == 0 && barrier.arrived == live_) {
      completeBarrier(id);
    }
  }
}

// A thread that ends without having waited hands its fiber to the next: no switch at all.
Thread* BlockRunner::nextUnstarted() {
  if (underThreadSanitizer() || position_ + 1 >= end_ || !failure_.empty()) {
    return nullptr;
  }
  Thread* next = &threads_[order_[position_ + 1]];
  if (next->state != kUnstarted) {
    return nullptr;
  }
  position_++;
  return next;
}

void BlockRunner::abandonFibers() {
  for (Thread& thread : threads_) {
    delete thread.async;
    thread.async = nullptr;
  }
  free_.clear();
  fibers_.clear();
  running_ = nullptr;
}

uint64_t BlockRunner::random() {  // xorshift*
  random_ = random_ == 0 ? 1 : random_;
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545F4914F6CDD1D >> 33;
}

}  // namespace standin
