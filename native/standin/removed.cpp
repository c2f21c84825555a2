// STANDIN_REMOVE: barriers that a run does without.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "settings.h"
#include "simt.h"

namespace standin {

// One barrier of one module, "pack.ptx:3", or none.
RemovedBarriers::RemovedBarriers(const char* module) : module_(module), index_(-1) {
  const std::string value = setting("REMOVE");
  const size_t colon = value.rfind(':');
  if (value.empty() || value.compare(0, colon, module) != 0) {
    return;
  }
  char* end = nullptr;
  index_ = colon == std::string::npos ? -1 : strtol(value.c_str() + colon + 1, &end, 10);
  if (index_ < 0 || *end != '\0') {
    badSetting("REMOVE", value);
  }
}

// Says so once: a run that never comes there proves nothing.
void RemovedBarriers::tell() const {
  static std::once_flag told;
  std::call_once(told, [this] { fprintf(stderr, "[standin] without %s:%ld\n", module_, index_); });
}

bool RemovedBarriers::operator[](long barrier) const {
  if (barrier != index_) {
    return false;
  }
  tell();
  return true;
}

}  // namespace standin
