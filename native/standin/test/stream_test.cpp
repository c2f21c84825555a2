// Streams and events, eager and lazy: what has happened at which call.
#include "gpu.h"

namespace {

constexpr unsigned kCount = 256;

struct Pinned {
  explicit Pinned(float value) {
    void* memory = nullptr;
    Gpu::require(cuMemHostAlloc(&memory, kCount * sizeof(float), 0));
    values = static_cast<float*>(memory);
    for (unsigned i = 0; i < kCount; i++) {
      values[i] = value;
    }
  }
  float* values;
};

CUstr* newStream(unsigned flags) {
  CUstr* stream = nullptr;
  Gpu::require(cuStreamCreate(&stream, flags));
  return stream;
}

constexpr unsigned kBlocking = 0;
constexpr unsigned kNonBlocking = 1;

CUev* newEvent() {
  CUev* event = nullptr;
  Gpu::require(cuEventCreate(&event, 0));
  return event;
}

int scale(const Gpu& gpu, CUstr* stream, DevicePointer values, float factor) {
  return gpu.launchOn(stream, "scale", {1, 1, 1}, {kCount, 1, 1}, 0, values, kCount, factor);
}

size_t bytes() { return kCount * sizeof(float); }

void eagerWorkIsDoneAtOnce() {
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(kCount, 2));
  const Pinned result(0);
  CUstr* stream = newStream(kNonBlocking);
  CHECK_EQUAL(0, scale(gpu, stream, values, 3));
  CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(result.values, values, bytes(), stream));
  CHECK_EQUAL(6.0f, result.values[0]);
}

void lazyWorkIsDoneWhenItIsWaitedFor() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(kCount, 2));
  const Pinned result(0);
  CUstr* stream = newStream(kNonBlocking);
  CHECK_EQUAL(0, scale(gpu, stream, values, 3));
  CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(result.values, values, bytes(), stream));
  CHECK_EQUAL(0.0f, result.values[0]);
  CHECK_EQUAL(0, cuStreamSynchronize(newStream(kNonBlocking)));  // another stream's work
  CHECK_EQUAL(0.0f, result.values[0]);
  CHECK_EQUAL(0, cuStreamSynchronize(stream));
  CHECK_EQUAL(6.0f, result.values[kCount - 1]);
}

void argumentsAreCopiedAtTheLaunch() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  DevicePointer values = gpu.upload(std::vector<float>(kCount, 2));
  const DevicePointer kept = values;
  unsigned count = kCount;
  float factor = 5;
  void* pointers[] = {&values, &count, &factor};
  CHECK_EQUAL(0, cuLaunchKernel(gpu.function("scale"), 1, 1, 1, kCount, 1, 1, 0, nullptr, pointers, nullptr));
  values = 0;
  factor = 7;
  CHECK_EQUAL(10.0f, gpu.download<float>(kept, kCount)[3]);
}

void pinnedMemoryIsReadInStreamOrder() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(kCount, 0));
  CUstr* stream = newStream(kNonBlocking);

  const Pinned pinned(1);
  CHECK_EQUAL(0, cuMemcpyHtoDAsync_v2(values, pinned.values, bytes(), stream));
  pinned.values[0] = 9;  // too early: the copy is still to come
  CHECK_EQUAL(0, cuStreamSynchronize(stream));
  CHECK_EQUAL(9.0f, gpu.download<float>(values, 1)[0]);

  std::vector<float> pageable(kCount, 1);
  CHECK_EQUAL(0, cuMemcpyHtoDAsync_v2(values, pageable.data(), bytes(), stream));
  pageable[0] = 9;  // allowed: pageable memory has been staged
  CHECK_EQUAL(0, cuStreamSynchronize(stream));
  CHECK_EQUAL(1.0f, gpu.download<float>(values, 1)[0]);

  CHECK_EQUAL(0, scale(gpu, stream, values, 4));
  CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(pageable.data(), values, bytes(), stream));  // waits
  CHECK_EQUAL(4.0f, pageable[0]);

  CHECK_EQUAL(0, cuMemHostRegister_v2(pageable.data(), bytes(), 0));
  CHECK_EQUAL(712, cuMemHostRegister_v2(pageable.data() + 5, 8, 0));
  CHECK_EQUAL(0, scale(gpu, stream, values, 4));
  CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(pageable.data(), values, bytes(), stream));
  CHECK_EQUAL(4.0f, pageable[0]);  // pinned by now
  CHECK_EQUAL(0, cuMemHostUnregister(pageable.data()));
  CHECK_EQUAL(16.0f, pageable[0]);
  CHECK_EQUAL(713, cuMemHostUnregister(pageable.data()));
}

void eventsOrderStreams() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(kCount, 0));
  const Pinned ones(1);
  const Pinned result(0);
  CUstr* upload = newStream(kNonBlocking);
  CUstr* compute = newStream(kNonBlocking);
  CUev* uploaded = newEvent();
  CHECK_EQUAL(0, cuMemcpyHtoDAsync_v2(values, ones.values, bytes(), upload));
  CHECK_EQUAL(0, cuEventRecord(uploaded, upload));
  CHECK_EQUAL(0, scale(gpu, upload, values, 100));  // after the event: not waited for
  CHECK_EQUAL(0, cuStreamWaitEvent(compute, uploaded, 0));
  CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(result.values, values, bytes(), compute));
  CHECK_EQUAL(0, cuEventRecord(uploaded, compute));  // recorded anew: the wait keeps the old record
  CHECK_EQUAL(0, cuStreamSynchronize(compute));
  CHECK_EQUAL(1.0f, result.values[0]);
  CHECK_EQUAL(0, cuStreamSynchronize(upload));
  CHECK_EQUAL(100.0f, gpu.download<float>(values, 1)[0]);
}

