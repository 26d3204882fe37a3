// Waiting with a deadline, and the standard streams. Every wait ends at its deadline or at SIGTERM/SIGINT, which are
// blocked outside of waits, so that output is never torn and never doubled.
#ifndef HYBRIDNET_CNI_IO_H_
#define HYBRIDNET_CNI_IO_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "failure.h"

namespace cni {

// Milliseconds of the monotonic clock.
int64_t now();

// SIGPIPE ignored, SIGTERM and SIGINT only delivered inside of waits.
bool setUpSignals(Failure* failure);

enum class Wait { kReady, kTimeout, kInterrupted, kFailed };

// Waits until `fd` can be read (POLLIN) or written (POLLOUT), or until `deadline` (of now()). -1 as `fd` just sleeps.
Wait waitFor(int fd, short events, int64_t deadline);

Failure interrupted();

// A descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(-1); }
  int get() const { return fd_; }
  void reset(int fd);

 private:
  int fd_ = -1;
};

// Everything on standard input, at most `limit` bytes.
bool readInput(size_t limit, int64_t deadline, std::string* text, Failure* failure);

// Writes `text` and a line end to standard output; false when that is impossible.
bool writeOutput(std::string_view text);

// One line on standard error, for the runtime's log.
void diagnose(std::string_view line);

}  // namespace cni

#endif  // HYBRIDNET_CNI_IO_H_
