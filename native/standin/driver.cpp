#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "settings.h"

namespace standin {

Driver& Driver::get() {
  static auto* driver = new Driver;  // outlives all threads
  return *driver;
}

void Driver::reset() {
  streams.clear();
  modules.clear();
  device.freeAll();
  host.freeAll();
  launchFailure.clear();
}

Call::Call(const char* function, Needs needs)
    : function_(function), lock_(Driver::get().mutex), status_(kSuccess) {
  const Driver& driver = Driver::get();
  const bool allocates = std::string(function).find("Alloc") != std::string::npos;
  if (injectFailure(function, allocates ? kOutOfMemory : kUnknown, &status_)) {
    return;
  }
  if (needs != Needs::kNothing && !driver.initialized) {
    status_ = kNotInitialized;
  } else if (needs == Needs::kContext) {
    status_ = currentContext() == nullptr ? kInvalidContext : driver.streams.failure();
  }
}

Result Call::refuse(Result result, const std::string& reason) const {
  fprintf(stderr, "[standin] %s: %s\n", function_, reason.c_str());
  return result;
}

// ---- faults on request

namespace {

struct Injection {
  std::string name;
  long countdown;
  int code;  // 0: the caller's default
};

std::vector<Injection> parseInjections(const std::string& specification) {
  std::vector<Injection> injections;
  for (size_t start = 0; start < specification.size();) {
    const size_t comma = std::min(specification.find(',', start), specification.size());
    const std::string one = specification.substr(start, comma - start);
    const size_t colon = one.find(':', one.compare(0, 7, "kernel:") == 0 ? 7 : 0);
    char* end = nullptr;
    const long countdown = colon == std::string::npos ? 0 : strtol(one.c_str() + colon + 1, &end, 10);
    if (countdown < 1 || (*end != '\0' && *end != ':')) {
      badSetting("FAIL", specification);
    }
    injections.push_back({one.substr(0, colon), countdown, *end == ':' ? atoi(end + 1) : 0});
    start = comma + 1;
  }
  return injections;
}

}  // namespace

bool injectFailure(const std::string& name, Result otherwise, Result* code) {
  static auto* specification = new std::string;
  static auto* injections = new std::vector<Injection>;
  const std::string wanted = setting("FAIL");
  if (wanted != *specification) {
    *specification = wanted;
    *injections = parseInjections(wanted);
  }
  for (Injection& injection : *injections) {
    if (injection.name == name && --injection.countdown == 0) {
      *code = injection.code == 0 ? otherwise : static_cast<Result>(injection.code);
      fprintf(stderr, "[standin] %s fails as STANDIN_FAIL asks for\n", name.c_str());
      return true;
    }
  }
  return false;
}

}  // namespace standin

using namespace standin;

int standinSubmit(Stream* handle, const std::function<int()>* task) {
  STANDIN_ENTER(kContext);
  Driver& driver = Driver::get();
  Stream* stream = driver.streams.find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  driver.streams.submit(stream, [work = *task] { return static_cast<Result>(work()); });
  return kSuccess;
}

int standinInjectedFailure(const char* name, int otherwise) {
  const std::lock_guard<std::recursive_mutex> lock(Driver::get().mutex);
  Result code = kSuccess;
  return injectFailure(name, static_cast<Result>(otherwise), &code) ? code : kSuccess;
}

int standinCheckRange(const char* what, const void* address, size_t bytes) {
  Driver& driver = Driver::get();
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  const auto device = reinterpret_cast<DevicePointer>(address);
  if (driver.device.contains(device, bytes)) {
    return 1;
  }
  fprintf(stderr, "[standin] %s: %s\n", what, driver.device.describe(device, bytes).c_str());
  return 0;
}
