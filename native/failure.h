// What a failed system call or kernel request looks like on its way to JavaScript. An empty one (error 0) is success.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace hybridnet {

struct Failure {
  /** Positive errno, 0 for success. */
  int error = 0;
  /** What was tried, e.g. "setns" or "open /proc/sys/net/ipv4/ip_forward". */
  std::string operation;
  /** The kernel's extended-ACK text, empty when it gave none. */
  std::string text;
  /** Offset in bytes of the attribute the kernel objects to, counted from the message header; 0 when it named none. */
  uint32_t offset = 0;

  Failure() = default;
  Failure(int error, std::string operation) : error(error), operation(std::move(operation)) {}
  explicit operator bool() const { return error != 0; }
};

}  // namespace hybridnet
