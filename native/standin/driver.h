// The driver's state, and what every entry point of libcuda does first. The entry points are in driver_*.cpp.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "abi.h"
#include "memory.h"
#include "module.h"
#include "simt.h"
#include "stream.h"

namespace standin {

struct Context {
  unsigned flags;
};

class Driver {
 public:
  static Driver& get();

  // Held by every entry point that touches the state; work that is done eagerly is done under it.
  std::recursive_mutex mutex;

  DeviceMemory device;
  HostMemory host;
  Streams streams;
  Modules modules;
  bool initialized = false;

  // "" or why the last launch failed. cuGetErrorString appends it.
  std::string launchFailure;

  // Forgets all resources and the failure: the last context is gone.
  void reset();
};

enum class Needs { kNothing, kDriver, kContext };

// What an entry point does first. Its status is not kSuccess if the call must return it: a failure that STANDIN_FAIL
// asks for, a driver without cuInit, a thread without a context, or a context that a failed launch has killed.
class Call {
 public:
  Call(const char* function, Needs needs);

  Result status() const { return status_; }

  // Writes a line about a refused call to stderr and returns the result.
  Result refuse(Result result, const std::string& reason) const;

 private:
  const char* function_;
  std::unique_lock<std::recursive_mutex> lock_;
  Result status_;
};

// The context of the calling thread; null if it has none.
Context* currentContext();

// True if STANDIN_FAIL names this call; `code` is what it should return. The variable holds "NAME:n" or "NAME:n:code",
// several with commas between: the n-th call of NAME from now on fails. NAME is an entry point, or "kernel:NAME".
bool injectFailure(const std::string& name, Result otherwise, Result* code);

}  // namespace standin

#define STANDIN_ENTER(needs)                                            \
  const standin::Call call(__func__, standin::Needs::needs);            \
  if (const standin::Result status = call.status(); status != kSuccess) \
  return status

// ---- for the other libraries of the stand-in

// The stream of a handle does the task in its order; a task returns a CUresult.
extern "C" STANDIN_API int standinSubmit(standin::Stream* stream, const std::function<int()>* task);

// The code of a failure that STANDIN_FAIL asks for, or 0.
extern "C" STANDIN_API int standinInjectedFailure(const char* name, int otherwise);

// 1 if the range lies in one allocation of device memory; else writes a line that begins with `what` and returns 0.
extern "C" STANDIN_API int standinCheckRange(const char* what, const void* address, size_t bytes);
