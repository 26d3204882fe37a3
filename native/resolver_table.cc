#include <sys/random.h>
#include <time.h>

#include "resolver.h"

namespace hybridnet {

namespace {

constexpr size_t kMissSlots = 1024;
/** The kernel repeats a question each second while packets keep coming. */
constexpr uint64_t kQuietMilliseconds = 1000;
/** How long an entry stays INCOMPLETE or freshly FAILED: an answer that comes by then still helps. */
constexpr uint64_t kLateMilliseconds = 10000;

uint64_t RandomSeed() {
  uint64_t seed = 0;
  // Only keeps colliding addresses from being chosen on purpose; without it the table is slower, not wrong.
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = 0x9e3779b97f4a7c15ULL;
  return seed;
}

uint64_t NowMilliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

bool SameKey(const ResolverKey& a, const ResolverKey& b) {
  return a.wide == b.wide && memcmp(a.bytes, b.bytes, a.wide ? 16 : 4) == 0;
}

}  // namespace

ResolverTable::ResolverTable() : inet_(RandomSeed()), inet6_(RandomSeed()), misses_(kMissSlots) {}

template <size_t kBytes>
void ResolverTable::Fit(MacTable<kBytes>& table, size_t entries) {
  const size_t slots = table.WantedSlots(entries);
  if (slots == 0) return;
  // Only this thread writes, so the copy is made while the resolver goes on reading the old one.
  auto copy = table.Copy(slots);
  const std::lock_guard<std::mutex> lock(mutex_);
  table.Swap(&copy);
}

void ResolverTable::Reserve(size_t inet, size_t inet6) {
  if (inet > 0) Fit(inet_, inet_.size() + inet);
  if (inet6 > 0) Fit(inet6_, inet6_.size() + inet6);
}

ResolverTable::Miss& ResolverTable::MissSlot(const ResolverKey& key) {
  uint32_t hash = 2166136261U;
  for (size_t i = 0; i < (key.wide ? 16U : 4U); i++) hash = (hash ^ key.bytes[i]) * 16777619U;
  return misses_[(hash ^ hash >> 16) % kMissSlots];
}

bool ResolverTable::Set(const ResolverKey& key, const uint8_t* mac) {
  if (key.wide) {
    Fit(inet6_, inet6_.size() + 1);
  } else {
    Fit(inet_, inet_.size() + 1);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (key.wide) {
    inet6_.Set(key.bytes, mac);
  } else {
    inet_.Set(key.bytes, mac);
  }
  Miss& miss = MissSlot(key);
  if (miss.milliseconds == 0 || !SameKey(miss.key, key)) return false;
  const bool late = NowMilliseconds() - miss.milliseconds < kLateMilliseconds;
  miss.milliseconds = 0;
  return late;
}

bool ResolverTable::Erase(const ResolverKey& key) {
  bool erased = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    erased = key.wide ? inet6_.Erase(key.bytes) : inet_.Erase(key.bytes);
  }
  if (erased && key.wide) Fit(inet6_, inet6_.size());
  if (erased && !key.wide) Fit(inet_, inet_.size());
  return erased;
}

bool ResolverTable::Find(const ResolverKey& key, uint8_t* mac) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint8_t* found = key.wide ? inet6_.Find(key.bytes) : inet_.Find(key.bytes);
  if (found == nullptr) return false;
  memcpy(mac, found, 6);
  return true;
}

bool ResolverTable::NoteMiss(const ResolverKey& key) {
  const uint64_t now = NowMilliseconds();
  const std::lock_guard<std::mutex> lock(mutex_);
  Miss& miss = MissSlot(key);
  const bool known = miss.milliseconds != 0 && SameKey(miss.key, key);
  if (known && now - miss.milliseconds < kQuietMilliseconds) return false;
  miss = {key, now};
  return true;
}

size_t ResolverTable::size() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return inet_.size() + inet6_.size();
}

size_t ResolverTable::bytes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return inet_.bytes() + inet6_.bytes();
}

}  // namespace hybridnet
