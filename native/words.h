// A growing buffer of 32-bit words that can be handed to JavaScript without a copy.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <utility>

namespace hybridnet {

class Words {
 public:
  Words() = default;
  Words(Words&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Words& operator=(Words&& other) noexcept {
    if (this != &other) {
      free(data_);
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
    }
    return *this;
  }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  ~Words() { free(data_); }

  /** `count` zeroed words at the end; the pointer is good until the next Append. */
  uint32_t* Append(size_t count) {
    if (size_ + count > capacity_) Grow(size_ + count);
    uint32_t* start = data_ + size_;
    memset(start, 0, count * sizeof(uint32_t));
    size_ += count;
    return start;
  }
  void Truncate(size_t size) { size_ = size; }
  uint32_t* data() { return data_; }
  const uint32_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  uint32_t* Release() {
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

 private:
  void Grow(size_t needed) {
    size_t capacity = capacity_ == 0 ? 1024 : capacity_ * 2;
    if (capacity < needed) capacity = needed;
    auto* data = static_cast<uint32_t*>(realloc(data_, capacity * sizeof(uint32_t)));
    if (data == nullptr) abort();  // as operator new does in a build without exceptions
    data_ = data;
    capacity_ = capacity;
  }

  uint32_t* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace hybridnet
