// STANDIN_REMOVE: barriers that a run does without, such as "pack.ptx:3,4".
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>

#include "settings.h"
#include "simt.h"

namespace standin {

struct RemovedBarriers::Numbers {
  std::set<long> values;
};

// Of one module; none if the setting names another. Lives as long as the library that it is for: for ever.
RemovedBarriers::RemovedBarriers(const char* module) : module_(module), numbers_(new Numbers) {
  const std::string value = setting("REMOVE");
  const size_t colon = value.rfind(':');
  if (value.empty() || value.compare(0, colon, module) != 0) {
    return;
  }
  const char* at = value.c_str() + (colon == std::string::npos ? value.size() : colon);
  do {
    char* end = nullptr;
    numbers_->values.insert(strtol(at + 1, &end, 10));
    if (*at == '\0' || end == at + 1 || (*end != '\0' && *end != ',')) {
      badSetting("REMOVE", value);
    }
    at = end;
  } while (*at == ',');
}

bool RemovedBarriers::operator[](long barrier) const {
  if (numbers_->values.count(barrier) == 0) {
    return false;
  }
  // Said once: a run that never comes there proves nothing.
  static std::once_flag told;
  std::call_once(told, [this] { fprintf(stderr, "[standin] leaves out barriers of %s\n", module_); });
  return true;
}

}  // namespace standin
