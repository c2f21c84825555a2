// libcuda: streams and events.
#include "driver.h"

using namespace standin;

#define API extern "C" STANDIN_API int

namespace {

constexpr unsigned kEventDisableTiming = 2;

Streams& streams() { return Driver::get().streams; }

Result record(Event* event, Stream* handle) {
  Stream* stream = streams().find(handle);
  if (stream == nullptr || !streams().isEvent(event)) {
    return kInvalidHandle;
  }
  streams().record(stream, event);
  return kSuccess;
}

}  // namespace

// ---- streams

API cuStreamCreate(Stream** stream, unsigned flags) {
  STANDIN_ENTER(kContext);
  if (flags > 1) {
    return kInvalidValue;
  }
  *stream = streams().create(flags, 0);
  return kSuccess;
}

API cuStreamCreateWithPriority(Stream** stream, unsigned flags, int priority) {
  STANDIN_ENTER(kContext);
  if (flags > 1) {
    return kInvalidValue;
  }
  *stream = streams().create(flags, priority);
  return kSuccess;
}

API cuStreamDestroy_v2(Stream* handle) {
  STANDIN_ENTER(kContext);
  Stream* stream = streams().find(handle);
  if (stream == nullptr || stream != handle) {  // the default stream can't be destroyed
    return kInvalidHandle;
  }
  streams().destroy(stream);
  return kSuccess;
}

API cuStreamGetFlags(Stream* handle, unsigned* flags) {
  STANDIN_ENTER(kContext);
  const Stream* stream = streams().find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  *flags = stream->flags;
  return kSuccess;
}

API cuStreamGetPriority(Stream* handle, int* priority) {
  STANDIN_ENTER(kContext);
  const Stream* stream = streams().find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  *priority = stream->priority;
  return kSuccess;
}

API cuStreamGetCtx(Stream* handle, Context** context) {
  STANDIN_ENTER(kContext);
  *context = currentContext();
  return streams().find(handle) == nullptr ? kInvalidHandle : kSuccess;
}

API cuStreamSynchronize(Stream* handle) {
  STANDIN_ENTER(kContext);
  Stream* stream = streams().find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  streams().finish(stream);
  return streams().failure();
}

API cuStreamQuery(Stream* handle) {
  STANDIN_ENTER(kContext);
  Stream* stream = streams().find(handle);
  if (stream == nullptr) {
    return kInvalidHandle;
  }
  const bool done = streams().poll(stream);
  return streams().failure() != kSuccess ? streams().failure() : done ? kSuccess : kNotReady;
}

API cuStreamWaitEvent(Stream* handle, Event* event, unsigned) {
  STANDIN_ENTER(kContext);
  Stream* stream = streams().find(handle);
  if (stream == nullptr || !streams().isEvent(event)) {
    return kInvalidHandle;
  }
  streams().waitFor(stream, event);
  return kSuccess;
}

// ---- events

API cuEventCreate(Event** event, unsigned flags) {
  STANDIN_ENTER(kContext);
  *event = streams().createEvent(flags);
  return kSuccess;
}

API cuEventDestroy_v2(Event* event) {
  STANDIN_ENTER(kContext);
  if (!streams().isEvent(event)) {
    return kInvalidHandle;
  }
  streams().destroyEvent(event);
  return kSuccess;
}

API cuEventRecord(Event* event, Stream* stream) {
  STANDIN_ENTER(kContext);
  return record(event, stream);
}

API cuEventRecordWithFlags(Event* event, Stream* stream, unsigned) {
  STANDIN_ENTER(kContext);
  return record(event, stream);
}

API cuEventSynchronize(Event* event) {
  STANDIN_ENTER(kContext);
  if (!streams().isEvent(event)) {
    return kInvalidHandle;
  }
  streams().finish(event);
  return streams().failure();
}

API cuEventQuery(Event* event) {
  STANDIN_ENTER(kContext);
  if (!streams().isEvent(event)) {
    return kInvalidHandle;
  }
  const bool done = streams().poll(event);
  return streams().failure() != kSuccess ? streams().failure() : done ? kSuccess : kNotReady;
}

// Nothing is timed on the stand-in: a figure from it could be taken for a device's.
API cuEventElapsedTime(float*, Event* start, Event* end) {
  STANDIN_ENTER(kContext);
  if (!streams().isEvent(start) || !streams().isEvent(end) || start->mark == nullptr || end->mark == nullptr ||
      ((start->flags | end->flags) & kEventDisableTiming) != 0) {
    return kInvalidHandle;
  }
  if (!start->mark->done || !end->mark->done) {
    return kNotReady;
  }
  return call.refuse(kNotSupported, "the stand-in measures no time");
}
