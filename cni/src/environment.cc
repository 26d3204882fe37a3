#include "environment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "io.h"
#include "json.h"

namespace cni {

namespace {

constexpr size_t kMaxArgs = 256;
constexpr size_t kMaxInterfaceName = 15;

struct CommandInfo {
  Command command;
  const char* name;
  bool attachment;  // needs CNI_CONTAINERID and CNI_IFNAME
  bool netns;       // needs CNI_NETNS
  bool pod;         // needs K8S_POD_NAME and K8S_POD_NAMESPACE
};

constexpr CommandInfo kCommands[] = {
    {Command::kAdd, "ADD", true, true, true},     {Command::kDel, "DEL", true, false, false},
    {Command::kCheck, "CHECK", true, true, true}, {Command::kStatus, "STATUS", false, false, false},
    {Command::kGc, "GC", false, false, false},    {Command::kVersion, "VERSION", false, false, false},
};

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool truthy(const std::string& text) {
  for (const char* yes : {"1", "t", "T", "true", "True", "TRUE"}) {
    if (text == yes) return true;
  }
  return false;
}

bool isIdentifier(const std::string& text) {
  if (text.empty() || !isalnum(static_cast<unsigned char>(text[0]))) return false;
  for (const char c : text) {
    if (!isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

bool isInterfaceName(const std::string& text) {
  if (text.empty() || text.size() > kMaxInterfaceName || text == "." || text == "..") return false;
  for (const char c : text) {
    if (c == '/' || c == ':' || isspace(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

bool parseArgs(const std::string& text, Environment* environment, Failure* failure) {
  std::string withoutValue;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(';', start), text.size());
    const std::string pair = text.substr(start, end - start);
    start = end + 1;
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      if (withoutValue.empty()) withoutValue = pair;
      continue;
    }
    const std::string key = pair.substr(0, equals);
    bool known = false;
    for (auto& [present, value] : environment->args) {
      if (present != key) continue;
      if (value.empty()) value = pair.substr(equals + 1);
      known = true;
    }
    if (known) continue;
    if (environment->args.size() == kMaxArgs) {
      return fail(failure, kInvalidEnvironment,
                  "invalid CNI_ARGS: expected at most " + std::to_string(kMaxArgs) + " keys");
    }
    environment->args.emplace_back(key, pair.substr(equals + 1));
  }
  if (!withoutValue.empty() && !truthy(environment->arg("IgnoreUnknown"))) {
    return fail(failure, kInvalidEnvironment, "invalid CNI_ARGS: '" + withoutValue + "' is not KEY=VALUE");
  }
  return true;
}

}  // namespace

const char* name(Command command) {
  for (const CommandInfo& info : kCommands) {
    if (info.command == command) return info.name;
  }
  return "";
}

const std::string& Environment::arg(const char* key) const {
  static const std::string kNone;
  for (const auto& [present, value] : args) {
    if (present == key) return value;
  }
  return kNone;
}

bool calledByHand() {
  for (char** entry = environ; *entry != nullptr; entry++) {
    if (strncmp(*entry, "CNI_", 4) == 0) return false;
  }
  return true;
}

bool readEnvironment(Environment* environment, Failure* failure) {
  const std::string commandName = variable("CNI_COMMAND");
  const CommandInfo* found = nullptr;
  for (const CommandInfo& info : kCommands) {
    if (commandName == info.name) found = &info;
  }
  if (found == nullptr) {
    const char* expected = "expected ADD, DEL, CHECK, STATUS, GC or VERSION";
    if (commandName.empty()) {
      return fail(failure, kInvalidEnvironment, "required env variables [CNI_COMMAND] missing", expected);
    }
    return fail(failure, kInvalidEnvironment, "unknown CNI_COMMAND: '" + commandName + "'", expected);
  }
  const CommandInfo& info = *found;
  environment->command = info.command;
  environment->containerId = variable("CNI_CONTAINERID");
  environment->netns = variable("CNI_NETNS");
  environment->ifname = variable("CNI_IFNAME");
  const std::string args = variable("CNI_ARGS");

  std::string missing;
  const auto require = [&](bool required, const std::string& value, const char* what) {
    if (!required || !value.empty()) return;
    missing += missing.empty() ? "" : ", ";
    missing += what;
  };
  Failure argsFailure;
  const bool argsParsed = parseArgs(args, environment, &argsFailure);
  require(info.attachment, environment->containerId, "CNI_CONTAINERID");
  require(info.netns, environment->netns, "CNI_NETNS");
  require(info.attachment, environment->ifname, "CNI_IFNAME");
  require(info.command == Command::kGc, variable("CNI_PATH"), "CNI_PATH");
  require(info.pod, environment->arg("K8S_POD_NAMESPACE"), "CNI_ARGS:K8S_POD_NAMESPACE");
  require(info.pod, environment->arg("K8S_POD_NAME"), "CNI_ARGS:K8S_POD_NAME");
  if (!missing.empty()) {
    return fail(failure, kInvalidEnvironment, "required env variables [" + missing + "] missing",
                std::string("for CNI_COMMAND ") + info.name);
  }
  if (!argsParsed && info.attachment) {
    *failure = argsFailure;
    return false;
  }
  if (info.attachment && !isIdentifier(environment->containerId)) {
    return fail(failure, kInvalidEnvironment, "invalid CNI_CONTAINERID: '" + environment->containerId + "'",
                "expected a letter or digit, then letters, digits, '_', '.' and '-'");
  }
  if (info.attachment && !isInterfaceName(environment->ifname)) {
    return fail(failure, kInvalidEnvironment, "invalid CNI_IFNAME: '" + environment->ifname + "'",
                "expected 1 to 15 bytes other than '.' and '..', without '/', ':' and white space");
  }
  // They travel as JSON, which has no form for other bytes.
  for (const auto& [what, value] : {std::pair<const char*, const std::string&>{"CNI_NETNS", environment->netns},
                                    {"CNI_IFNAME", environment->ifname},
                                    {"CNI_ARGS", args}}) {
    if (!json::isUtf8(value)) {
      return fail(failure, kInvalidEnvironment, std::string("invalid ") + what + ": not UTF-8: '" + value + "'");
    }
  }
  return true;
}

bool checkNamespace(const std::string& path, Failure* failure) {
  const std::string what = "CNI_NETNS '" + path + "'";
  // O_NONBLOCK: the path may be a named pipe, and waiting for its writer would be for ever.
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return fail(failure, kInvalidNamespace, "cannot open " + what + ": " + strerror(errno));
  struct statfs filesystem;
  if (fstatfs(file.get(), &filesystem) != 0 ||
      (filesystem.f_type != NSFS_MAGIC && filesystem.f_type != PROC_SUPER_MAGIC) ||
      ioctl(file.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return fail(failure, kInvalidNamespace, what + " is not a network namespace");
  }
  struct stat theirs;
  struct stat own;
  if (fstat(file.get(), &theirs) == 0 && stat("/proc/self/ns/net", &own) == 0 && theirs.st_dev == own.st_dev &&
      theirs.st_ino == own.st_ino && !truthy(variable("CNI_NETNS_OVERRIDE"))) {
    return fail(failure, kInvalidNamespace, what + " is the network namespace of the plugin itself",
                "expected the namespace of a container; set CNI_NETNS_OVERRIDE=1 to allow this");
  }
  return true;
}

}  // namespace cni
