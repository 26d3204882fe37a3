// Packed record <-> rtnetlink message: one attribute table per class serves both directions, for batches, dumps and
// monitors. Links (and whatever else has no table) pass as they are: the record is the message's fixed header followed
// by its attributes, of which decoding keeps the ones named in codec.cc.
//
// Pure: no system call here.
#pragma once

#include <linux/netlink.h>
#include <stdint.h>

#include "builder.h"
#include "words.h"

namespace hybridnet {

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
