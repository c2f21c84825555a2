#include "block.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "sanitizers.h"

namespace standin {

__thread Thread* cur = nullptr;
__thread Block* blk = nullptr;

namespace {

constexpr unsigned kWarp = 32;
constexpr uint64_t kMaxYields = 1000000;
constexpr uint64_t kMaxNaps = 100000;
constexpr unsigned kNapMicroseconds = 100;

__thread BlockRunner* currentRunner __attribute__((tls_model("initial-exec"))) = nullptr;

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
std::string format(const char* pattern, ...) {
  char text[600];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

Dim split(uint64_t linear, Dim size) {
  return {static_cast<unsigned>(linear % size.x), static_cast<unsigned>(linear / size.x % size.y),
          static_cast<unsigned>(linear / size.x / size.y)};
}

// Function and offset, which addr2line turns into a line of the .cu file.
std::string place(const void* address) {
  Dl_info info;
  if (address == nullptr || dladdr(address, &info) == 0) {
    return "?";
  }
  return format("%s+0x%lx", info.dli_sname == nullptr ? "?" : info.dli_sname,
                static_cast<unsigned long>(static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase)));
}

}  // namespace

BlockRunner::BlockRunner() = default;

BlockRunner::~BlockRunner() { abandonFibers(); }

BlockRunner* BlockRunner::current() { return currentRunner; }

// ---- a block's life

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
  currentRunner = nullptr;
  return failure_.empty();
}

void BlockRunner::start(Launch& launch, uint64_t index) {
  const Dim size = launch.block;
  const unsigned count = size.x * size.y * size.z;
  launch_ = &launch;
  currentRunner = this;
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
  BlockRunner& runner = *currentRunner;
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

// ---- waiting

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

// ---- reports

// What lies on the fiber is never destroyed, so that nothing there may own memory.
void BlockRunner::fail(std::string message) {
  if (failure_.empty()) {
    const Dim& block = block_.ctaid;
    const Dim& thread = cur->tid;
    failure_ = format("block (%u, %u, %u), thread (%u, %u, %u): ", block.x, block.y, block.z, thread.x, thread.y,
                      thread.z) +
               message;
  }
  std::string().swap(message);
  while (true) {
    running_->leave(host_);  // never to be resumed
  }
}

std::string BlockRunner::deadlock() const {
  unsigned yielding = 0;
  std::string text;
  for (unsigned id = 0; id < 16; id++) {
    unsigned waiting = 0;
    const Thread* one = nullptr;
    for (const Thread& thread : threads_) {
      if (thread.state == kAtBarrier && thread.barrierId == id) {
        waiting++;
        one = &thread;
      }
    }
    if (waiting > 0) {
      const unsigned expected = barriers_[id].expected == 0 ? live_ : barriers_[id].expected;
      text += format("; %u threads wait at barrier %u for %u (%s)", waiting, id, expected, place(one->where).c_str());
    }
  }
  for (size_t w = 0; w < warps_.size(); w++) {
    for (unsigned i = 0; i < warps_[w].masks; i++) {
      const Warp::Rendezvous& meeting = warps_[w].rendezvous[i];
      if (meeting.arrived != 0) {
        const Thread& one = threads_[w * kWarp + static_cast<unsigned>(__builtin_ctz(meeting.arrived))];
        text += format("; in warp %zu a collective with mask 0x%08x lacks lanes 0x%08x (%s)", w, meeting.mask,
                       meeting.mask & ~meeting.arrived, place(one.where).c_str());
      }
    }
    if (text.size() > 2000) {
      text += "; …";
      break;
    }
  }
  for (const Thread& thread : threads_) {
    yielding += thread.state == kYielded;
  }
  if (yielding > 0) {
    text += format("; %u threads spin", yielding);
  }
  return format("deadlock in block (%u, %u, %u), %u of %u threads have exited", block_.ctaid.x, block_.ctaid.y,
                block_.ctaid.z, block_.threads - live_, block_.threads) +
         text;
}

// ---- what kernels call

namespace {

// A kernel that is called outside a launch is a mistake of the caller's that can't be reported in any better way.
BlockRunner& runner() {
  if (currentRunner == nullptr || cur == nullptr) {
    fprintf(stderr, "[standin] an operation of a CUDA thread was called outside a kernel\n");
    abort();
  }
  return *currentRunner;
}

}  // namespace

void barrier(unsigned id, unsigned threads) { runner().barrier(id, threads, __builtin_return_address(0)); }

void barrierArrive(unsigned id, unsigned threads) { runner().barrierArrive(id, threads); }

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
