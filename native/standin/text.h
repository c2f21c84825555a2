// Text for messages.
#pragma once

#include <string>

namespace standin {

// As printf; what goes beyond 600 characters is cut.
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

}  // namespace standin
