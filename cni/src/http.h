// The part of HTTP/1.1 one request to one server needs (RFC 9112): a POST with "Connection: close", and an incremental
// reader of the answer with a length, in chunks, or until the end of the connection. No compression, no continuation
// lines, no redirects.
#ifndef HYBRIDNET_CNI_HTTP_H_
#define HYBRIDNET_CNI_HTTP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cni {
namespace http {

std::string post(std::string_view path, std::string_view body);

class ResponseReader {
 public:
  enum class State { kMore, kDone, kMalformed };

  // `limit`: most bytes of the body. The head may have 64 KiB.
  explicit ResponseReader(size_t limit) : limit_(limit) {}

  State feed(std::string_view data);
  // The connection ended.
  State finish();

  // true once any byte of an answer came.
  bool started() const { return started_; }
  int status() const { return status_; }
  const std::string& body() const { return body_; }
  // Why the answer is malformed.
  const char* problem() const { return problem_; }

 private:
  enum class Phase { kStatusLine, kHeaders, kLength, kUntilEnd, kChunkSize, kChunk, kChunkEnd, kTrailers, kDone, kBad };

  State state() const;
  void bad(const char* problem);
  void line(std::string_view text);
  void statusLine(std::string_view text);
  void header(std::string_view text);
  void headersEnd();
  void chunkSize(std::string_view text);
  void afterBytes();

  const size_t limit_;
  Phase phase_ = Phase::kStatusLine;
  bool started_ = false;
  size_t headSize_ = 0;
  std::string line_;
  int status_ = 0;
  bool chunked_ = false;
  bool hasLength_ = false;
  // Bytes of the body or chunk still to come.
  uint64_t left_ = 0;
  std::string body_;
  const char* problem_ = "";
};

}  // namespace http
}  // namespace cni

#endif  // HYBRIDNET_CNI_HTTP_H_
