// What monitors, packet sockets and the resolver have in common: a thread that waits on descriptors, a bounded queue,
// and one callback per wake-up on the JavaScript side.
//
// Lifetime: an open subscription holds itself and the event loop; close() joins the thread, then lets go of both. A
// wake-up still on its way finds the gate closed.
#pragma once

#include <atomic>
#include <memory>

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

}  // namespace hybridnet
