// A joinable thread that reports failure to start instead of throwing (the addon is built without exceptions), takes no
// signals (they belong to Node's threads), and a descriptor that wakes a thread out of poll().
#pragma once

#include <pthread.h>
#include <stdint.h>

#include <functional>

#include "fd.h"

namespace hybridnet {

class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { Join(); }

  /** @return 0, or the errno of pthread_create(3) */
  int Start(std::function<void()> body);
  /** Waits for the end; does nothing when not started or already joined. */
  void Join();

 private:
  static void* Main(void* self);

  std::function<void()> body_;
  pthread_t thread_{};
  bool started_ = false;
};

/** Linux eventfd(2): Raise() from any thread makes the descriptor readable until Clear(). */
class WakeUp {
 public:
  WakeUp();
  bool valid() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  void Raise() const;
  void Clear() const;

 private:
  Fd fd_;
};

}  // namespace hybridnet
