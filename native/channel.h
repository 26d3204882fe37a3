// The way from our threads back to JavaScript: one thread-safe function per environment carries every completion and
// wake-up, in order. It keeps the event loop alive only while somebody holds it (a call in flight, an open monitor).
//
// Teardown: each object that owns a thread registers its environment cleanup hook after the channel exists; hooks run
// in reverse order, so all threads have ended before the channel closes. Tasks still queued then run with a null
// environment, i.e. are only deleted.
#pragma once

#include <napi.h>

#include "failure.h"

namespace hybridnet {

/** Something to do on the JavaScript thread. Deleted after Run, or without it when the environment is going away. */
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;
  virtual void Run(Napi::Env env) = 0;
};

class Channel {
 public:
  explicit Channel(Napi::Env env);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /** Hands `task` to the JavaScript thread; callable from any thread whose owner stops it at environment teardown. */
  void Post(Task* task);
  /** JavaScript thread only: while the count is above zero the event loop stays alive. */
  void Hold(Napi::Env env);
  void Drop(Napi::Env env);

 private:
  static void CallJs(napi_env env, napi_value callback, void* context, void* data);

  napi_threadsafe_function function_ = nullptr;
  int holders_ = 0;
};

/** The state of the addon in one environment (main thread or worker). */
struct Addon;
Channel& ChannelOf(Napi::Env env);

/** A JavaScript Error with `errno`, `operation`, `extack` and `offset`; lib/netlink/errors.ts gives it its final class.
 */
Napi::Error ToError(Napi::Env env, const Failure& failure);

/** Base of everything that answers a promise: holds the channel from creation until the answer. */
class Completion : public Task {
 public:
  explicit Completion(Napi::Env env);
  /** While the call that made this lasts. Empty when the environment is going away: nobody waits for the answer. */
  Napi::Value promise() const { return {env_, promise_}; }
  void Run(Napi::Env env) final;

  /** Filled by the thread that did the work. */
  Failure failure;

 protected:
  /** The value of the resolved promise. */
  virtual Napi::Value Result(Napi::Env env) = 0;
  /** JavaScript thread, before the promise is settled, also after a failure: drop references. */
  virtual void Settle(Napi::Env) {}

 private:
  napi_env env_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

/** Runs `stop` when the environment ends, unless forgotten before. */
class CleanupHook {
 public:
  CleanupHook() = default;
  CleanupHook(const CleanupHook&) = delete;
  CleanupHook& operator=(const CleanupHook&) = delete;
  ~CleanupHook() { Forget(); }
  void Register(napi_env env, void (*stop)(void*), void* argument);
  void Forget();

 private:
  napi_env env_ = nullptr;
  void (*stop_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace hybridnet
