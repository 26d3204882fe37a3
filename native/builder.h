// A netlink message under construction, in a buffer that may hold many. Inline: a batch of 100,000 requests comes
// through here half a million times.
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace hybridnet {

class Builder {
 public:
  Builder() = default;
  Builder(Builder&& other) noexcept { *this = static_cast<Builder&&>(other); }
  Builder& operator=(Builder&& other) noexcept {
    if (this == &other) return *this;
    free(bytes_);
    bytes_ = other.bytes_;
    size_ = other.size_;
    capacity_ = other.capacity_;
    message_ = other.message_;
    other.bytes_ = nullptr;
    other.size_ = other.capacity_ = other.message_ = 0;
    return *this;
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() { free(bytes_); }

  void Clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  const uint8_t* data() const { return bytes_; }
  size_t size() const { return size_; }

  /** Starts a message; its length is fixed by End. */
  void Begin(uint16_t type, uint16_t flags, uint32_t sequence) {
    message_ = size_;
    nlmsghdr header = {};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    header.nlmsg_seq = sequence;
    memcpy(Space(sizeof header), &header, sizeof header);
  }

  void End() {
    const auto length = static_cast<uint32_t>(size_ - message_);
    memcpy(bytes_ + message_ + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  }

  /** Adds a flag to the message last begun. */
  void AddFlag(uint16_t flag) {
    uint16_t flags = 0;
    uint8_t* at = bytes_ + message_ + offsetof(nlmsghdr, nlmsg_flags);
    memcpy(&flags, at, sizeof flags);
    flags |= flag;
    memcpy(at, &flags, sizeof flags);
  }

  /** `length` zeroed bytes, padded to four; the pointer is good until the next call. */
  uint8_t* Space(size_t length) {
    const size_t padded = NLMSG_ALIGN(length);
    if (size_ + padded > capacity_) Grow(size_ + padded);
    uint8_t* at = bytes_ + size_;
    memset(at, 0, padded);
    size_ += padded;
    return at;
  }

  /** Room for `most` bytes, not cleared, at the end; Advance says up to where they were used. */
  uint8_t* Reserve(size_t most) {
    if (size_ + most > capacity_) Grow(size_ + most);
    return bytes_ + size_;
  }
  void Advance(const uint8_t* end) { size_ = static_cast<size_t>(end - bytes_); }

  /** The payload of a new attribute. */
  uint8_t* Attribute(uint16_t type, size_t length) {
    const nlattr header = {static_cast<uint16_t>(NLA_HDRLEN + length), type};
    uint8_t* at = Space(NLA_HDRLEN + length);
    memcpy(at, &header, sizeof header);
    return at + NLA_HDRLEN;
  }

  size_t BeginNest(uint16_t type) {
    const size_t at = size_;
    Attribute(type, 0);
    return at;
  }

  void EndNest(size_t at) {
    const auto length = static_cast<uint16_t>(size_ - at);
    memcpy(bytes_ + at, &length, sizeof length);
  }

 private:
  void Grow(size_t needed) {
    size_t capacity = capacity_ == 0 ? 4096 : capacity_ * 2;
    if (capacity < needed) capacity = needed;
    auto* bytes = static_cast<uint8_t*>(realloc(bytes_, capacity));
    if (bytes == nullptr) abort();  // as operator new does in a build without exceptions
    bytes_ = bytes;
    capacity_ = capacity;
  }

  uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
  /** Where the message last begun starts. */
  size_t message_ = 0;
};

}  // namespace hybridnet
