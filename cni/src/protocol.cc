#include "protocol.h"

#include <cstdlib>

#include "json.h"
#include "result.h"

namespace cni {

namespace {

constexpr size_t kMaxAddresses = 16;
constexpr size_t kMaxQuote = 256;

void appendMember(std::string* out, const char* name, std::string_view value) {
  if (out->back() != '{') *out += ',';
  json::appendQuoted(out, name);
  *out += ':';
  json::appendQuoted(out, value);
}

bool malformed(const Answer& answer, const std::string& why, Failure* failure) {
  std::string details = "status " + std::to_string(answer.status);
  if (!answer.body.empty()) details += ": " + answer.body.substr(0, kMaxQuote);
  return fail(failure, kIoFailure, "malformed answer of the hybridnet daemon: " + why, details);
}

std::string describe(const json::Error& error) {
  return std::string(error.what) + " at byte " + std::to_string(error.offset);
}

std::string textOf(const json::Member& member) {
  return member.value.kind == json::Kind::kString ? json::decodeString(member.value.raw) : std::string();
}

// The error object of version 2, or a description of the status when there is none.
bool readError(const Answer& answer, Failure* failure) {
  json::Member error = {"error", {}};
  json::Error problem;
  if (!json::scanObject(answer.body, &error, 1, nullptr, &problem)) {
    return malformed(answer, describe(problem), failure);
  }
  enum { kCode, kMessage, kDetails, kCount };
  json::Member members[kCount] = {{"code", {}}, {"msg", {}}, {"details", {}}};
  if (error.value.kind != json::Kind::kObject ||
      !json::scanObject(error.value.raw, members, kCount, nullptr, &problem)) {
    return malformed(answer, "expected an object 'error'", failure);
  }
  const std::string codeText(members[kCode].value.raw);
  char* end = nullptr;
  const long code = strtol(codeText.c_str(), &end, 10);
  if (members[kCode].value.kind != json::Kind::kNumber || *end != '\0' || code < 1 || code > 99999) {
    return malformed(answer, "expected a positive whole number 'error.code'", failure);
  }
  std::string message = textOf(members[kMessage]);
  if (message.empty()) message = "the hybridnet daemon refused without a reason";
  return fail(failure, static_cast<int>(code), message, textOf(members[kDetails]));
}

bool readAddresses(const Answer& answer, std::string_view text, std::vector<AddressV1>* addresses, Failure* failure) {
  std::vector<json::Value> elements;
  json::Error problem;
  if (!json::scanArray(text, kMaxAddresses, &elements, &problem)) {
    return malformed(answer, "address: " + describe(problem), failure);
  }
  for (const json::Value& element : elements) {
    enum { kIp, kMac, kGateway, kCount };
    json::Member members[kCount] = {{"ip", {}}, {"mac", {}}, {"gateway", {}}};
    AddressV1 address;
    if (!json::scanObject(element.raw, members, kCount, nullptr, &problem) ||
        !parseAddressV1(textOf(members[kIp]), textOf(members[kMac]), textOf(members[kGateway]), &address)) {
      return malformed(answer, "not an address: " + std::string(element.raw.substr(0, kMaxQuote)), failure);
    }
    addresses->push_back(address);
  }
  return !addresses->empty() || malformed(answer, "no address", failure);
}

}  // namespace

std::string requestV2(const Environment& environment, const Config& config) {
  std::string body = "{";
  appendMember(&body, "command", name(environment.command));
  appendMember(&body, "container_id", environment.containerId);
  appendMember(&body, "netns", environment.netns);
  appendMember(&body, "ifname", environment.ifname);
  body += ",\"args\":{";
  for (const auto& [key, value] : environment.args) appendMember(&body, key.c_str(), value);
  body += "},\"pod\":{";
  const std::pair<const char*, const char*> podKeys[] = {{"namespace", "K8S_POD_NAMESPACE"},
                                                         {"name", "K8S_POD_NAME"},
                                                         {"uid", "K8S_POD_UID"},
                                                         {"infra_container_id", "K8S_POD_INFRA_CONTAINER_ID"}};
  for (const auto& [member, key] : podKeys) {
    if (!environment.arg(key).empty()) appendMember(&body, member, environment.arg(key));
  }
  body += "},\"config\":";
  body += config.raw;
  body += '}';
  return body;
}

bool answerV2(const Environment& environment, const Answer& answer, std::string* result, bool* notSupported,
              Failure* failure) {
  *notSupported = answer.status == 404 || answer.status == 405;
  if (*notSupported) return true;
  if (answer.status != 200) return readError(answer, failure);
  json::Member member = {"result", {}};
  json::Error problem;
  if (!json::scanObject(answer.body, &member, 1, nullptr, &problem)) {
    return malformed(answer, describe(problem), failure);
  }
  if (environment.command != Command::kAdd) return true;
  if (member.value.kind != json::Kind::kObject) return malformed(answer, "expected an object 'result'", failure);
  *result = member.value.raw;
  return true;
}

std::string requestV1(const Environment& environment) {
  std::string body = "{";
  appendMember(&body, "pod_name", environment.arg("K8S_POD_NAME"));
  appendMember(&body, "pod_namespace", environment.arg("K8S_POD_NAMESPACE"));
  appendMember(&body, "container_id", environment.containerId);
  appendMember(&body, "net_ns", environment.netns);
  body += '}';
  return body;
}

bool answerV1(const Environment& environment, const Config& config, const Answer& answer, std::string* result,
              Failure* failure) {
  if (environment.command == Command::kDel && answer.status == 204) return true;
  enum { kAddresses, kHostInterface, kError, kCount };
  json::Member members[kCount] = {{"address", {}}, {"host_interface", {}}, {"error", {}}};
  json::Error problem;
  if (!json::scanObject(answer.body, members, kCount, nullptr, &problem)) {
    return malformed(answer, describe(problem), failure);
  }
  const std::string error = textOf(members[kError]);
  if (answer.status != 200 || !error.empty() || environment.command != Command::kAdd) {
    // Version 1 has no codes; what it refuses is nearly always for want of an address yet.
    return fail(failure, kTryAgainLater, error.empty() ? "the hybridnet daemon refused without a reason" : error,
                "status " + std::to_string(answer.status) + " of the version 1 protocol");
  }
  std::vector<AddressV1> addresses;
  if (!readAddresses(answer, members[kAddresses].value.raw, &addresses, failure)) return false;
  *result = resultV1(config.version, textOf(members[kHostInterface]), environment, addresses);
  return true;
}

}  // namespace cni
