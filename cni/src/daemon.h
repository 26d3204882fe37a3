// One request to the node's daemon over its Unix socket.
#ifndef HYBRIDNET_CNI_DAEMON_H_
#define HYBRIDNET_CNI_DAEMON_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "failure.h"

namespace cni {

struct Answer {
  int status = 0;
  std::string body;
};

struct Exchange {
  std::string socket;
  // Of now(): everything must be over by then.
  int64_t deadline = 0;
  // How long to try again while nobody listens (the daemon restarts), milliseconds; 0 for once.
  int64_t connectRetry = 0;
  // Code of "the daemon cannot be reached": 11, or 50 for STATUS.
  int unreachableCode = kTryAgainLater;
};

// Connects, makes sure that root listens (SO_PEERCRED), sends one POST and reads the answer. Only the connection is
// ever tried again: once a byte of the request is out, it is never sent twice.
bool exchange(const Exchange& exchange, std::string_view path, std::string_view body, Answer* answer, Failure* failure);

}  // namespace cni

#endif  // HYBRIDNET_CNI_DAEMON_H_
