// SHA-256 (FIPS 180-4): names translated libraries by the PTX that they were made from.
#pragma once

#include <string>
#include <string_view>

namespace standin {

// 64 hexadecimal digits, lower case.
std::string sha256(std::string_view bytes);

}  // namespace standin
