// What monitors, packet sockets and the resolver have in common: a thread that waits on descriptors, a bounded queue,
// and one callback per wake-up on the JavaScript side.
//
// Lifetime: an open subscription holds itself and the event loop; close() joins the thread, then lets go of both. A
// wake-up still on its way finds the gate closed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "arguments.h"
#include "channel.h"
#include "thread.h"

namespace hybridnet {

class Subscription {
 public:
  Subscription() = default;
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  virtual ~Subscription() = default;

 protected:
  /**
   * JavaScript thread: starts the thread, which runs `body` inside the namespace once `open` succeeded there.
   *
   * @return the failure of `open`, after which nothing runs
   */
  Failure Start(Napi::Env env, int ns, const Napi::Function& callback, std::function<Failure()> open,
                std::function<void()> body);
  /** Any thread: asks for one Deliver on the JavaScript thread, unless one is on its way. */
  void Signal();
  /** JavaScript thread: ends the thread and forgets the callback. Repeating it does nothing. */
  void Stop();
  /** JavaScript thread: hands over a bounded part of the queue; calls Signal again when more is left. */
  virtual void Deliver(Napi::Env env) = 0;

  bool stopping() const { return stop_.load(); }
  const std::atomic<bool>& stopFlag() const { return stop_; }
  /** Waits until `fd` is readable or the thread is woken. @return false when it is time to end */
  bool Wait(int fd) const;

  Napi::FunctionReference callback_;
  WakeUp wake_;

 private:
  struct Gate {
    Subscription* owner;
  };
  class Delivery;

  void Halt();

  std::shared_ptr<Gate> gate_;
  Channel* channel_ = nullptr;
  napi_env env_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<bool> signalled_{false};
  Thread thread_;
  CleanupHook hook_;
};

/**
 * A subscription that is a JavaScript object: runs from the end of its constructor to close(), and is no garbage
 * meanwhile. `T` has a method close bound to Close, and Stop() in its destructor: the thread uses T's members.
 */
template <typename T>
class SubscriptionObject : public Napi::ObjectWrap<T>, protected Subscription {
 protected:
  explicit SubscriptionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<T>(info) {}

  /** Last in the constructor: Subscription::Start, whose failure is thrown. `ns` is a namespace's descriptor. */
  void Run(Napi::Env env, const Napi::Value& ns, const Napi::Value& callback, std::function<Failure()> open,
           std::function<void()> body) {
    // Not wrapped, because the environment is going away: nobody would ever stop the thread.
    if (this->IsEmpty()) return;
    const Failure failure = Start(env, ToInt32(ns), callback.As<Napi::Function>(), std::move(open), std::move(body));
    if (failure) {
      ToError(env, failure).ThrowAsJavaScriptException();
      return;
    }
    running_ = true;
    this->Ref();
  }

  /** JavaScript thread, after the thread has ended: close what it read from. */
  virtual void Release() = 0;

  /** close(): repeating it does nothing */
  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (running_) {
      running_ = false;
      Stop();
      Release();
      this->Unref();
    }
    return info.Env().Undefined();
  }

 private:
  bool running_ = false;
};

}  // namespace hybridnet
