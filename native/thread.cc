#include "thread.h"

#include <signal.h>
#include <sys/eventfd.h>

namespace hybridnet {

namespace {
// The deepest thread keeps its buffers on the heap; the default of 8 MiB a thread would only inflate the address space.
constexpr size_t kStackBytes = size_t{512} * 1024;
}  // namespace

void* Thread::Main(void* self) {
  static_cast<Thread*>(self)->body_();
  return nullptr;
}

int Thread::Start(std::function<void()> body) {
  body_ = std::move(body);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&thread_, &attributes, Main, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  started_ = error == 0;
  return error;
}

void Thread::Join() {
  if (!started_) return;
  started_ = false;
  pthread_join(thread_, nullptr);
}

WakeUp::WakeUp() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void WakeUp::Raise() const {
  const uint64_t one = 1;
  // EAGAIN means the counter is at its limit, hence already readable: nothing is lost.
  if (write(fd_.get(), &one, sizeof one) < 0) return;
}

void WakeUp::Clear() const {
  uint64_t count = 0;
  // EAGAIN means nobody raised it.
  if (read(fd_.get(), &count, sizeof count) < 0) return;
}

}  // namespace hybridnet
