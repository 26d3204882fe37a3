#include "io.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace cni {

namespace {

volatile sig_atomic_t stopRequested = 0;

void requestStop(int) { stopRequested = 1; }

constexpr size_t kMaxDiagnostic = 4096;

}  // namespace

int64_t now() {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1000000;
}

bool setUpSignals(Failure* failure) {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction stop = {};
  stop.sa_handler = requestStop;
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  if (sigprocmask(SIG_BLOCK, &blocked, nullptr) != 0 || sigaction(SIGPIPE, &ignore, nullptr) != 0 ||
      sigaction(SIGTERM, &stop, nullptr) != 0 || sigaction(SIGINT, &stop, nullptr) != 0) {
    return fail(failure, kInternal, std::string("cannot set up signals: ") + strerror(errno));
  }
  return true;
}

Wait waitFor(int fd, short events, int64_t deadline) {
  sigset_t none;
  sigemptyset(&none);
  while (true) {
    if (stopRequested) return Wait::kInterrupted;
    int64_t left = deadline - now();
    if (left < 0) left = 0;
    const struct timespec timeout = {static_cast<time_t>(left / 1000), static_cast<long>(left % 1000) * 1000000};
    struct pollfd entry = {fd, events, 0};
    // A signal that is pending already is delivered here even when the descriptor is ready.
    const int ready = ppoll(&entry, fd < 0 ? 0 : 1, &timeout, &none);
    if (stopRequested) return Wait::kInterrupted;
    if (ready > 0) return Wait::kReady;
    if (ready == 0) return Wait::kTimeout;
    if (errno != EINTR) return Wait::kFailed;
  }
}

Failure interrupted() {
  Failure failure;
  fail(&failure, kTryAgainLater, "stopped by a signal before the daemon answered");
  return failure;
}

void Descriptor::reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

bool readInput(size_t limit, int64_t deadline, std::string* text, Failure* failure) {
  char buffer[16384];
  text->clear();
  while (true) {
    switch (waitFor(STDIN_FILENO, POLLIN, deadline)) {
      case Wait::kInterrupted:
        *failure = interrupted();
        return false;
      case Wait::kTimeout:
        return fail(failure, kIoFailure, "standard input was not closed in time",
                    "the network configuration is read until the end of the input");
      case Wait::kFailed:
        return fail(failure, kIoFailure, std::string("cannot wait for standard input: ") + strerror(errno));
      case Wait::kReady:
        break;
    }
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (count == 0) return true;
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return fail(failure, kIoFailure,
                  std::string("cannot read the network configuration from standard input: ") + strerror(errno));
    }
    if (text->size() + static_cast<size_t>(count) > limit) {
      return fail(failure, kIoFailure, "the network configuration is longer than " + std::to_string(limit) + " bytes");
    }
    text->append(buffer, static_cast<size_t>(count));
  }
}

bool writeOutput(std::string_view text) {
  std::string line(text);
  line += '\n';
  size_t written = 0;
  while (written < line.size()) {
    const ssize_t count = write(STDOUT_FILENO, line.data() + written, line.size() - written);
    if (count > 0) {
      written += static_cast<size_t>(count);
    } else if (count < 0 && errno == EAGAIN) {
      struct pollfd entry = {STDOUT_FILENO, POLLOUT, 0};
      if (poll(&entry, 1, 5000) == 0) return false;
    } else if (count == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

void diagnose(std::string_view line) {
  std::string text = "hybridnet cni: ";
  text += line.substr(0, kMaxDiagnostic - text.size() - 1);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  text += '\n';
  // The log is a courtesy; a closed standard error must not fail the call.
  const ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(ignored);
}

}  // namespace cni
