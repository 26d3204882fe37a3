// The CNI plugin `hybridnet`: checks the call, hands it to the node's daemon, prints what the daemon answers.
//
// It holds no logic of networking, so that everything can evolve in the daemon, and needs nothing of the host it is
// executed on: no library, no interpreter, no file. Exit status 0 comes with the exact result on standard output
// (nothing where a command has none), any other with exactly one error object. Specification:
// https://www.cni.dev/docs/spec/.
#include <cstdio>
#include <cstring>
#include <string>

#include "config.h"
#include "daemon.h"
#include "environment.h"
#include "failure.h"
#include "io.h"
#include "protocol.h"

#ifndef HYBRIDNET_VERSION
#error "HYBRIDNET_VERSION must be defined by the build"
#endif

namespace cni {
namespace {

constexpr const char* kAbout = "hybridnet cni " HYBRIDNET_VERSION;
constexpr size_t kMaxInput = 8 * 1024 * 1024;
constexpr int64_t kConnectRetry = 5000;

// Milliseconds a whole call may take when the configuration does not say.
int64_t defaultTimeout(Command command) {
  switch (command) {
    case Command::kAdd:
      return 90000;
    case Command::kDel:
      return 30000;
    case Command::kCheck:
      return 20000;
    case Command::kGc:
      return 60000;
    case Command::kStatus:
    case Command::kVersion:
      break;
  }
  return 5000;
}

bool viaV1(const Environment& environment, const Config& config, const Exchange& request, std::string* result,
           Failure* failure) {
  const bool add = environment.command == Command::kAdd;
  // It listens only once it can serve, so an answer of any kind is the verdict.
  if (environment.command == Command::kStatus) return true;
  if (!add && environment.command != Command::kDel) {
    return fail(failure, kTryAgainLater,
                std::string("the hybridnet daemon on this node is too old for ") + name(environment.command));
  }
  if (add && environment.ifname != "eth0") {
    return fail(failure, kInvalidEnvironment, "invalid CNI_IFNAME: '" + environment.ifname + "': expected eth0",
                "the hybridnet daemon on this node is too old for other names");
  }
  Answer answer;
  return exchange(request, add ? "/api/v1/add" : "/api/v1/del", requestV1(environment), &answer, failure) &&
         answerV1(environment, config, answer, result, failure);
}

// `version` is the best known one for an error object.
bool call(std::string* result, std::string* version, Failure* failure) {
  const int64_t start = now();
  Environment environment;
  if (!setUpSignals(failure) || !readEnvironment(&environment, failure)) return false;
  const Command command = environment.command;
  std::string input;
  if (!readInput(kMaxInput, start + defaultTimeout(command), &input, failure)) return false;
  if (command == Command::kVersion) return versionResult(input, result, failure);

  Config config;
  const bool valid = readConfig(input, command, &config, failure);
  if (!config.version.empty()) *version = config.version;
  if (!valid) return false;
  if (command == Command::kAdd && !checkNamespace(environment.netns, failure)) return false;

  Exchange request;
  request.socket = config.socket;
  request.deadline = start + (config.timeout > 0 ? config.timeout : defaultTimeout(command));
  request.connectRetry = command == Command::kAdd || command == Command::kDel ? kConnectRetry : 0;
  request.unreachableCode = command == Command::kStatus ? kNotAvailable : kTryAgainLater;
  Answer answer;
  bool notSupported = false;
  if (!exchange(request, "/api/v2/cni", requestV2(environment, config), &answer, failure) ||
      !answerV2(environment, answer, result, &notSupported, failure)) {
    return false;
  }
  return !notSupported || viaV1(environment, config, request, result, failure);
}

int run(int argc, char** argv) {
  if (argc > 1) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) return writeOutput(kAbout) ? 0 : 1;
    fprintf(stderr, "%s\nusage: called by a container runtime, see https://www.cni.dev; or: hybridnet --version\n",
            kAbout);
    return 2;
  }
  if (calledByHand()) {
    fprintf(stderr, "%s\na CNI plugin, to be called by a container runtime\n", kAbout);
    return 0;
  }
  std::string result;
  std::string version = kHighestVersion;
  Failure failure;
  if (call(&result, &version, &failure)) return result.empty() || writeOutput(result) ? 0 : 1;
  if (!writeOutput(toJson(failure, version))) diagnose(failure.message);
  return 1;
}

}  // namespace
}  // namespace cni

int main(int argc, char** argv) { return cni::run(argc, argv); }
