#include "subscription.h"

#include <errno.h>
#include <poll.h>

#include "netns.h"

namespace hybridnet {

class Subscription::Delivery final : public Task {
 public:
  explicit Delivery(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
  void Run(Napi::Env env) override {
    Subscription* owner = gate_->owner;
    if (owner == nullptr) return;
    // Cleared first: what is queued from now on needs a wake-up of its own.
    owner->signalled_.store(false);
    owner->Deliver(env);
  }

 private:
  std::shared_ptr<Gate> gate_;
};

Failure Subscription::Start(Napi::Env env, int ns, const Napi::Function& callback, std::function<Failure()> open,
                            std::function<void()> body) {
  if (!wake_.valid()) return {EMFILE, "eventfd"};
  channel_ = &ChannelOf(env);
  gate_ = std::make_shared<Gate>(Gate{this});
  Failure failure = StartInNamespace(&thread_, ns, std::move(open), std::move(body));
  if (failure) return failure;
  env_ = env;
  callback_ = Napi::Persistent(callback);
  channel_->Hold(env);
  hook_.Register(
      env, [](void* self) { static_cast<Subscription*>(self)->Halt(); }, this);
  return {};
}

void Subscription::Signal() {
  if (!signalled_.exchange(true)) channel_->Post(new Delivery(gate_));
}

bool Subscription::Wait(int fd) const {
  for (;;) {
    pollfd waits[] = {{fd, POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return false;
    // Cleared before looking: Halt sets the flag, then raises, and a raise in between must not be lost.
    if (waits[1].revents != 0) wake_.Clear();
    if (stopping()) return false;
    if (waits[0].revents != 0 || waits[1].revents != 0) return true;
  }
}

void Subscription::Halt() {
  stop_.store(true);
  wake_.Raise();
  thread_.Join();
}

void Subscription::Stop() {
  if (env_ == nullptr) return;
  hook_.Forget();
  Halt();
  gate_->owner = nullptr;
  callback_.Reset();
  channel_->Drop(env_);
  env_ = nullptr;
}

}  // namespace hybridnet
