#include "http.h"

#include <algorithm>
#include <cctype>

namespace cni {
namespace http {

namespace {

constexpr size_t kMaxHead = 65536;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return tolower(static_cast<unsigned char>(x)) == tolower(static_cast<unsigned char>(y));
         });
}

// A whole number in the given base, below 2^60; false for anything else.
bool parseNumber(std::string_view text, unsigned base, uint64_t* number) {
  if (text.empty() || text.size() > 15) return false;
  *number = 0;
  for (const char c : text) {
    unsigned digit = 99;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) return false;
    *number = *number * base + digit;
  }
  return true;
}

}  // namespace

std::string post(std::string_view path, std::string_view body) {
  std::string request = "POST ";
  request += path;
  request +=
      " HTTP/1.1\r\n"
      "Host: hybridnet\r\n"
      "Content-Type: application/json\r\n"
      "Accept: application/json\r\n"
      "Connection: close\r\n"
      "Content-Length: ";
  request += std::to_string(body.size());
  request += "\r\n\r\n";
  request += body;
  return request;
}

ResponseReader::State ResponseReader::state() const {
  if (phase_ == Phase::kBad) return State::kMalformed;
  return phase_ == Phase::kDone ? State::kDone : State::kMore;
}

void ResponseReader::bad(const char* problem) {
  phase_ = Phase::kBad;
  problem_ = problem;
}

ResponseReader::State ResponseReader::feed(std::string_view data) {
  started_ = started_ || !data.empty();
  while (!data.empty() && state() == State::kMore) {
    if (phase_ == Phase::kLength || phase_ == Phase::kChunk || phase_ == Phase::kUntilEnd) {
      const size_t wanted =
          phase_ == Phase::kUntilEnd ? data.size() : static_cast<size_t>(std::min<uint64_t>(left_, data.size()));
      if (body_.size() + wanted > limit_) {
        bad("the body is too long");
        break;
      }
      body_.append(data.substr(0, wanted));
      data.remove_prefix(wanted);
      if (phase_ == Phase::kUntilEnd) continue;
      left_ -= wanted;
      if (left_ == 0) afterBytes();
      continue;
    }
    const size_t end = data.find('\n');
    const size_t length = end == std::string_view::npos ? data.size() : end + 1;
    headSize_ += length;
    if (headSize_ > kMaxHead) {
      bad("the head is too long");
      break;
    }
    line_.append(data.substr(0, length));
    data.remove_prefix(length);
    if (end == std::string_view::npos) break;
    line_.pop_back();
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    const std::string complete = std::move(line_);
    line_.clear();
    line(complete);
  }
  return state();
}

ResponseReader::State ResponseReader::finish() {
  if (phase_ == Phase::kUntilEnd) phase_ = Phase::kDone;
  if (state() == State::kMore) bad("the connection ended within the answer");
  return state();
}

void ResponseReader::line(std::string_view text) {
  switch (phase_) {
    case Phase::kStatusLine:
      statusLine(text);
      break;
    case Phase::kHeaders:
      if (text.empty()) {
        headersEnd();
      } else {
        header(text);
      }
      break;
    case Phase::kChunkSize:
      chunkSize(text);
      break;
    case Phase::kChunkEnd:
      if (text.empty()) {
        phase_ = Phase::kChunkSize;
      } else {
        bad("a chunk is longer than its size");
      }
      break;
    case Phase::kTrailers:
      if (text.empty()) phase_ = Phase::kDone;
      break;
    case Phase::kLength:
    case Phase::kUntilEnd:
    case Phase::kChunk:
    case Phase::kDone:
    case Phase::kBad:
      break;
  }
}

void ResponseReader::statusLine(std::string_view text) {
  uint64_t status = 0;
  if (text.size() < 12 || text.substr(0, 7) != "HTTP/1." || text[8] != ' ' ||
      !parseNumber(text.substr(9, 3), 10, &status) || status < 100 || (text.size() > 12 && text[12] != ' ')) {
    bad("it does not begin with an HTTP/1 status line");
    return;
  }
  status_ = static_cast<int>(status);
  phase_ = Phase::kHeaders;
}

void ResponseReader::header(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    bad("a header has no name");
    return;
  }
  const std::string_view name = text.substr(0, colon);
  const std::string_view value = trim(text.substr(colon + 1));
  if (equalsIgnoringCase(name, "transfer-encoding")) {
    if (!equalsIgnoringCase(value, "chunked")) {
      bad("it has an unknown transfer encoding");
      return;
    }
    chunked_ = true;
  } else if (equalsIgnoringCase(name, "content-length")) {
    uint64_t length = 0;
    if (!parseNumber(value, 10, &length) || (hasLength_ && length != left_)) {
      bad("its content length is not a number");
      return;
    }
    hasLength_ = true;
    left_ = length;
  } else if (equalsIgnoringCase(name, "content-encoding") && !equalsIgnoringCase(value, "identity")) {
    bad("it is compressed, which was not asked for");
  }
}

void ResponseReader::headersEnd() {
  if (status_ < 200) {
    // An interim response (100, 103): the real one follows.
    phase_ = Phase::kStatusLine;
    chunked_ = hasLength_ = false;
  } else if (status_ == 204 || status_ == 304) {
    phase_ = Phase::kDone;
  } else if (chunked_) {
    phase_ = Phase::kChunkSize;
  } else if (!hasLength_) {
    phase_ = Phase::kUntilEnd;
  } else {
    phase_ = left_ == 0 ? Phase::kDone : Phase::kLength;
  }
}

void ResponseReader::chunkSize(std::string_view text) {
  // Chunk sizes do not count as head.
  headSize_ = 0;
  if (!parseNumber(trim(text.substr(0, text.find(';'))), 16, &left_)) {
    bad("a chunk size is not a number");
    return;
  }
  phase_ = left_ == 0 ? Phase::kTrailers : Phase::kChunk;
}

void ResponseReader::afterBytes() { phase_ = phase_ == Phase::kChunk ? Phase::kChunkEnd : Phase::kDone; }

}  // namespace http
}  // namespace cni
