#include "faults.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <mutex>

#include "block.h"
#include "sanitizers.h"

namespace standin {
namespace {

constexpr size_t kSignalStackBytes = 64 * 1024;
constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE};

struct sigaction before[sizeof kSignals / sizeof *kSignals];
thread_local char faultMessage[128];

[[noreturn]] void failAfterFault() { BlockRunner::current()->fail(faultMessage); }

void passOn(int signal, siginfo_t* info, void* context) {
  for (size_t i = 0; i < std::size(kSignals); i++) {
    if (kSignals[i] != signal) {
      continue;
    }
    const struct sigaction& old = before[i];
    if ((old.sa_flags & SA_SIGINFO) != 0) {
      old.sa_sigaction(signal, info, context);
    } else if (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) {
      sigaction(signal, &old, nullptr);  // the instruction faults again, and ends the process
    } else {
      old.sa_handler(signal);
    }
  }
}

void handle(int signal, siginfo_t* info, void* context) {
#if defined(__x86_64__)
  BlockRunner* runner = cur == nullptr ? nullptr : BlockRunner::current();
  if (runner != nullptr) {
    const char* pattern = "access to address %p, which is no memory of the device";
    if (signal == SIGFPE) {
      pattern = "arithmetic trap (code at %p)";
    } else if (runner->overflowed(info->si_addr)) {
      pattern = "the stack of a thread overflowed (%p)";
    }
    snprintf(faultMessage, sizeof faultMessage, pattern, info->si_addr);
    auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    registers[REG_RIP] = reinterpret_cast<greg_t>(&failAfterFault);
    registers[REG_RSP] = reinterpret_cast<greg_t>(runner->stackForFailure()) - 8;  // as after a call
    return;
  }
#endif
  passOn(signal, info, context);
}

}  // namespace

void installFaultHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (underAddressSanitizer() || underThreadSanitizer()) {
      return;  // their reports say more
    }
    for (size_t i = 0; i < std::size(kSignals); i++) {
      struct sigaction action {};
      action.sa_sigaction = handle;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER;
      sigemptyset(&action.sa_mask);
      sigaction(kSignals[i], &action, &before[i]);
    }
  });
}

void useSignalStack() {
  faultMessage[0] = '\0';  // its memory may come from malloc, which the handler must not call
  stack_t stack{};
  stack.ss_sp = mmap(nullptr, kSignalStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack.ss_size = kSignalStackBytes;
  if (stack.ss_sp != MAP_FAILED) {
    sigaltstack(&stack, nullptr);
  }
}

}  // namespace standin
