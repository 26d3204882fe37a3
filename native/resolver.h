// The table and the counters of the neighbour resolver; resolver.cc answers the kernel from them.
#pragma once

#include <stdint.h>

#include <mutex>
#include <vector>

#include "mac_table.h"
#include "words.h"

namespace hybridnet {

/** An address as the table and the reports know it. */
struct ResolverKey {
  uint8_t bytes[16];
  bool wide;
};

/** ip → MAC, and the addresses recently asked for in vain. Safe between the JavaScript thread (writer) and the
 * resolver's. */
class ResolverTable {
 public:
  ResolverTable();

  /** JavaScript thread. @return true when the kernel asked for this address a moment ago and should be told now */
  bool Set(const ResolverKey& key, const uint8_t* mac);
  /** JavaScript thread. */
  bool Erase(const ResolverKey& key);
  /** JavaScript thread: makes room for that many more entries of each family, so that Set does not grow in steps. */
  void Reserve(size_t inet, size_t inet6);

  bool Find(const ResolverKey& key, uint8_t* mac);
  /** Notes a question without answer. @return false when the same was noted less than a second ago */
  bool NoteMiss(const ResolverKey& key);

  size_t size();
  size_t bytes();

 private:
  struct Miss {
    ResolverKey key;
    uint64_t milliseconds;
  };

  template <size_t kBytes>
  void Fit(MacTable<kBytes>& table, size_t entries);
  Miss& MissSlot(const ResolverKey& key);

  std::mutex mutex_;
  MacTable<4> inet_;
  MacTable<16> inet6_;
  std::vector<Miss> misses_;
};

}  // namespace hybridnet
