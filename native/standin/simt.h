// The CPU stand-in's model of a GPU, as seen by a kernel that was translated from PTX to C++.
//
// A CUDA thread is a fiber. All threads of a block run on one OS thread and switch only where the kernel waits: at a
// barrier, in a warp collective, or in yield(). So shared memory needs no atomics; global memory does, since other
// blocks run on other OS threads.
//
// A translated kernel is `extern "C" void NAME(void** parameters)`, executed once a thread. It finds itself in `cur`
// and its block in `blk`. Shared memory is `blk->shared`: the kernel's static variables first, then dynamic memory.
// Fresh shared memory is 0xFF bytes (NaN), so that a read before a write shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#define STANDIN_API __attribute__((visibility("default")))

namespace standin {

struct Dim {
  unsigned x, y, z;
};

// What one lane brings into a warp collective.
struct Payload {
  uint32_t w[16];
};

// What cuTensorMapEncodeTiled writes into the 128 bytes of a CUtensorMap.
struct TensorMap {
  static constexpr uint32_t kMagic = 0x70616d54;

  uint32_t magic;
  uint32_t rank;
  uint32_t elementBytes;
  uint32_t swizzle;  // 0 none, 1: 32 bytes, 2: 64 bytes, 3: 128 bytes
  uint64_t address;
  uint64_t size[5];    // elements; [0] is the innermost dimension
  uint64_t stride[5];  // bytes; [0] is elementBytes
  uint32_t box[5];     // elements
  uint32_t nanFill;    // 1: elements outside the tensor become NaN instead of 0
};
static_assert(sizeof(TensorMap) == 128, "a CUtensorMap has 128 bytes");

// Asynchronous operations of one thread, in groups that complete in order. What was added since the last commit
// belongs to the next group.
template <class T>
class Groups {
 public:
  bool empty() const { return items_.empty(); }
  void add(const T& item) { items_.push_back(item); }
  void commit() { ends_.push_back(items_.size()); }

  // Completes all groups but the `pending` youngest: calls complete(item) for each of their operations.
  template <class Complete>
  void wait(size_t pending, Complete complete) {
    if (ends_.size() <= pending) {
      return;
    }
    const size_t groups = ends_.size() - pending;
    const size_t done = ends_[groups - 1];
    for (size_t i = 0; i < done; i++) {
      complete(items_[i]);
    }
    items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(done));
    ends_.erase(ends_.begin(), ends_.begin() + static_cast<ptrdiff_t>(groups));
    for (size_t& end : ends_) {
      end -= done;
    }
  }

 private:
  std::vector<T> items_;
  std::vector<size_t> ends_;
};

// cp.async: bytes 0 … sourceBytes−1 come from the source, the rest of the destination becomes 0.
struct AsyncCopy {
  unsigned char* destination;
  const unsigned char* source;
  unsigned bytes;
  unsigned sourceBytes;
};

// cp.async.bulk: a tile of a tensor (map.magic is set) or plain bytes (map.magic is 0).
struct BulkCopy {
  uint64_t shared;   // address in shared memory
  uint64_t global;   // address in global memory, of plain bytes
  uint32_t bytes;    // of plain bytes
  uint64_t barrier;  // address of the mbarrier that counts the bytes; 0 for a store
  TensorMap map;
  int32_t coordinate[5];
};

// Shared memory that an asynchronous instruction (wgmma) reads until its group is waited for.
struct PendingRead {
  const unsigned char* address;
  size_t bytes;
  uint64_t checksum;
};

// A thread's asynchronous operations. They have the latest effect that PTX allows: at the wait. A thread must not
// exit with bulk stores that it has not waited for.
struct AsyncState {
  Groups<AsyncCopy> copies;
  Groups<BulkCopy> bulkStores;
  Groups<PendingRead> reads;
  bool registersFenced = false;  // by wgmma.fence
};

struct Warp;

struct Thread {
  Dim tid;
  unsigned linear;    // tid.x + ntid.x · (tid.y + ntid.y · tid.z)
  unsigned lane;      // linear mod 32
  Warp* warp;         // the runtime's
  AsyncState* async;  // made by async(), deleted when the thread ends
  const void* where;  // return address of the last wait, for reports
  unsigned state;     // the scheduler's, like those below
  unsigned barrierId;
  int reduced;
};

struct Block {
  Dim ctaid, ntid, nctaid;
  unsigned threads;
  const char* kernel;
  unsigned char* shared;  // 1024-byte aligned
  size_t sharedBytes;     // static and dynamic
  size_t dynamicBytes;
};

// Initial-exec: fibers never leave their OS thread, and two pointers fit any process's static TLS.
extern STANDIN_API __thread Thread* cur __attribute__((tls_model("initial-exec")));
extern STANDIN_API __thread Block* blk __attribute__((tls_model("initial-exec")));

// ---- waiting

// bar.sync id {, threads}. threads == 0: all threads of the block that have not exited.
STANDIN_API void barrier(unsigned id = 0, unsigned threads = 0);

// bar.arrive id, threads: counts without waiting.
STANDIN_API void barrierArrive(unsigned id, unsigned threads);

// Waits for the 128 threads of this thread's warpgroup: wgmma is one instruction of all of them.
STANDIN_API void warpgroupMeet();

