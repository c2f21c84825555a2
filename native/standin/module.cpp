#include "module.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "settings.h"
#include "sha256.h"

namespace standin {
namespace {

constexpr char kElf[] = "\177ELF";
constexpr char kFatbin[] = "\x50\xed\x55\xba";

// Kernels of the library that is being loaded.
std::vector<const Kernel*>* registering = nullptr;

// The newest PTX that a driver reads: CUDA's release notes.
unsigned newestPtx(int driver) {
  static constexpr std::pair<int, unsigned> kVersions[] = {{11080, 78}, {12000, 80}, {12010, 81}, {12020, 82},
                                                           {12030, 83}, {12040, 84}, {12050, 85}, {12070, 86},
                                                           {12080, 87}, {12090, 88}, {13000, 90}};
  unsigned newest = 77;
  for (const auto& [version, ptx] : kVersions) {
    newest = driver >= version ? ptx : newest;
  }
  return newest;
}

// Lets libraries that are loaded later find the runtime in this library, whatever way it was loaded itself.
void makeSymbolsGlobal() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&registerKernel), &self) != 0) {
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
  }
}

using Kernels = std::vector<const Kernel*>;

// A library stays loaded: its static variables register themselves only once.
const Kernels* openLibrary(const std::string& path, std::string* message) {
  static auto* opened = new std::map<std::string, Kernels>;
  const auto found = opened->find(path);
  if (found != opened->end()) {
    return &found->second;
  }
  makeSymbolsGlobal();
  Kernels kernels;
  registering = &kernels;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  registering = nullptr;
  if (library == nullptr) {
    *message = dlerror();
    return nullptr;
  }
  return &opened->emplace(path, std::move(kernels)).first->second;
}

Result checkTarget(const PtxImage& image, std::string* message) {
  const unsigned newest = newestPtx(driverVersion());
  if (image.version > newest) {
    *message = "PTX " + std::to_string(image.version) + " is newer than this driver's " + std::to_string(newest) +
               " (both times 10)";
    return kUnsupportedPtxVersion;
  }
  if (image.exactTarget ? image.target != capability() : image.target > capability()) {
    *message = "PTX for sm_" + std::to_string(image.target) + (image.exactTarget ? "a" : "") + " on sm_" +
               std::to_string(capability());
    return kInvalidPtx;
  }
  return kSuccess;
}

Result bind(Module& module, const Kernels& kernels, std::string* message) {
  for (const PtxEntry& entry : module.image.entries) {
    const auto found = std::find_if(kernels.begin(), kernels.end(),
                                    [&entry](const Kernel* kernel) { return entry.name == kernel->name; });
    const Kernel* kernel = found == kernels.end() ? nullptr : *found;
    if (kernel == nullptr || kernel->version != kVersion ||
        !std::equal(entry.parameterBytes.begin(), entry.parameterBytes.end(), kernel->parameterBytes,
                    kernel->parameterBytes + kernel->parameters)) {
      *message = "the translated library has no kernel " + entry.name +
                 " of these parameters, or was translated for another version of the stand-in";
      return kInvalidImage;
    }
    const unsigned dynamic = kernel->sharedBytes < kSharedBytes ? kSharedBytes - kernel->sharedBytes : 0;
    module.functions.push_back(std::make_unique<Function>(Function{kernel, &entry, &module, dynamic}));
  }
  return kSuccess;
}

}  // namespace

bool registerKernel(const Kernel* kernel) {
  if (registering != nullptr) {
    registering->push_back(kernel);
  }
  return registering != nullptr;
}

unsigned capability() { return static_cast<unsigned>(setting("CAPABILITY", 90LL)); }

int driverVersion() { return static_cast<int>(setting("DRIVER_VERSION", 12000LL)); }

// Cubins and fatbins hold machine code: the answer is the one for a device that they weren't made for, so that the
// caller goes on to PTX.
Result Modules::load(const void* image, Module** result, std::string* message) {
  if (image == nullptr || result == nullptr) {
    return kInvalidValue;
  }
  if (memcmp(image, kElf, 4) == 0 || memcmp(image, kFatbin, 4) == 0) {
    *message = "the stand-in runs no machine code, only PTX";
    return kNoBinaryForGpu;
  }
  std::optional<PtxImage> ptx = readPtx(static_cast<const char*>(image));
  if (!ptx) {
    *message = "the image is no PTX";
    return kInvalidImage;
  }
  if (const Result target = checkTarget(*ptx, message); target != kSuccess) {
    return target;
  }
  const std::string file = setting("KERNELS") + "/" + sha256(ptx->text).substr(0, 16) + ".so";
  const Kernels* kernels = openLibrary(file, message);
  if (kernels == nullptr) {
    *message = "the PTX has no translation that can be loaded: " + *message;
    return kNoBinaryForGpu;
  }
  auto module = std::make_unique<Module>(Module{std::move(*ptx), {}});
  if (const Result bound = bind(*module, *kernels, message); bound != kSuccess) {
    return bound;
  }
  *result = module.get();
  modules_.push_back(std::move(module));
  return kSuccess;
}

Result Modules::unload(Module* module) {
  if (!isModule(module)) {
    return kInvalidHandle;
  }
  std::erase_if(modules_, [module](const auto& one) { return one.get() == module; });
  return kSuccess;
}

bool Modules::isModule(const Module* module) const {
  return std::any_of(modules_.begin(), modules_.end(), [module](const auto& one) { return one.get() == module; });
}

Result Modules::function(Module* module, const char* name, Function** result) const {
  if (!isModule(module)) {
    return kInvalidHandle;
  }
  for (const auto& function : module->functions) {
    if (function->entry->name == name) {
      *result = function.get();
      return kSuccess;
    }
  }
  return kNotFound;
}

bool Modules::isFunction(const Function* function) const {
  return std::any_of(modules_.begin(), modules_.end(), [function](const auto& module) {
    return std::any_of(module->functions.begin(), module->functions.end(),
                       [function](const auto& one) { return one.get() == function; });
  });
}

}  // namespace standin
