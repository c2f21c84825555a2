// Knobs of the stand-in: environment variables STANDIN_<name>, which a test may replace while it runs.
#pragma once

#include <string>

#include "simt.h"

namespace standin {

// The value of STANDIN_<name>, or "" if it isn't set.
std::string setting(const char* name);

// The same as a number. Any other value ends the process: a test whose knob is ignored proves nothing.
long long setting(const char* name, long long otherwise);

bool enabled(const char* name);

// Ends the process: the knob has a value that nobody knows.
[[noreturn]] void badSetting(const char* name, const std::string& value);

}  // namespace standin

// Replaces STANDIN_<name>; null restores the environment's value. For tests, which can't change their own environment.
extern "C" STANDIN_API void standinConfigure(const char* name, const char* value);