enum class Reduction { kCount, kAnd, kOr };

// bar.red: the number of true predicates, or 0 or 1.
STANDIN_API int barrierReduce(Reduction kind, bool predicate, unsigned id = 0, unsigned threads = 0);

// Waits for all lanes of `mask`; returns the payloads of the warp, valid for the lanes of the mask and until this
// lane's next collective. All lanes must bring the same operation, a number that the caller chooses.
STANDIN_API const Payload* collective(uint32_t mask, int operation, const Payload& mine);

// Lanes of this warp that have not exited.
STANDIN_API uint32_t activeMask();

// Lets the other threads of the block run: what a loop must call that waits for memory to change. Fails the launch
// if nothing but such loops has run for very long.
STANDIN_API void yield();

// Tells that what such a loop waited for has happened.
STANDIN_API void progress();

// Ends the launch with CUDA_ERROR_LAUNCH_FAILED; the message goes to stderr with kernel, block and thread.
[[noreturn]] STANDIN_API void fail(const char* message);

// ---- mbarrier: 8 bytes of shared memory. Phases are known by their parity; the first has parity 0.

STANDIN_API void mbarrierInit(uint64_t address, uint32_t count);
STANDIN_API void mbarrierInvalidate(uint64_t address);

// The current phase completes when all its arrivals have come and as many bytes as are expected.
STANDIN_API void mbarrierExpect(uint64_t address, uint32_t bytes);
STANDIN_API void mbarrierComplete(uint64_t address, uint32_t bytes);

// Returns the state before the arrival, whose lowest bit is the parity of the phase.
STANDIN_API uint64_t mbarrierArrive(uint64_t address, uint32_t count);

// True if the phase of this parity is over. Doesn't wait: a waiting loop delivers bulk loads and yields.
STANDIN_API bool mbarrierTest(uint64_t address, uint32_t parity);

// ---- bulk loads in flight to this block's shared memory

STANDIN_API void bulkLoadIssue(const BulkCopy& load);

// Takes one of those that report to a barrier; false if there is none. Who takes it copies the bytes and calls
// mbarrierComplete. None may be left when the block ends.
STANDIN_API bool bulkLoadTake(uint64_t barrier, BulkCopy* load);

// ---- asynchronous operations. Inline, so that sanitizers see the accesses in the kernel that makes them.

inline AsyncState& async() {
  if (cur->async == nullptr) {
    cur->async = new AsyncState;
  }
  return *cur->async;
}

// cp.async. The destination holds garbage until the wait: neither its old nor its new content may be relied on.
inline void cp_issue(void* destination, const void* source, unsigned bytes, unsigned sourceBytes) {
  const uint64_t address = reinterpret_cast<uint64_t>(destination) | reinterpret_cast<uint64_t>(source);
  if ((address & (bytes - 1)) != 0) {
    fail("cp.async: misaligned address");
  }
  memset(destination, 0xFF, bytes);
  async().copies.add({static_cast<unsigned char*>(destination), static_cast<const unsigned char*>(source), bytes,
                      sourceBytes});
}

inline void cp_commit_group() { async().copies.commit(); }

inline void cp_wait_group(size_t pending) {
  async().copies.wait(pending, [](const AsyncCopy& copy) {
    memcpy(copy.destination, copy.source, copy.sourceBytes);
    memset(copy.destination + copy.sourceBytes, 0, copy.bytes - copy.sourceBytes);
  });
}

inline void cp_wait_all() {
  cp_commit_group();
  cp_wait_group(0);
}

inline uint64_t checksum(const unsigned char* bytes, size_t count) {  // FNV-1a
  uint64_t sum = 0xcbf29ce484222325;
  for (size_t i = 0; i < count; i++) {
    sum = (sum ^ bytes[i]) * 0x100000001b3;
  }
  return sum;
}

// Notes that an asynchronous instruction reads these bytes; read_wait_group fails if they have changed since.
inline void read_issue(const void* address, size_t bytes) {
  const auto* start = static_cast<const unsigned char*>(address);
  async().reads.add({start, bytes, checksum(start, bytes)});
}

inline void read_commit_group() { async().reads.commit(); }

inline void read_wait_group(size_t pending) {
  async().reads.wait(pending, [](const PendingRead& read) {
    if (checksum(read.address, read.bytes) != read.checksum) {
      fail("shared memory was overwritten while an asynchronous instruction read it");
    }
  });
}

// ---- mutations

// The barriers of a module that STANDIN_REMOVE leaves out, so that one sees whether a test notices.
class RemovedBarriers {
 public:
  STANDIN_API explicit RemovedBarriers(const char* module);
  STANDIN_API bool operator[](long barrier) const;

 private:
  struct Numbers;

  const char* module_;
  Numbers* numbers_;
};

// ---- registration

// Changes whenever the structs above do: a library translated for another version is refused.
constexpr unsigned kVersion = 2;

struct Kernel {
  const char* name;
  void (*entry)(void** parameters);
  unsigned parameters;
  const unsigned* parameterBytes;
  unsigned sharedBytes;  // of static shared variables: the offset at which dynamic shared memory starts
  unsigned version = kVersion;
};

// Called while the library of a module is loaded: static const bool registered = registerKernel(&kernel);
STANDIN_API bool registerKernel(const Kernel* kernel);

}  // namespace standin
