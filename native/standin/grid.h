// Runs the blocks of a launch on OS threads that live as long as the process.
#pragma once

#include <string>

#include "simt.h"

namespace standin {

// "" or why the launch failed. One launch runs at a time. STANDIN_WORKERS, STANDIN_ORDER (forward, reverse, random)
// and STANDIN_SEED decide how.
std::string runGrid(const Kernel& kernel, Dim grid, Dim block, size_t dynamicBytes, void** parameters);

}  // namespace standin
