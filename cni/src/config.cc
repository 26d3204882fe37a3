#include "config.h"

#include <sys/un.h>

#include <cctype>
#include <cstdlib>

#include "json.h"

namespace cni {

namespace {

constexpr const char* kVersions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", kHighestVersion};
constexpr const char* kCheckSince = "0.4.0";
constexpr long kMaxTimeoutSeconds = 3600;
// sun_path holds the terminating NUL too.
constexpr size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

std::string supportedList() {
  std::string list;
  for (const char* version : kVersions) {
    if (!list.empty()) list += ',';
    json::appendQuoted(&list, version);
  }
  return list;
}

int versionIndex(const std::string& version) {
  int index = 0;
  for (const char* known : kVersions) {
    if (version == known) return index;
    index++;
  }
  return -1;
}

bool notJson(const json::Error& error, Failure* failure) {
  return fail(failure, kDecodingFailure, "the network configuration is not valid JSON",
              std::string(error.what) + " at byte " + std::to_string(error.offset));
}

// The text of an optional string; code 7 when the member is of another type.
bool textOf(const json::Member& member, std::string* text, Failure* failure) {
  if (member.value.kind == json::Kind::kAbsent || member.value.kind == json::Kind::kNull) return true;
  if (member.value.kind != json::Kind::kString) {
    return fail(
        failure, kInvalidConfig,
        std::string("invalid ") + member.name + ": expected a string, found " + json::describe(member.value.kind));
  }
  *text = json::decodeString(member.value.raw);
  return true;
}

// The rule of the specification for network names is that of container IDs.
bool isName(const std::string& text) {
  if (text.empty() || !isalnum(static_cast<unsigned char>(text[0]))) return false;
  for (const char c : text) {
    if (!isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

bool checkVersion(const std::string& version, Command command, Config* config, Failure* failure) {
  if (versionIndex(version) < 0) {
    return fail(failure, kIncompatibleVersion, "incompatible CNI versions",
                "config is \"" + version + "\", plugin supports [" + supportedList() + "]");
  }
  config->version = version;
  const bool newCommand = command == Command::kStatus || command == Command::kGc;
  const char* since = command == Command::kCheck ? kCheckSince : newCommand ? kHighestVersion : kVersions[0];
  if (versionIndex(version) >= versionIndex(since)) return true;
  return fail(failure, kIncompatibleVersion,
              std::string("config version \"") + version + "\" does not allow " + name(command),
              std::string("expected ") + since + " or later");
}

bool checkSocket(const std::string& path, Failure* failure) {
  if (path.empty()) {
    return fail(failure, kInvalidConfig, "missing server_socket",
                "expected the absolute path of the Unix socket of the node's hybridnet daemon");
  }
  if (path[0] != '/') {
    return fail(failure, kInvalidConfig, "invalid server_socket: '" + path + "': expected an absolute path");
  }
  if (path.size() > kMaxSocketPath || path.find('\0') != std::string::npos) {
    return fail(failure, kInvalidConfig,
                "invalid server_socket: '" + path + "': expected at most " + std::to_string(kMaxSocketPath) +
                    " bytes, none of them NUL");
  }
  return true;
}

bool readTimeout(const json::Member& member, int64_t* timeout, Failure* failure) {
  if (member.value.kind == json::Kind::kAbsent || member.value.kind == json::Kind::kNull) return true;
  const std::string text(member.value.raw);
  char* end = nullptr;
  const long seconds = strtol(text.c_str(), &end, 10);
  if (member.value.kind != json::Kind::kNumber || *end != '\0' || seconds < 1 || seconds > kMaxTimeoutSeconds) {
    return fail(failure, kInvalidConfig,
                "invalid request_timeout_seconds: " + text.substr(0, 64) + ": expected a whole number from 1 to " +
                    std::to_string(kMaxTimeoutSeconds));
  }
  *timeout = seconds * 1000;
  return true;
}

}  // namespace

bool readConfig(std::string_view text, Command command, Config* config, Failure* failure) {
  enum { kName, kVersion, kSocket, kTimeout, kPrevious, kCount };
  json::Member members[kCount] = {
      {"name", {}}, {"cniVersion", {}}, {"server_socket", {}}, {"request_timeout_seconds", {}}, {"prevResult", {}}};
  json::Error error;
  if (!json::scanObject(text, members, kCount, &config->raw, &error)) return notJson(error, failure);

  std::string networkName;
  if (!textOf(members[kName], &networkName, failure)) return false;
  if (networkName.empty()) return fail(failure, kInvalidConfig, "missing network name");
  if (!isName(networkName)) {
    return fail(failure, kInvalidConfig, "invalid network name: '" + networkName + "'",
                "expected a letter or digit, then letters, digits, '_', '.' and '-'");
  }
  std::string version;
  if (!textOf(members[kVersion], &version, failure)) return false;
  if (version.empty()) version = kVersions[0];
  if (!checkVersion(version, command, config, failure)) return false;
  if (!textOf(members[kSocket], &config->socket, failure)) return false;
  config->hasPreviousResult = members[kPrevious].value.kind == json::Kind::kObject;
  return checkSocket(config->socket, failure) && readTimeout(members[kTimeout], &config->timeout, failure);
}

bool versionResult(std::string_view text, std::string* result, Failure* failure) {
  std::string received = kHighestVersion;
  if (text.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    json::Member version = {"cniVersion", {}};
    json::Error error;
    if (!json::scanObject(text, &version, 1, nullptr, &error)) return notJson(error, failure);
    received.clear();
    if (!textOf(version, &received, failure)) return false;
    if (received.empty()) received = kVersions[0];
  }
  *result = "{\"cniVersion\":";
  json::appendQuoted(result, received);
  *result += ",\"supportedVersions\":[" + supportedList() + "]}";
  return true;
}

}  // namespace cni
