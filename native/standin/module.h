// Modules: PTX images, and the libraries that were translated from them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "abi.h"
#include "image.h"
#include "simt.h"

namespace standin {

struct Function {
  const Kernel* kernel;
  const PtxEntry* entry;
  struct Module* module;
  unsigned maxDynamicBytes;
};

struct Module {
  PtxImage image;
  std::vector<std::unique_ptr<Function>> functions;
};

constexpr unsigned kSharedBytes = 48 * 1024;        // of a block, unless it asks for more
constexpr unsigned kSharedBytesOptin = 227 * 1024;  // at most

// All functions are called under the driver's lock.
class Modules {
 public:
  // `message` becomes the reason of a failure.
  Result load(const void* image, Module** module, std::string* message);
  Result unload(Module* module);
  void clear() { modules_.clear(); }

  Result function(Module* module, const char* name, Function** function) const;
  bool isFunction(const Function* function) const;

 private:
  bool isModule(const Module* module) const;

  std::vector<std::unique_ptr<Module>> modules_;
};

// STANDIN_CAPABILITY as 10·major + minor; 90 unless set.
unsigned capability();

// STANDIN_DRIVER_VERSION as 1000·major + 10·minor; 12000 unless set.
int driverVersion();

}  // namespace standin
