// libcuda: launches.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "driver.h"
#include "grid.h"
#include "settings.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

constexpr size_t kParameterAlignment = 128;

Driver& driver() { return Driver::get(); }

// A kernel's arguments, copied when it is launched, as the driver does.
class Arguments {
 public:
  Arguments(const PtxEntry& entry, void** values) : bytes_(entry.parameterBytes) {
    size_t size = 0;
    for (const unsigned bytes : bytes_) {
      offsets_.push_back(size);
      size += (bytes + kParameterAlignment - 1) / kParameterAlignment * kParameterAlignment;
    }
    copy_.reset(static_cast<char*>(aligned_alloc(kParameterAlignment, std::max(size, kParameterAlignment))), free);
    for (size_t i = 0; i < bytes_.size(); i++) {
      memcpy(copy_.get() + offsets_[i], values[i], bytes_[i]);
    }
  }

  std::vector<void*> pointers() const {
    std::vector<void*> pointers;
    for (const size_t offset : offsets_) {
      pointers.push_back(copy_.get() + offset);
    }
    return pointers;
  }

  // "" or which argument is the address of freed memory.
  std::string freedMemory() const {
    for (size_t i = 0; i < bytes_.size(); i++) {
      if (bytes_[i] != sizeof(DevicePointer)) {
        continue;
      }
      DevicePointer value;
      memcpy(&value, copy_.get() + offsets_[i], sizeof value);
      if (driver().device.freed(value) && !driver().device.find(value)) {
        return "argument " + std::to_string(i) + " points to freed memory";
      }
    }
    return "";
  }

 private:
  std::vector<unsigned> bytes_;
  std::vector<size_t> offsets_;
  std::shared_ptr<char> copy_;
};

void trace(const Kernel& kernel, Dim grid, Dim block, unsigned dynamicBytes) {
  if (enabled("TRACE")) {
    fprintf(stderr, "[standin] %s grid (%u, %u, %u) block (%u, %u, %u) dynamic shared %u\n", kernel.name, grid.x, grid.y,
            grid.z, block.x, block.y, block.z, dynamicBytes);
  }
}

Result fail(Result result, const std::string& reason) {
  driver().launchFailure = reason;
  fprintf(stderr, "[standin] %s\n", reason.c_str());
  return result;
}

// Runs the kernel now.
Result execute(const Kernel& kernel, Dim grid, Dim block, unsigned dynamicBytes, const Arguments& arguments) {
  trace(kernel, grid, block, dynamicBytes);
  const std::string name = std::string("kernel ") + kernel.name;
  if (Result injected; injectFailure(std::string("kernel:") + kernel.name, kLaunchFailed, &injected)) {
    return fail(injected, name + " failed as STANDIN_FAIL asks for");
  }
  if (const std::string freed = arguments.freedMemory(); !freed.empty()) {
    return fail(kIllegalAddress, name + ": " + freed);
  }
  std::vector<void*> pointers = arguments.pointers();
  pointers.push_back(nullptr);
  if (const std::string failure = runGrid(kernel, grid, block, dynamicBytes, pointers.data()); !failure.empty()) {
    const bool address = failure.find("no memory of the device") != std::string::npos;
    return fail(address ? kIllegalAddress : kLaunchFailed, failure);
  }
  if (const std::string damage = driver().device.damage(); !damage.empty()) {
    return fail(kIllegalAddress, "when kernel " + std::string(kernel.name) + " had run, " + damage);
  }
  return kSuccess;
}

Result checkShape(const Call& call, const Function& function, Dim grid, Dim block, unsigned dynamicBytes) {
  const uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0 || grid.x > 2147483647 || grid.y > 65535 ||
      grid.z > 65535 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024) {
    return call.refuse(kInvalidValue, std::string("impossible grid or block for kernel ") + function.kernel->name);
  }
  if (threads > function.entry->maxThreads) {
    return call.refuse(kInvalidValue, std::to_string(threads) + " threads are more than the launch bounds of kernel " +
                                          function.kernel->name);
  }
  if (dynamicBytes > function.maxDynamicBytes) {
    return call.refuse(kInvalidValue, std::to_string(dynamicBytes) + " bytes of dynamic shared memory for kernel " +
                                          function.kernel->name + ", which may have " +
                                          std::to_string(function.maxDynamicBytes));
  }
  return kSuccess;
}

Result launch(const Call& call, const Function* function, Dim grid, Dim block, unsigned dynamicBytes, Stream* handle,
              void** arguments, void** extra) {
  Stream* stream = driver().streams.find(handle);
  if (stream == nullptr || !driver().modules.isFunction(function)) {
    return kInvalidHandle;
  }
  if (extra != nullptr) {
    return call.refuse(kNotSupported, "arguments as a buffer");
  }
  if (arguments == nullptr && function->kernel->parameters > 0) {
    return kInvalidValue;
  }
  if (const Result bad = checkShape(call, *function, grid, block, dynamicBytes); bad != kSuccess) {
    return bad;
  }
  // The kernel's library stays loaded, even if the module is gone when the work is done.
  driver().streams.submit(stream, [=, kernel = function->kernel, copy = Arguments(*function->entry, arguments)] {
    return execute(*kernel, grid, block, dynamicBytes, copy);
  });
  return kSuccess;
}

}  // namespace

API cuLaunchKernel(const Function* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                   unsigned blockY, unsigned blockZ, unsigned dynamicBytes, Stream* stream, void** arguments,
                   void** extra) {
  STANDIN_ENTER(kContext);
  return launch(call, function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, dynamicBytes, stream, arguments,
                extra);
}

// Blocks of a cluster would share memory: clusters of one block are all there is.
API cuLaunchKernelEx(const LaunchConfig* config, const Function* function, void** arguments, void** extra) {
  STANDIN_ENTER(kContext);
  for (unsigned i = 0; i < config->attributeCount; i++) {
    const LaunchAttribute& attribute = config->attributes[i];
    const bool oneBlock = attribute.value[0] == 1 && attribute.value[1] == 1 && attribute.value[2] == 1;
    const bool harmless = attribute.id == kLaunchIgnore || attribute.id == kLaunchAccessPolicyWindow ||
                          attribute.id == kLaunchPriority || attribute.id == kLaunchProgrammaticStreamSerialization ||
                          (attribute.id == kLaunchClusterDimension && oneBlock);
    if (!harmless) {
      return call.refuse(kNotSupported, "launch attribute " + std::to_string(attribute.id));
    }
  }
  return launch(call, function, {config->gridX, config->gridY, config->gridZ},
                {config->blockX, config->blockY, config->blockZ}, config->sharedBytes, config->stream, arguments, extra);
}
