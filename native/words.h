// A growing buffer of 32-bit words that can be handed to JavaScript without a copy.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace hybridnet {

class Words {
 public:
  Words() = default;
  Words(Words&& other) noexcept { Swap(other); }
  Words& operator=(Words&& other) noexcept {
    Words taken(static_cast<Words&&>(other));
    Swap(taken);
    return *this;
  }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  ~Words() { Free(); }

  /** `count` zeroed words at the end; the pointer is good until the next Append. */
  uint32_t* Append(size_t count) {
    if (size_ + count > capacity_) Grow(size_ + count);
    uint32_t* start = data_ + size_;
    memset(start, 0, count * sizeof(uint32_t));
    size_ += count;
    return start;
  }
  void Truncate(size_t size) { size_ = size; }
  /** Gives back the address space beyond what is in use, before the buffer is kept for long. */
  void Trim();
  uint32_t* data() { return data_; }
  const uint32_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  void Swap(Words& other);
  void Grow(size_t needed);
  void Free();

  uint32_t* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
  /** Bytes of the mapping `data_` is, 0 while it is from malloc. */
  size_t mapped_ = 0;
};

}  // namespace hybridnet
