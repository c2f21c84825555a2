#include "grid.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "block.h"
#include "faults.h"
#include "sanitizers.h"
#include "settings.h"

namespace standin {
namespace {

// An OS thread with its fibers. It is never destroyed: the process may end while it waits for work.
class Worker {
 public:
  Worker() : thread_([this] { loop(); }) { thread_.detach(); }

  void start(std::function<void(BlockRunner&)> work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_ = std::move(work);
    changed_.notify_all();
  }

  void join() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return work_ == nullptr; });
  }

 private:
  void loop() {
    useSignalStack();
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return work_ != nullptr; });
      lock.unlock();
      work_(runner_);
      lock.lock();
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void(BlockRunner&)> work_;
  BlockRunner runner_;
  std::thread thread_;
};

// Which block comes i-th: any order is allowed, so tests try several.
class BlockOrder {
 public:
  BlockOrder(Order order, uint64_t blocks, uint64_t seed) : order_(order), blocks_(blocks), offset_(seed % blocks) {
    step_ = (blocks / 2 + seed * 2654435761) % blocks;
    while (std::gcd(step_, blocks) != 1) {
      step_++;
    }
  }

  uint64_t block(uint64_t i) const {
    switch (order_) {
      case Order::kReverse:
        return blocks_ - 1 - i;
      case Order::kRandom:
        return static_cast<uint64_t>((static_cast<unsigned __int128>(i) * step_ + offset_) % blocks_);
      default:
        return i;
    }
  }

 private:
  Order order_;
  uint64_t blocks_;
  uint64_t offset_;
  uint64_t step_;
};

Order orderSetting() {
  const std::string order = setting("ORDER");
  if (order.empty() || order == "forward") {
    return Order::kForward;
  }
  if (order == "reverse") {
    return Order::kReverse;
  }
  if (order == "random") {
    return Order::kRandom;
  }
  badSetting("ORDER", order);
}

// ThreadSanitizer finds races between fibers of one OS thread just as well, and always the same ones.
size_t workerSetting() {
  if (underThreadSanitizer()) {
    return 1;
  }
  const long long otherwise = std::max(1u, std::thread::hardware_concurrency());
  return static_cast<size_t>(std::max(1LL, setting("WORKERS", otherwise)));
}

}  // namespace

std::string runGrid(const Kernel& kernel, Dim grid, Dim block, size_t dynamicBytes, void** parameters) {
  static std::mutex oneLaunch;
  static auto* workers = new std::vector<Worker*>;
  const std::lock_guard<std::mutex> lock(oneLaunch);
  installFaultHandler();

  const uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
  const uint64_t seed = static_cast<uint64_t>(setting("SEED", 1LL));
  Launch launch{&kernel, grid, block, dynamicBytes, parameters, orderSetting(), seed};
  const BlockOrder order(launch.order, blocks, seed);
  std::atomic<uint64_t> next{0};
  std::mutex failureMutex;
  std::string failure;

  const auto work = [&](BlockRunner& runner) {
    for (uint64_t i = next++; i < blocks; i = next++) {
      if (!runner.run(launch, order.block(i))) {
        next = blocks;
        const std::lock_guard<std::mutex> failureLock(failureMutex);
        failure = failure.empty() ? runner.failure() : failure;
        break;
      }
    }
    runner.finishLaunch();
  };

  const size_t count = static_cast<size_t>(std::min<uint64_t>(workerSetting(), blocks));
  while (workers->size() < count) {
    workers->push_back(new Worker);
  }
  for (size_t i = 0; i < count; i++) {
    (*workers)[i]->start(work);
  }
  for (size_t i = 0; i < count; i++) {
    (*workers)[i]->join();
  }
  return failure;
}

}  // namespace standin
