#include "failure.h"

#include <utility>

#include "json.h"

namespace cni {

namespace {

// Far above any sensible message, far below the pipe a runtime reads the document from.
constexpr size_t kMaxText = 4096;

std::string_view cut(std::string_view text) { return text.substr(0, kMaxText); }

}  // namespace

bool fail(Failure* failure, int code, std::string message, std::string details) {
  failure->code = code;
  failure->message = std::move(message);
  failure->details = std::move(details);
  return false;
}

std::string toJson(const Failure& failure, std::string_view cniVersion) {
  std::string out = "{\"cniVersion\":";
  json::appendQuoted(&out, cniVersion);
  out += ",\"code\":";
  out += std::to_string(failure.code);
  out += ",\"msg\":";
  json::appendQuoted(&out, cut(failure.message));
  if (!failure.details.empty()) {
    out += ",\"details\":";
    json::appendQuoted(&out, cut(failure.details));
  }
  out += '}';
  return out;
}

}  // namespace cni
