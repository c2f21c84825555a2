#include "stream.h"

#include <algorithm>
#include <cstdint>

#include "settings.h"

namespace standin {
namespace {

constexpr unsigned kNonBlocking = 1;
constexpr uintptr_t kLegacyHandle = 1;  // CU_STREAM_LEGACY

}  // namespace

bool Streams::lazy() {
  const std::string mode = setting("STREAMS");
  if (mode.empty() || mode == "eager") {
    return false;
  }
  if (mode == "lazy") {
    return true;
  }
  badSetting("STREAMS", mode);
}

Stream* Streams::find(Stream* handle) {
  if (reinterpret_cast<uintptr_t>(handle) <= kLegacyHandle) {
    return &default_;
  }
  for (const auto& stream : streams_) {
    if (stream.get() == handle) {
      return handle;
    }
  }
  return nullptr;
}

Stream* Streams::create(unsigned flags, int priority) {
  streams_.push_back(std::make_unique<Stream>(Stream{(flags & kNonBlocking) == 0, flags, priority, {}}));
  return streams_.back().get();
}

// As on a device, work that was submitted before is done.
void Streams::destroy(Stream* stream) {
  finish(stream);
  std::erase_if(streams_, [stream](const auto& one) { return one.get() == stream; });
}

Event* Streams::createEvent(unsigned flags) { return *events_.insert(new Event{flags, nullptr}).first; }

void Streams::destroyEvent(Event* event) {
  events_.erase(event);
  delete event;
}

void Streams::clear() {
  default_.tasks.clear();
  streams_.clear();
  for (Event* event : events_) {
    delete event;
  }
  events_.clear();
  failure_ = kSuccess;
}

// ---- submitting

void Streams::submit(Stream* stream, Task task) {
  orderWithDefaultStream(stream);
  push(stream, std::move(task));
}

void Streams::record(Stream* stream, Event* event) {
  orderWithDefaultStream(stream);
  event->mark = mark(stream);
}

void Streams::waitFor(Stream* stream, const Event* event) {
  if (event->mark != nullptr) {
    orderWithDefaultStream(stream);
    pushWait(stream, event->mark);
  }
}

std::shared_ptr<Mark> Streams::mark(Stream* stream) {
  auto mark = std::make_shared<Mark>(Mark{stream, false});
  push(stream, [mark] {
    mark->done = true;
    return kSuccess;
  });
  return mark;
}

void Streams::push(Stream* stream, Task task) {
  stream->tasks.push_back(std::move(task));
  if (!lazy()) {
    finish(stream);
  }
}

// The mark lies before the wait in the order of submission, so that waits can't form a circle.
void Streams::pushWait(Stream* stream, const std::shared_ptr<Mark>& mark) {
  if (!mark->done) {
    push(stream, [this, mark] {
      runTo(*mark);
      return failure_;
    });
  }
}

// The default stream waits for all blocking streams, and they wait for it.
void Streams::orderWithDefaultStream(Stream* stream) {
  if (stream != &default_) {
    if (stream->blocking && !default_.tasks.empty()) {
      pushWait(stream, mark(&default_));
    }
    return;
  }
  for (const auto& other : streams_) {
    if (other->blocking && !other->tasks.empty()) {
      pushWait(&default_, mark(other.get()));
    }
  }
}

// ---- doing

void Streams::runOne(Stream* stream) {
  const Task task = std::move(stream->tasks.front());
  stream->tasks.pop_front();
  if (failure_ == kSuccess) {
    failure_ = task();
  }
}

void Streams::runTo(const Mark& mark) {
  while (!mark.done && failure_ == kSuccess && !mark.stream->tasks.empty()) {
    runOne(mark.stream);
  }
}

void Streams::finish(Stream* stream) {
  while (!stream->tasks.empty()) {
    runOne(stream);
  }
}

void Streams::finish(const Event* event) {
  if (event->mark != nullptr) {
    runTo(*event->mark);
  }
}

void Streams::finishAll() {
  std::vector<Stream*> order{&default_};
  for (const auto& stream : streams_) {
    order.push_back(stream.get());
  }
  if (setting("ORDER") == "reverse") {
    std::reverse(order.begin(), order.end());
  }
  for (Stream* stream : order) {
    finish(stream);
  }
}

bool Streams::poll(Stream* stream) {
  if (stream->tasks.empty()) {
    return true;
  }
  runOne(stream);
  return false;
}

bool Streams::poll(const Event* event) {
  return event->mark == nullptr || event->mark->done || poll(event->mark->stream);
}

}  // namespace standin