void withoutAnEventOldDataIsRead() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(kCount, 0));
  const Pinned ones(1);
  const Pinned result(0);
  CUstr* upload = newStream(kNonBlocking);
  CUstr* compute = newStream(kNonBlocking);
  CHECK_EQUAL(0, cuMemcpyHtoDAsync_v2(values, ones.values, bytes(), upload));
  CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(result.values, values, bytes(), compute));
  CHECK_EQUAL(0, cuStreamSynchronize(compute));
  CHECK_EQUAL(0.0f, result.values[0]);
}

void queriesEndAPollingLoop() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  const DevicePointer values = gpu.upload(std::vector<float>(kCount, 2));
  CUstr* stream = newStream(kNonBlocking);
  CUev* event = newEvent();
  CHECK_EQUAL(0, cuEventQuery(event));  // never recorded
  CHECK_EQUAL(0, scale(gpu, stream, values, 3));
  CHECK_EQUAL(0, cuEventRecord(event, stream));
  CHECK_EQUAL(600, cuEventQuery(event));
  unsigned polls = 1;
  while (cuEventQuery(event) == 600 && polls < 100) {
    polls++;
  }
  CHECK(polls < 100);
  CHECK_EQUAL(0, cuStreamQuery(stream));
  float milliseconds = 0;
  CHECK_EQUAL(801, cuEventElapsedTime(&milliseconds, event, event));
}

void theDefaultStreamOrdersBlockingStreams() {
  const With lazy("STREAMS", "lazy");
  const Gpu gpu;
  for (const unsigned flags : {kBlocking, kNonBlocking}) {
    const DevicePointer values = gpu.upload(std::vector<float>(kCount, 1));
    const Pinned result(0);
    CUstr* stream = newStream(flags);
    CHECK_EQUAL(0, scale(gpu, stream, values, 3));
    CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(result.values, values, bytes(), nullptr));
    CHECK_EQUAL(0, cuStreamSynchronize(nullptr));
    CHECK_EQUAL(flags == kBlocking ? 3.0f : 1.0f, result.values[0]);

    CHECK_EQUAL(0, scale(gpu, nullptr, values, 10));
    CHECK_EQUAL(0, cuMemcpyDtoHAsync_v2(result.values, values, bytes(), stream));
    CHECK_EQUAL(0, cuStreamSynchronize(stream));
    CHECK_EQUAL(flags == kBlocking ? 30.0f : 3.0f, result.values[0]);
    CHECK_EQUAL(0, cuCtxSynchronize());
    CHECK_EQUAL(0, cuStreamDestroy_v2(stream));
  }
}

void failuresShowAtTheWait() {
  for (const char* mode : {"eager", "lazy"}) {
    const With setting("STREAMS", mode);
    const Gpu gpu;
    CUstr* stream = newStream(kNonBlocking);
    const DevicePointer values = gpu.upload(std::vector<float>(kCount, 2));
    CHECK_EQUAL(0, gpu.launchOn(stream, "misbehave", {1, 1, 1}, {32, 1, 1}, 0, 7u, DevicePointer{0}));
    if (std::string(mode) == "lazy") {
      CHECK_EQUAL(0, scale(gpu, stream, values, 3));
    }
    CHECK_EQUAL(719, cuStreamSynchronize(stream));
    CHECK_EQUAL(719, cuMemsetD8_v2(values, 0, 4));
    CHECK_EQUAL(0, cuDevicePrimaryCtxReset_v2(0));
    CHECK_EQUAL(1, cuMemsetD8_v2(values, 0, 4));  // alive, and the memory is gone
  }
}

void handlesAreChecked() {
  const Gpu gpu;
  CUstr* stream = newStream(kNonBlocking);
  CUev* event = newEvent();
  CHECK_EQUAL(0, cuStreamDestroy_v2(stream));
  CHECK_EQUAL(400, cuStreamSynchronize(stream));
  CHECK_EQUAL(400, cuStreamDestroy_v2(stream));
  CHECK_EQUAL(400, cuStreamDestroy_v2(nullptr));
  CHECK_EQUAL(0, cuEventDestroy_v2(event));
  CHECK_EQUAL(400, cuEventRecord(event, nullptr));
}

}  // namespace

int main() {
  eagerWorkIsDoneAtOnce();
  lazyWorkIsDoneWhenItIsWaitedFor();
  argumentsAreCopiedAtTheLaunch();
  pinnedMemoryIsReadInStreamOrder();
  eventsOrderStreams();
  withoutAnEventOldDataIsRead();
  queriesEndAPollingLoop();
  theDefaultStreamOrdersBlockingStreams();
  failuresShowAtTheWait();
  handlesAreChecked();
  return report();
}
