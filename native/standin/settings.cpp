#include "settings.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

namespace standin {
namespace {

std::mutex mutex;

std::map<std::string, std::string>& replaced() {
  static auto* values = new std::map<std::string, std::string>;
  return *values;
}

}  // namespace

std::string setting(const char* name) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto value = replaced().find(name);
    if (value != replaced().end()) {
      return value->second;
    }
  }
  const char* value = getenv((std::string("STANDIN_") + name).c_str());
  return value == nullptr ? "" : value;
}

long long setting(const char* name, long long otherwise) {
  const std::string value = setting(name);
  if (value.empty()) {
    return otherwise;
  }
  char* end = nullptr;
  const long long number = strtoll(value.c_str(), &end, 0);
  if (*end != '\0') {
    badSetting(name, value);
  }
  return number;
}

bool enabled(const char* name) { return setting(name, 0LL) != 0; }

void badSetting(const char* name, const std::string& value) {
  fprintf(stderr, "[standin] STANDIN_%s=%s means nothing\n", name, value.c_str());
  abort();
}

}  // namespace standin

void standinConfigure(const char* name, const char* value) {
  const std::lock_guard<std::mutex> lock(standin::mutex);
  if (value == nullptr) {
    standin::replaced().erase(name);
  } else {
    standin::replaced()[name] = value;
  }
}
