// A compact map from an address to a MAC: open addressing, linear probing, no pointers, no tombstones.
//
// One entry takes 12 bytes (IPv4) or 24 (IPv6) at a load between 0.7 and 0.875, i.e. at most 17 and 34 bytes: a
// dual-stack pod costs at most 52. One thread writes; readers and the writer's changes in place need the owner's lock,
// building a larger copy does not.
#pragma once

#include <stdint.h>
#include <string.h>

#include <vector>

namespace hybridnet {

template <size_t kKeyBytes>
class MacTable {
 public:
  explicit MacTable(uint64_t seed) : seed_(seed) {}

  struct Slot {
    uint8_t key[kKeyBytes];
    uint8_t mac[6];
    uint8_t used;
    uint8_t unused;
  };
  using Slots = std::vector<Slot>;

  size_t size() const { return size_; }
  size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

  /** The number of slots this many entries need when now they are too many or far too few; 0 to leave it. */
  size_t WantedSlots(size_t entries) const {
    const size_t slots = slots_.size();
    if (entries * 8 > slots * 7) {
      const size_t step = slots + slots / 4;
      const size_t least = entries + entries / 4 + 8;
      return step * 7 > entries * 8 && step > least ? step : least;
    }
    return slots > 64 && entries * 4 < slots ? entries * 2 + 8 : 0;
  }

  /** A copy of all entries over another number of slots. Needs no lock in the writing thread. */
  Slots Copy(size_t slots) const {
    Slots copy(slots);
    for (const Slot& slot : slots_) {
      if (slot.used != 0) *Probe(copy, slot.key) = slot;
    }
    return copy;
  }

  /** With the lock: takes over what Copy made; the old slots leave in `slots`. */
  void Swap(Slots* slots) { slots_.swap(*slots); }

  /** With the lock; there must be room (WantedSlots). */
  void Set(const uint8_t* key, const uint8_t* mac) {
    Slot* slot = Probe(slots_, key);
    if (slot->used == 0) {
      memcpy(slot->key, key, kKeyBytes);
      slot->used = 1;
      size_++;
    }
    memcpy(slot->mac, mac, 6);
  }

  /** With the lock. */
  const uint8_t* Find(const uint8_t* key) const {
    if (slots_.empty()) return nullptr;
    const Slot* slot = Probe(const_cast<Slots&>(slots_), key);
    return slot->used != 0 ? slot->mac : nullptr;
  }

  /** With the lock. */
  bool Erase(const uint8_t* key) {
    if (slots_.empty()) return false;
    Slot* slot = Probe(slots_, key);
    if (slot->used == 0) return false;
    size_t hole = static_cast<size_t>(slot - slots_.data());
    // Whatever would no longer be reached across the hole moves into it.
    for (size_t at = Next(hole); slots_[at].used != 0; at = Next(at)) {
      const size_t home = Home(slots_.size(), slots_[at].key);
      const bool reachable = hole <= at ? home > hole && home <= at : home > hole || home <= at;
      if (reachable) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole].used = 0;
    size_--;
    return true;
  }

 private:
  size_t Next(size_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }

  size_t Home(size_t slots, const uint8_t* key) const {
    uint64_t hash = seed_;
    for (size_t i = 0; i < kKeyBytes; i += 4) {
      uint32_t word = 0;
      memcpy(&word, key + i, sizeof word);
      // The finalizer of MurmurHash3: pod addresses differ in a few low bits only.
      hash ^= word;
      hash *= 0xff51afd7ed558ccdULL;
      hash ^= hash >> 33;
    }
    hash *= 0xc4ceb9fe1a85ec53ULL;
    return static_cast<size_t>((hash >> 32) * slots >> 32);
  }

  /** The slot of the key, or the free one where it belongs. */
  Slot* Probe(Slots& slots, const uint8_t* key) const {
    size_t at = Home(slots.size(), key);
    while (slots[at].used != 0 && memcmp(slots[at].key, key, kKeyBytes) != 0) {
      at = at + 1 == slots.size() ? 0 : at + 1;
    }
    return &slots[at];
  }

  Slots slots_;
  size_t size_ = 0;
  uint64_t seed_;
};

}  // namespace hybridnet
