// libcuda: contexts, error names.
#include <set>
#include <vector>

#include "driver.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

// The primary context of the device, and those that were created.
Context primary{0};
unsigned primaryUses = 0;

std::set<Context*>& contexts() {
  static auto* created = new std::set<Context*>;
  return *created;
}

std::vector<Context*>& contextStack() {
  static thread_local std::vector<Context*> stack;
  return stack;
}

bool isContext(Context* context) {
  return context == &primary ? primaryUses > 0 : contexts().count(context) != 0;
}

void resetIfUnused() {
  if (primaryUses == 0 && contexts().empty()) {
    Driver::get().reset();
  }
}

}  // namespace

Context* standin::currentContext() {
  return contextStack().empty() || !isContext(contextStack().back()) ? nullptr : contextStack().back();
}

// ---- the primary context

API cuDevicePrimaryCtxRetain(Context** context, int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0) {
    return kInvalidDevice;
  }
  primaryUses++;
  *context = &primary;
  return kSuccess;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0 || primaryUses == 0) {
    return kInvalidContext;
  }
  primaryUses--;
  resetIfUnused();
  return kSuccess;
}

API cuDevicePrimaryCtxReset_v2(int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0) {
    return kInvalidDevice;
  }
  Driver::get().reset();
  return kSuccess;
}

API cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
  STANDIN_ENTER(kDriver);
  primary.flags = flags;
  return device == 0 ? kSuccess : kInvalidDevice;
}

API cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
  STANDIN_ENTER(kDriver);
  *flags = primary.flags;
  *active = primaryUses > 0;
  return device == 0 ? kSuccess : kInvalidDevice;
}

// ---- contexts

API cuCtxCreate_v2(Context** context, unsigned flags, int device) {
  STANDIN_ENTER(kDriver);
  if (device != 0) {
    return kInvalidDevice;
  }
  *context = *contexts().insert(new Context{flags}).first;
  contextStack().push_back(*context);
  return kSuccess;
}

API cuCtxDestroy_v2(Context* context) {
  STANDIN_ENTER(kDriver);
  if (contexts().erase(context) == 0) {
    return kInvalidContext;
  }
  if (!contextStack().empty() && contextStack().back() == context) {
    contextStack().pop_back();
  }
  delete context;
  resetIfUnused();
  return kSuccess;
}

API cuCtxSetCurrent(Context* context) {
  STANDIN_ENTER(kDriver);
  if (context != nullptr && !isContext(context)) {
    return kInvalidContext;
  }
  if (!contextStack().empty()) {
    contextStack().pop_back();
  }
  if (context != nullptr) {
    contextStack().push_back(context);
  }
  return kSuccess;
}

API cuCtxGetCurrent(Context** context) {
  STANDIN_ENTER(kDriver);
  *context = currentContext();
  return kSuccess;
}

API cuCtxPushCurrent_v2(Context* context) {
  STANDIN_ENTER(kDriver);
  if (!isContext(context)) {
    return kInvalidContext;
  }
  contextStack().push_back(context);
  return kSuccess;
}

API cuCtxPopCurrent_v2(Context** context) {
  STANDIN_ENTER(kDriver);
  if (contextStack().empty()) {
    return kInvalidContext;
  }
  if (context != nullptr) {
    *context = contextStack().back();
  }
  contextStack().pop_back();
  return kSuccess;
}

API cuCtxGetDevice(int* device) {
  STANDIN_ENTER(kContext);
  *device = 0;
  return kSuccess;
}

API cuCtxGetFlags(unsigned* flags) {
  STANDIN_ENTER(kContext);
  *flags = currentContext()->flags;
  return kSuccess;
}

API cuCtxGetApiVersion(Context* context, unsigned* version) {
  STANDIN_ENTER(kDriver);
  *version = 3020;
  return context == nullptr || isContext(context) ? kSuccess : kInvalidContext;
}

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  STANDIN_ENTER(kContext);
  if (least != nullptr) {
    *least = 0;
  }
  if (greatest != nullptr) {
    *greatest = -5;
  }
  return kSuccess;
}

API cuCtxSetCacheConfig(int) {
  STANDIN_ENTER(kContext);
  return kSuccess;
}

API cuCtxSynchronize() {
  STANDIN_ENTER(kContext);
  Driver& driver = Driver::get();
  driver.streams.finishAll();
  return driver.streams.failure();
}

// ---- errors

API cuGetErrorName(Result result, const char** name) {
  *name = resultName(result);
  return *name == nullptr ? kInvalidValue : kSuccess;
}

// After a failed launch the text goes on with the reason, which a device would not tell.
API cuGetErrorString(Result result, const char** text) {
  static thread_local std::string withReason;
  Driver& driver = Driver::get();
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  *text = resultText(result);
  if (*text != nullptr && result == driver.streams.failure() && !driver.launchFailure.empty()) {
    withReason = std::string(*text) + " (stand-in: " + driver.launchFailure + ")";
    *text = withReason.c_str();
  }
  return *text == nullptr ? kInvalidValue : kSuccess;
}

API cuProfilerStart() { return kSuccess; }

API cuProfilerStop() { return kSuccess; }
