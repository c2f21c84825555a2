// What AddressSanitizer and ThreadSanitizer must be told about fibers. The symbols are weak: they are there if the
// process runs under the sanitizer, so that one build of the stand-in serves all runs. It must not be built with
// -fsanitize=thread itself, since its switching between fibers isn't what is to be examined.
#pragma once

#include <cstddef>

extern "C" {
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void __tsan_acquire(void* address);
__attribute__((weak)) void __tsan_release(void* address);
__attribute__((weak)) void AnnotateIgnoreReadsBegin(const char* file, int line);
__attribute__((weak)) void AnnotateIgnoreReadsEnd(const char* file, int line);
__attribute__((weak)) void AnnotateIgnoreWritesBegin(const char* file, int line);
__attribute__((weak)) void AnnotateIgnoreWritesEnd(const char* file, int line);
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fakeStack, const void* bottom, size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fakeStack, const void** oldBottom, size_t* oldSize);
__attribute__((weak)) void __asan_init();
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* address, size_t size);
}

namespace standin {

inline bool underThreadSanitizer() { return __tsan_create_fiber != nullptr; }

inline bool underAddressSanitizer() { return __asan_init != nullptr; }

// All that happened before tsanRelease(x) happened before what follows tsanAcquire(x).
inline void tsanAcquire(void* address) {
  if (underThreadSanitizer()) {
    __tsan_acquire(address);
  }
}

inline void tsanRelease(void* address) {
  if (underThreadSanitizer()) {
    __tsan_release(address);
  }
}

// While it lives, ThreadSanitizer doesn't look at what the runtime does on a fiber: it would see calls to memcpy and
// new even in code that isn't instrumented. There must be no switch in between.
class TsanIgnore {
 public:
  TsanIgnore() {
    if (underThreadSanitizer()) {
      AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
      AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
  }

  ~TsanIgnore() {
    if (underThreadSanitizer()) {
      AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
      AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
  }

  TsanIgnore(const TsanIgnore&) = delete;
  TsanIgnore& operator=(const TsanIgnore&) = delete;
};

}  // namespace standin
