// What went wrong, in the terms of the CNI specification.
#ifndef HYBRIDNET_CNI_FAILURE_H_
#define HYBRIDNET_CNI_FAILURE_H_

#include <string>
#include <string_view>

namespace cni {

// https://www.cni.dev/docs/spec/#error, and 8 by convention of the reference library.
enum ErrorCode : int {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kInvalidEnvironment = 4,
  kIoFailure = 5,
  kDecodingFailure = 6,
  kInvalidConfig = 7,
  kInvalidNamespace = 8,
  kTryAgainLater = 11,
  kNotAvailable = 50,
  kInternal = 999,
};

struct Failure {
  int code = 0;
  // One short sentence; names what was wrong, its value and what was expected.
  std::string message;
  // Longer explanation; may be empty.
  std::string details;
};

// Fills in `failure` and returns false, so that a check can say `return fail(...)`.
bool fail(Failure* failure, int code, std::string message, std::string details = {});

// The error object of the specification (without a line end). Text that is not UTF-8 is replaced, long text cut, so
// that the output is one valid document whatever the environment held.
std::string toJson(const Failure& failure, std::string_view cniVersion);

}  // namespace cni

#endif  // HYBRIDNET_CNI_FAILURE_H_
