// A stack to run CUDA threads on, and the switch between it and the scheduler's.
#pragma once

#include <cstddef>

namespace standin {

// The scheduler's side of the switches of one OS thread.
struct FiberHost {
  void* context = nullptr;
  void* fakeStack = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;
  void* tsan = nullptr;
};

// Fibers stay on the OS thread that made them: compilers keep addresses of thread-locals in registers.
class Fiber {
 public:
  static constexpr size_t kStackBytes = 256 * 1024;

  // `entry` must begin with entered() and never return. `index` staggers stacks, so that they don't all meet in the
  // same cache sets.
  Fiber(void (*entry)(), unsigned index);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void resume(FiberHost& host);   // called by the scheduler; returns when the fiber leaves
  void entered(FiberHost& host);  // called by the fiber, once
  void leave(FiberHost& host);    // called by the fiber; returns when it is resumed

  // An address on the stack from which a function may run when the fiber itself is beyond repair.
  void* stackTop() const { return bottom_ + kStackBytes - 64; }
  bool overflowed(const void* address) const;

 private:
  unsigned char* bottom_;
  void* initial_;
  void* context_;
  void* fakeStack_ = nullptr;
  void* tsan_ = nullptr;
};

}  // namespace standin
