// Streams and events.
//
// Eager: work is done when it is submitted. Lazy (STANDIN_STREAMS=lazy): work is done when somebody waits for it, and
// no sooner, which is the latest that CUDA allows; a missing wait then shows as old data. Events and the legacy default
// stream's ordering with the blocking streams are kept.
//
// All functions are called under the driver's lock.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "abi.h"

namespace standin {

using Task = std::function<Result()>;

// A point in a stream's work.
struct Mark {
  Stream* stream;
  bool done;
};

struct Stream {
  bool blocking;  // orders itself with the default stream
  unsigned flags;
  int priority;
  std::deque<Task> tasks;
};

struct Event {
  unsigned flags;
  std::shared_ptr<Mark> mark;  // of the last record; null before the first
};

class Streams {
 public:
  // The stream that a handle means; null if it means none.
  Stream* find(Stream* handle);
  Stream* create(unsigned flags, int priority);
  void destroy(Stream* stream);

  Event* createEvent(unsigned flags);
  bool isEvent(Event* event) const { return events_.count(event) != 0; }
  void destroyEvent(Event* event);

  // Does the task, now or later, after all that is ordered before it.
  void submit(Stream* stream, Task task);
  void record(Stream* stream, Event* event);
  void waitFor(Stream* stream, const Event* event);

  void finish(Stream* stream);
  void finish(const Event* event);
  void finishAll();

  // Lets some work happen, so that a loop that polls ends; true if nothing was left to do.
  bool poll(Stream* stream);
  bool poll(const Event* event);

  // Drops all work, streams and events: the context is gone.
  void clear();

  // The first failure of a task. It is every call's result until the context is gone.
  Result failure() const { return failure_; }

 private:
  static bool lazy();
  std::shared_ptr<Mark> mark(Stream* stream);
  void push(Stream* stream, Task task);
  void pushWait(Stream* stream, const std::shared_ptr<Mark>& mark);
  void orderWithDefaultStream(Stream* stream);
  void runOne(Stream* stream);
  void runTo(const Mark& mark);

  Stream default_{true, 0, 0, {}};
  std::vector<std::unique_ptr<Stream>> streams_;
  std::set<Event*> events_;
  Result failure_ = kSuccess;
};

}  // namespace standin
