// libcuda: modules and functions.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "driver.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

Driver& driver() { return Driver::get(); }

// Where cuModuleLoadDataEx's options ask for the log of errors.
void writeLog(unsigned count, const int* options, void** values, const std::string& message) {
  char* buffer = nullptr;
  size_t bytes = 0;
  size_t bytesAt = 0;
  for (unsigned i = 0; i < count; i++) {
    if (options[i] == kJitErrorLogBuffer) {
      buffer = static_cast<char*>(values[i]);
    } else if (options[i] == kJitErrorLogBufferBytes) {
      bytes = reinterpret_cast<uintptr_t>(values[i]);
      bytesAt = i;
    }
  }
  if (buffer != nullptr && bytes > 0) {
    snprintf(buffer, bytes, "%s", message.c_str());
    values[bytesAt] = reinterpret_cast<void*>(strlen(buffer));
  }
}

Result load(const Call& call, Module** module, const void* image, unsigned count, const int* options, void** values) {
  std::string message;
  const Result result = driver().modules.load(image, module, &message);
  writeLog(count, options, values, message);
  return message.empty() ? result : call.refuse(result, message);
}

}  // namespace

// ---- modules

API cuModuleLoadData(Module** module, const void* image) {
  STANDIN_ENTER(kContext);
  return load(call, module, image, 0, nullptr, nullptr);
}

API cuModuleLoadDataEx(Module** module, const void* image, unsigned count, int* options, void** values) {
  STANDIN_ENTER(kContext);
  return load(call, module, image, count, options, values);
}

API cuModuleLoadFatBinary(Module** module, const void* image) {
  STANDIN_ENTER(kContext);
  return load(call, module, image, 0, nullptr, nullptr);
}

API cuModuleLoad(Module** module, const char* file) {
  STANDIN_ENTER(kContext);
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return kFileNotFound;
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return load(call, module, text.str().c_str(), 0, nullptr, nullptr);
}

API cuModuleUnload(Module* module) {
  STANDIN_ENTER(kContext);
  driver().streams.finishAll();
  return driver().modules.unload(module);
}

API cuModuleGetLoadingMode(int* mode) {
  STANDIN_ENTER(kNothing);
  *mode = 1;  // eager
  return kSuccess;
}

API cuModuleGetFunction(Function** function, Module* module, const char* name) {
  STANDIN_ENTER(kContext);
  return driver().modules.function(module, name, function);
}

// ---- functions

API cuFuncGetModule(Module** module, const Function* function) {
  STANDIN_ENTER(kContext);
  if (!driver().modules.isFunction(function)) {
    return kInvalidHandle;
  }
  *module = function->module;
  return kSuccess;
}

// Registers and local memory are the compiler's for a device; here they are 0.
API cuFuncGetAttribute(int* value, int which, const Function* function) {
  STANDIN_ENTER(kContext);
  if (!driver().modules.isFunction(function)) {
    return kInvalidHandle;
  }
  switch (which) {
    case kFunctionMaxThreadsPerBlock:
      *value = static_cast<int>(function->entry->maxThreads);
      return kSuccess;
    case kFunctionSharedBytes:
      *value = static_cast<int>(function->kernel->sharedBytes);
      return kSuccess;
    case kFunctionMaxDynamicSharedBytes:
      *value = static_cast<int>(function->maxDynamicBytes);
      return kSuccess;
    case kFunctionPtxVersion:
      *value = static_cast<int>(function->module->image.target);
      return kSuccess;
    case kFunctionBinaryVersion:
      *value = static_cast<int>(capability());
      return kSuccess;
    case kFunctionConstBytes:
    case kFunctionLocalBytes:
    case kFunctionRegisters:
    case kFunctionCacheModeCa:
    case kFunctionPreferredSharedCarveout:
      *value = 0;
      return kSuccess;
    default:
      return call.refuse(kInvalidValue, "attribute " + std::to_string(which));
  }
}

API cuFuncSetAttribute(Function* function, int which, int value) {
  STANDIN_ENTER(kContext);
  if (!driver().modules.isFunction(function)) {
    return kInvalidHandle;
  }
  if (which == kFunctionPreferredSharedCarveout) {
    return kSuccess;
  }
  if (which != kFunctionMaxDynamicSharedBytes) {
    return call.refuse(kInvalidValue, "attribute " + std::to_string(which));
  }
  if (value < 0 || function->kernel->sharedBytes + static_cast<unsigned>(value) > kSharedBytesOptin) {
    return call.refuse(kInvalidValue, std::to_string(value) + " bytes of dynamic shared memory for kernel " +
                                          function->kernel->name);
  }
  function->maxDynamicBytes = static_cast<unsigned>(value);
  return kSuccess;
}

API cuFuncSetCacheConfig(const Function*, int) {
  STANDIN_ENTER(kContext);
  return kSuccess;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const Function* function, int threads, size_t dynamicBytes) {
  STANDIN_ENTER(kContext);
  if (!driver().modules.isFunction(function)) {
    return kInvalidHandle;
  }
  if (threads < 1) {
    return kInvalidValue;
  }
  const size_t byThreads = 2048 / ((static_cast<size_t>(threads) + 31) / 32 * 32);
  const size_t byShared = size_t{228} * 1024 / (function->kernel->sharedBytes + dynamicBytes + 1024);
  *blocks = static_cast<int>(std::min({byThreads, byShared, size_t{32}}));
  return kSuccess;
}
