// Small buffers are malloc's. Large ones are a mapping of their own with far more address space than is in use, in huge
// pages where the kernel has them: growing copies nothing, and the 8 MB of a dump of 100,000 routes cost 4 page faults
// instead of 2,000, which took as long as decoding them.
#include "words.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <utility>

namespace hybridnet {

namespace {

constexpr size_t kFirstBytes = size_t{16} * 1024;
constexpr size_t kMallocBytes = size_t{1} << 20;
constexpr size_t kHugePage = size_t{2} << 20;
/** Address space, not memory: 3 million routes. Beyond it the mapping is moved. */
constexpr size_t kReserve = size_t{256} << 20;

size_t RoundUp(size_t bytes) { return (bytes + kHugePage - 1) & ~(kHugePage - 1); }

/** A mapping that starts on a huge page. @return null when there is no address space */
uint32_t* Reserve(size_t bytes) {
  const int protection = PROT_READ | PROT_WRITE;
  void* whole = mmap(nullptr, bytes + kHugePage, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (whole == MAP_FAILED) return nullptr;
  auto* start = static_cast<uint8_t*>(whole);
  const size_t before = RoundUp(reinterpret_cast<uintptr_t>(start)) - reinterpret_cast<uintptr_t>(start);
  if (before > 0) munmap(start, before);
  if (before < kHugePage) munmap(start + before + bytes, kHugePage - before);
  // Refused where the kernel is built without them; ordinary pages do.
  madvise(start + before, bytes, MADV_HUGEPAGE);
  return reinterpret_cast<uint32_t*>(start + before);
}

}  // namespace

void Words::Swap(Words& other) {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(mapped_, other.mapped_);
}

void Words::Free() {
  if (mapped_ > 0) {
    munmap(data_, mapped_);
  } else {
    free(data_);
  }
}

void Words::Grow(size_t needed) {
  const size_t bytes = needed * sizeof(uint32_t);
  size_t wanted = capacity_ == 0 ? kFirstBytes : capacity_ * sizeof(uint32_t) * 2;
  if (wanted < bytes) wanted = bytes;
  uint32_t* data = nullptr;
  size_t mapped = 0;
  if (wanted <= kMallocBytes) {
    data = static_cast<uint32_t*>(realloc(data_, wanted));
  } else if (mapped_ == 0) {
    wanted = mapped = wanted < kReserve ? kReserve : RoundUp(wanted);
    data = Reserve(mapped);
    if (data != nullptr) {
      if (size_ > 0) memcpy(data, data_, size_ * sizeof(uint32_t));
      free(data_);
    }
  } else {
    wanted = mapped = RoundUp(wanted);
    void* moved = mremap(data_, mapped_, mapped, MREMAP_MAYMOVE);
    data = moved == MAP_FAILED ? nullptr : static_cast<uint32_t*>(moved);
  }
  if (data == nullptr) abort();  // as operator new does in a build without exceptions
  data_ = data;
  mapped_ = mapped;
  capacity_ = wanted / sizeof(uint32_t);
}

void Words::Trim() {
  const size_t used = RoundUp(size_ * sizeof(uint32_t));
  if (mapped_ <= used || used == 0) return;
  munmap(reinterpret_cast<uint8_t*>(data_) + used, mapped_ - used);
  mapped_ = used;
  capacity_ = used / sizeof(uint32_t);
}

}  // namespace hybridnet
