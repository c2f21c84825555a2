#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "sanitizers.h"

#if !defined(__x86_64__) || defined(STANDIN_UCONTEXT)
#include <ucontext.h>
#endif

namespace standin {
namespace {

constexpr size_t kGuardBytes = 4096;
constexpr unsigned kWithoutSynchronization = 1;

#if defined(__x86_64__) && !defined(STANDIN_UCONTEXT)

// Saves the callee-saved registers of the System V ABI on the old stack, takes those of the new one. It jumps instead of
// returning, since a processor predicts that returns go where the last call came from.
extern "C" void standinSwitch(void** from, void* to) __attribute__((visibility("hidden")));
asm(R"(.text
.globl standinSwitch
.hidden standinSwitch
.type standinSwitch,@function
standinSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size standinSwitch,.-standinSwitch
)");

void* newContext(unsigned char* top, void (*entry)()) {
  auto** stack = reinterpret_cast<void**>(top);
  *--stack = nullptr;  // where the entry would return to
  *--stack = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; saved++) {
    *--stack = nullptr;
  }
  return stack;
}

void deleteContext(void*) {}  // it lies on the fiber's stack

void switchContext(void** from, void* to) { standinSwitch(from, to); }

#else

void* newContext(unsigned char* top, void (*entry)()) {
  auto* context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_size = Fiber::kStackBytes / 2;
  context->uc_stack.ss_sp = top - context->uc_stack.ss_size;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void deleteContext(void* context) { delete static_cast<ucontext_t*>(context); }

void switchContext(void** from, void* to) {
  ucontext_t here;
  *from = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

#endif

}  // namespace

Fiber::Fiber(void (*entry)(), unsigned index) {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  mprotect(memory, kGuardBytes, PROT_NONE);
  bottom_ = static_cast<unsigned char*>(memory) + kGuardBytes;
  const size_t stagger = index % 21 * 192;
  initial_ = newContext(bottom_ + kStackBytes - 64 - stagger, entry);
  context_ = initial_;
  if (underThreadSanitizer()) {
    tsan_ = __tsan_create_fiber(0);
  }
}

Fiber::~Fiber() {
  if (underThreadSanitizer()) {
    __tsan_destroy_fiber(tsan_);
  }
  if (underAddressSanitizer()) {
    __asan_unpoison_memory_region(bottom_, kStackBytes);
  }
  deleteContext(initial_);
  munmap(bottom_ - kGuardBytes, kGuardBytes + kStackBytes);
}

void Fiber::resume(FiberHost& host) {
  if (underThreadSanitizer()) {
    __tsan_switch_to_fiber(tsan_, kWithoutSynchronization);
  }
  if (underAddressSanitizer()) {
    __sanitizer_start_switch_fiber(&host.fakeStack, bottom_, kStackBytes);
  }
  switchContext(&host.context, context_);
  if (underAddressSanitizer()) {
    __sanitizer_finish_switch_fiber(host.fakeStack, nullptr, nullptr);
  }
}

void Fiber::entered(FiberHost& host) {
  if (underAddressSanitizer()) {
    __sanitizer_finish_switch_fiber(nullptr, &host.bottom, &host.size);
  }
}

void Fiber::leave(FiberHost& host) {
  if (underThreadSanitizer()) {
    __tsan_switch_to_fiber(host.tsan, kWithoutSynchronization);
  }
  if (underAddressSanitizer()) {
    __sanitizer_start_switch_fiber(&fakeStack_, host.bottom, host.size);
  }
  switchContext(&context_, host.context);
  if (underAddressSanitizer()) {
    __sanitizer_finish_switch_fiber(fakeStack_, &host.bottom, &host.size);
  }
}

bool Fiber::overflowed(const void* address) const {
  const auto* byte = static_cast<const unsigned char*>(address);
  return byte >= bottom_ - kGuardBytes && byte < bottom_;
}

}  // namespace standin
