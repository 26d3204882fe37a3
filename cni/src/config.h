// The network configuration the runtime gives on standard input. Only what the shim itself needs is read; the document
// travels to the daemon as it came.
#ifndef HYBRIDNET_CNI_CONFIG_H_
#define HYBRIDNET_CNI_CONFIG_H_

#include <string>
#include <string_view>

#include "environment.h"
#include "failure.h"

namespace cni {

// The highest version of the CNI specification spoken here.
constexpr const char* kHighestVersion = "1.1.0";

struct Config {
  // The object as given; a view of the text that was parsed.
  std::string_view raw;
  std::string version;
  std::string socket;
  // request_timeout_seconds in milliseconds; 0 when absent.
  int64_t timeout = 0;
  bool hasPreviousResult = false;
};

// Checks in the order of R-CNI-08: JSON (6), name (7), version (1), private fields (7). `config->version` is set as
// soon as a supported version is known, so that an error carries it.
bool readConfig(std::string_view text, Command command, Config* config, Failure* failure);

// What VERSION prints for its input.
bool versionResult(std::string_view text, std::string* result, Failure* failure);

}  // namespace cni

#endif  // HYBRIDNET_CNI_CONFIG_H_
