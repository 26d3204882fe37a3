// Packed record <-> rtnetlink message: one attribute table per class serves both directions, for batches, dumps and
// monitors. Links (and whatever else has no table) pass as they are: the record is the message's fixed header followed
// by its attributes, of which decoding keeps the ones named in codec.cc.
//
// Pure: no system call here.
#pragma once

#include <linux/netlink.h>
#include <stdint.h>

#include <vector>

#include "words.h"

namespace hybridnet {

/** A message under construction, in a buffer that may hold many. */
class Builder {
 public:
  void Clear() { bytes_.clear(); }
  bool empty() const { return bytes_.empty(); }
  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }

  /** Starts a message; its length is fixed by End. */
  void Begin(uint16_t type, uint16_t flags, uint32_t sequence);
  void End();
  /** Adds a flag to the message last begun. */
  void AddFlag(uint16_t flag);
  /** `length` zeroed bytes, padded to four. */
  uint8_t* Space(size_t length);
  /** The payload of a new attribute. */
  uint8_t* Attribute(uint16_t type, size_t length);
  size_t BeginNest(uint16_t type);
  void EndNest(size_t at);

 private:
  std::vector<uint8_t> bytes_;
  size_t message_ = 0;
};

/** Length in words of one record of the messages' class, 0 for those that pass as they are. */
uint32_t RecordWords(uint16_t messageType);

/** Encodes the record after the fixed netlink header. @return false when the record is too short or inconsistent */
bool EncodeRecord(uint16_t messageType, const uint32_t* record, size_t words, Builder& out);

/** Appends the record(s) of one message. @return false (and nothing appended) when the message is malformed or unwanted
 */
bool DecodeRecord(const nlmsghdr* message, Words& out);

/** The same with the two-word stream header before it. */
bool DecodeToStream(const nlmsghdr* message, Words& out);

/** Reads an address of 4 or 16 bytes into four words. @return false for another length */
bool LoadAddress(const uint8_t* bytes, size_t length, uint32_t* words);
/** Writes 4 or 16 bytes of network order. */
void StoreAddress(const uint32_t* words, bool wide, uint8_t* bytes);

}  // namespace hybridnet
