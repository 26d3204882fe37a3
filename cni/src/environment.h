// The environment variables of a CNI call: https://www.cni.dev/docs/spec/#parameters.
#ifndef HYBRIDNET_CNI_ENVIRONMENT_H_
#define HYBRIDNET_CNI_ENVIRONMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "failure.h"

namespace cni {

enum class Command { kAdd, kDel, kCheck, kStatus, kGc, kVersion };

const char* name(Command command);

struct Environment {
  Command command = Command::kVersion;
  std::string containerId;
  std::string netns;
  std::string ifname;
  // CNI_ARGS; of several pairs with one key, the first that has a value.
  std::vector<std::pair<std::string, std::string>> args;

  // The value of a key of CNI_ARGS, "" when there is none.
  const std::string& arg(const char* key) const;
};

// true when no CNI_ variable is set at all: a person runs the program, not a runtime.
bool calledByHand();

// Reads and checks everything; a failure (code 4) names all missing variables at once.
bool readEnvironment(Environment* environment, Failure* failure);

// CNI_NETNS of an ADD must be a network namespace other than our own (unless CNI_NETNS_OVERRIDE is true): code 8.
bool checkNamespace(const std::string& path, Failure* failure);

}  // namespace cni

#endif  // HYBRIDNET_CNI_ENVIRONMENT_H_
