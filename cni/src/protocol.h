// What is said to the daemon and how its answers are understood: version 2 (everything, one endpoint, the result comes
// ready to print) and version 1 (ADD and DEL, what the original daemon speaks; the result is built here).
#ifndef HYBRIDNET_CNI_PROTOCOL_H_
#define HYBRIDNET_CNI_PROTOCOL_H_

#include <string>

#include "config.h"
#include "daemon.h"
#include "environment.h"
#include "failure.h"

namespace cni {

std::string requestV2(const Environment& environment, const Config& config);
// `result` is what to print; empty for nothing. `notSupported` is set when the daemon does not know version 2.
bool answerV2(const Environment& environment, const Answer& answer, std::string* result, bool* notSupported,
              Failure* failure);

std::string requestV1(const Environment& environment);
bool answerV1(const Environment& environment, const Config& config, const Answer& answer, std::string* result,
              Failure* failure);

}  // namespace cni

#endif  // HYBRIDNET_CNI_PROTOCOL_H_
