// A deterministic mutation fuzzer for everything in the shim that reads bytes it does not control: configurations,
// answers of the daemon, HTTP, CNI_ARGS. Linked with the shim's own sources, built with sanitizers by scripts/fuzz-cni.
// Besides not crashing it holds them to properties; a violation prints the input and aborts.
//
//   fuzz ITERATIONS SEED
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../src/config.h"
#include "../src/environment.h"
#include "../src/failure.h"
#include "../src/http.h"
#include "../src/json.h"
#include "../src/protocol.h"

namespace {

uint64_t randomState = 1;

// xorshift64*: the same sequence on every machine.
uint64_t randomNumber() {
  randomState ^= randomState >> 12;
  randomState ^= randomState << 25;
  randomState ^= randomState >> 27;
  return randomState * 2685821657736338717ull;
}

size_t below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>((randomNumber() >> 20) % limit); }

const char* const kConfigs[] = {
    R"({"cniVersion":"1.1.0","name":"hybridnet","type":"hybridnet","server_socket":"/run/cni/hybridnet.sock"})",
    R"({"name":"a","cniVersion":"0.4.0","server_socket":"\/x\u0041\ud83d\ude00","request_timeout_seconds":5,"prevResult":{"ips":[]}})",
    R"({"name":"n","server_socket":"/s","x":[1,-0.5e+10,true,false,null,"\b\f\n\r\t\"\\",{"":{}}],"y":"ü€😀"})",
    R"([[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]])",
};

const char* const kBodies[] = {
    R"({"result":{"cniVersion":"1.1.0","interfaces":[],"ips":[{"address":"10.0.0.1/24","interface":1}],"dns":{}}})",
    R"({"error":{"code":11,"msg":"addresses not assigned yet","details":"expected 2, found 1","retryable":true}})",
    R"({"address":[{"ip":"10.0.0.1/24","mac":"02:12:34:00:00:07","gateway":"10.0.0.254","protocol":"4"},)"
    R"({"ip":"fd00::1/64","mac":"02:12:34:00:00:07","gateway":"","protocol":"6"}],"host_interface":"hybrc440f455693","error":""})",
    R"({"address":null,"host_interface":"","error":"no address"})",
};

const char* const kAnswers[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1A\r\n01234567890123456789012345\r\n0\r\nA: "
    "b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 500 Oops\n\nuntil the end",
    "HTTP/1.1 204 No Content\r\n\r\n",
};

const char* const kTokens[] = {"{",
                               "}",
                               "[",
                               "]",
                               ",",
                               ":",
                               "\"",
                               "\\u",
                               "\\ud800",
                               "\\udc00",
                               "\xC0\x80",
                               "\xED\xA0\x80",
                               "\xF4\x90\x80\x80",
                               "null",
                               "1e999",
                               "-",
                               "0",
                               "00",
                               "\r\n",
                               "\r\n\r\n",
                               "Content-Length: ",
                               "Transfer-Encoding: chunked",
                               "ffffffffffffffff",
                               "-1",
                               "999999999999999",
                               "\x00x",
                               " "};

template <size_t N>
std::string pick(const char* const (&list)[N]) {
  return list[below(N)];
}

