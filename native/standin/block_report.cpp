// What is said of a launch that failed.
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>

#include "block.h"
#include "text.h"

namespace standin {

std::string format(const char* pattern, ...) {
  char text[600];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

namespace {

// Function and offset, which addr2line turns into a line of the .cu file.
std::string place(const void* address) {
  Dl_info info;
  if (address == nullptr || dladdr(address, &info) == 0) {
    return "?";
  }
  return format("%s+0x%lx", info.dli_sname == nullptr ? "?" : info.dli_sname,
                static_cast<unsigned long>(static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase)));
}

}  // namespace

// What lies on the fiber is never destroyed, so that nothing there may own memory.
void BlockRunner::fail(std::string message) {
  if (failure_.empty()) {
    const Dim& block = block_.ctaid;
    const Dim& thread = cur->tid;
    failure_ = format("block (%u, %u, %u), thread (%u, %u, %u): ", block.x, block.y, block.z, thread.x, thread.y,
                      thread.z) +
               message;
  }
  std::string().swap(message);
  while (true) {
    running_->leave(host_);  // never to be resumed
  }
}

std::string BlockRunner::deadlock() const {
  unsigned yielding = 0;
  std::string text;
  for (unsigned id = 0; id < std::size(barriers_); id++) {
    unsigned waiting = 0;
    const Thread* one = nullptr;
    for (const Thread& thread : threads_) {
      if (thread.state == kAtBarrier && thread.barrierId == id) {
        waiting++;
        one = &thread;
      }
    }
    if (waiting > 0) {
      const unsigned expected = barriers_[id].expected == 0 ? live_ : barriers_[id].expected;
      const char* kind = id < 16 ? "barrier" : "the wgmma of warpgroup";
      text += format("; %u threads wait at %s %u for %u (%s)", waiting, kind, id % 16, expected,
                     place(one->where).c_str());
    }
  }
  for (size_t w = 0; w < warps_.size(); w++) {
    for (unsigned i = 0; i < warps_[w].masks; i++) {
      const Warp::Rendezvous& meeting = warps_[w].rendezvous[i];
      if (meeting.arrived != 0) {
        const Thread& one = threads_[w * kWarp + static_cast<unsigned>(__builtin_ctz(meeting.arrived))];
        text += format("; in warp %zu a collective with mask 0x%08x lacks lanes 0x%08x (%s)", w, meeting.mask,
                       meeting.mask & ~meeting.arrived, place(one.where).c_str());
      }
    }
    if (text.size() > 2000) {
      text += "; …";
      break;
    }
  }
  for (const Thread& thread : threads_) {
    yielding += thread.state == kYielded;
  }
  if (yielding > 0) {
    text += format("; %u threads spin", yielding);
  }
  return format("deadlock in block (%u, %u, %u), %u of %u threads have exited", block_.ctaid.x, block_.ctaid.y,
                block_.ctaid.z, block_.threads - live_, block_.threads) +
         text;
}

}  // namespace standin