std::string mutate(std::string text, const std::string& other) {
  for (size_t rounds = below(6); rounds > 0; rounds--) {
    const size_t at = below(text.size() + 1);
    const size_t length = below(16);
    switch (below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(randomNumber() >> 30);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, kTokens[below(sizeof(kTokens) / sizeof(kTokens[0]))]);
        break;
      case 3:
        text.insert(at, text.substr(below(text.size() + 1), length));
        break;
      case 4:
        text = text.substr(0, at) + other.substr(below(other.size() + 1));
        break;
      case 5:
        text.insert(at, std::string(below(100), "[{\" "[below(4)]));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

void require(bool holds, const char* property, std::string_view input) {
  if (holds) return;
  std::string shown;
  cni::json::appendQuoted(&shown, input);
  fprintf(stderr, "property violated: %s\ninput: %s\n", property, shown.c_str());
  abort();
}

bool isObject(std::string_view text) {
  cni::json::Error error;
  return cni::json::scanObject(text, nullptr, 0, nullptr, &error);
}

void checkFailure(const cni::Failure& failure, std::string_view input) {
  require(failure.code > 0 && !failure.message.empty(), "a failure has a code and a message", input);
  require(isObject(cni::toJson(failure, "1.1.0")), "an error object is valid JSON", input);
}

void fuzzJson(const std::string& text) {
  cni::json::Member members[] = {{"server_socket", {}}, {"x", {}}, {"name", {}}};
  cni::json::Error error;
  std::string_view whole;
  if (!cni::json::scanObject(text, members, 3, &whole, &error)) {
    require(error.offset <= text.size() && error.what[0] != '\0', "an error says what and where", text);
    return;
  }
  require(cni::json::isUtf8(text), "only UTF-8 is accepted", text);
  require(isObject(whole), "the object as written is an object", text);
  for (const cni::json::Member& member : members) {
    if (member.value.kind != cni::json::Kind::kString) continue;
    const std::string decoded = cni::json::decodeString(member.value.raw);
    require(cni::json::isUtf8(decoded), "decoded strings are UTF-8", text);
    std::string wrapped = "{\"x\":";
    cni::json::appendQuoted(&wrapped, decoded);
    wrapped += '}';
    cni::json::Member again = {"x", {}};
    require(cni::json::scanObject(wrapped, &again, 1, nullptr, &error), "quoted text is JSON", text);
    require(cni::json::decodeString(again.value.raw) == decoded, "quoting loses nothing", text);
  }
}

void fuzzConfig(const std::string& text) {
  for (const cni::Command command : {cni::Command::kAdd, cni::Command::kCheck, cni::Command::kGc}) {
    cni::Config config;
    cni::Failure failure;
    if (!cni::readConfig(text, command, &config, &failure)) {
      require(failure.code == 1 || failure.code == 6 || failure.code == 7, "bad configurations are 1, 6 or 7", text);
      checkFailure(failure, text);
      continue;
    }
    require(config.socket[0] == '/' && config.socket.size() <= 107, "the socket path fits", text);
    cni::Environment environment;
    environment.command = command;
    environment.args.emplace_back("K8S_POD_NAME", text.substr(0, 20));
    const std::string request = cni::requestV2(environment, config);
    // Raw bytes never get that far: readEnvironment refuses what is not UTF-8.
    require(isObject(request), "a request is valid JSON", text);
    require(request.find(config.raw) != std::string::npos, "the configuration is echoed as written", text);
  }
  std::string result;
  cni::Failure failure;
  if (cni::versionResult(text, &result, &failure)) {
    require(isObject(result), "VERSION prints an object", text);
  } else {
    checkFailure(failure, text);
  }
}

void fuzzAnswer(const std::string& body) {
  cni::Environment environment;
  environment.command = below(2) == 0 ? cni::Command::kAdd : cni::Command::kDel;
  environment.ifname = "eth0";
  environment.netns = "/run/netns/x";
  cni::Answer answer;
  answer.status = below(2) == 0 ? 200 : 500;
  answer.body = body;
  std::string result;
  bool notSupported = false;
  cni::Failure failure;
  if (cni::answerV2(environment, answer, &result, &notSupported, &failure)) {
    require(result.empty() == (environment.command != cni::Command::kAdd), "only ADD has a result", body);
    require(result.empty() || isObject(result), "a result is an object", body);
  } else {
    checkFailure(failure, body);
  }
  for (const char* version : {"0.2.0", "0.4.0", "1.1.0"}) {
    cni::Config config;
    config.version = version;
    result.clear();
    if (cni::answerV1(environment, config, answer, &result, &failure)) {
      require(result.empty() || isObject(result), "a version 1 result is an object", body);
    } else {
      checkFailure(failure, body);
    }
  }
}

void fuzzHttp(const std::string& text) {
  cni::http::ResponseReader whole(1000);
  auto state = whole.feed(text);
  if (state == cni::http::ResponseReader::State::kMore) state = whole.finish();
  cni::http::ResponseReader pieces(1000);
  auto piecewise = cni::http::ResponseReader::State::kMore;
  for (size_t at = 0; at < text.size() && piecewise == cni::http::ResponseReader::State::kMore;) {
    const size_t length = 1 + below(9);
    piecewise = pieces.feed(std::string_view(text).substr(at, length));
    at += length;
  }
  if (piecewise == cni::http::ResponseReader::State::kMore) piecewise = pieces.finish();
  require(state == piecewise, "pieces end as the whole does", text);
  require(whole.body().size() <= 1000, "the limit holds", text);
  if (state == cni::http::ResponseReader::State::kDone) {
    require(whole.status() == pieces.status() && whole.body() == pieces.body(), "pieces read as the whole", text);
    require(whole.status() >= 200 && whole.status() <= 999, "a status is one", text);
  }
}

void fuzzEnvironment(const std::string& text) {
  // An environment variable ends at the first NUL.
  setenv("CNI_ARGS", text.c_str(), 1);
  setenv("CNI_NETNS", text.substr(below(text.size() + 1)).c_str(), 1);
  setenv("CNI_CONTAINERID", below(2) == 0 ? "c1" : text.c_str(), 1);
  cni::Environment environment;
  cni::Failure failure;
  if (!cni::readEnvironment(&environment, &failure)) {
    require(failure.code == cni::kInvalidEnvironment, "a bad environment is 4", text);
    checkFailure(failure, text);
    return;
  }
  cni::Config config;
  config.raw = "{}";
  require(isObject(cni::requestV2(environment, config)), "a request is valid JSON", text);
  require(isObject(cni::requestV1(environment)), "a version 1 request is valid JSON", text);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: fuzz ITERATIONS SEED\n");
    return 2;
  }
  const uint64_t iterations = strtoull(argv[1], nullptr, 10);
  randomState = strtoull(argv[2], nullptr, 10) * 2 + 1;
  setenv("CNI_COMMAND", "DEL", 1);
  setenv("CNI_IFNAME", "eth0", 1);
  const std::string args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u;;x";
  // Inputs that got further than most are kept as starting points.
  std::vector<std::string> corpus;
  for (uint64_t i = 0; i < iterations; i++) {
    const std::string other = corpus.empty() ? pick(kBodies) : corpus[below(corpus.size())];
    const std::string config = mutate(below(3) == 0 ? other : pick(kConfigs), other);
    fuzzJson(config);
    fuzzConfig(config);
    fuzzAnswer(mutate(below(3) == 0 ? other : pick(kBodies), config));
    fuzzHttp(mutate(pick(kAnswers), other));
    fuzzEnvironment(mutate(args, other));
    if (isObject(config) && corpus.size() < 256) corpus.push_back(config);
    if (isObject(config) && corpus.size() == 256) corpus[below(256)] = config;
  }
  printf("%" PRIu64 " iterations, seed %s: no violation\n", iterations, argv[2]);
  return 0;
}
