// The packed records that cross the boundary, in 32-bit words; lib/netlink/layout.ts states the same numbers and
// test/unit/netlink/layout.test.ts compares the two.
//
// Addresses take four words at an even index: two 64-bit halves in host order, the high half first; an IPv4 address is
// the first word. A MAC takes two: the upper 16 bits, the lower 32. Word 1 of each record says which attributes are
// present: bit n for field n of its table (codec.cc), and bit n + 16 when that address has 16 bytes.
//
// A stream (batches, monitors, link dumps) puts two words before each record: message type | flags << 16, and the
// record's length in words, and pads after a record of odd length. Dumps of the four fixed classes are records only.
#pragma once

#include <stdint.h>

namespace hybridnet {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the IPv4 word of an address is its first on little endian only");

constexpr uint32_t kStreamHeaderWords = 2;
constexpr uint32_t kPresence = 1;

/** Words a record of `length` takes in a stream: the next one starts on an 8-byte boundary again. */
constexpr uint64_t StreamWords(uint32_t length) { return kStreamHeaderWords + ((uint64_t{length} + 1) & ~uint64_t{1}); }

struct RouteLayout {
  /** family | destination length << 8 | type << 16 | scope << 24 */
  static constexpr uint8_t kHeader = 0;
  /** protocol | number of next-hop records that follow << 16 */
  static constexpr uint8_t kProtocol = 2;
  /** rtm_flags; in a next-hop record rtnh_flags */
  static constexpr uint8_t kFlags = 3;
  static constexpr uint8_t kTable = 4;
  static constexpr uint8_t kOif = 5;
  /** RTA_PRIORITY; in a next-hop record the weight, 1 to 256 */
  static constexpr uint8_t kMetric = 6;
  static constexpr uint8_t kNexthopId = 7;
  static constexpr uint8_t kDst = 8;
  static constexpr uint8_t kGateway = 12;
  static constexpr uint8_t kPrefSrc = 16;
  static constexpr uint8_t kWords = 20;

  static constexpr uint8_t kHasDst = 0;
  static constexpr uint8_t kHasTable = 1;
  static constexpr uint8_t kHasOif = 2;
  static constexpr uint8_t kHasMetric = 3;
  static constexpr uint8_t kHasNexthopId = 4;
  static constexpr uint8_t kHasGateway = 5;
  static constexpr uint8_t kHasPrefSrc = 6;
  /** RTA_VIA: a gateway of the other family */
  static constexpr uint8_t kHasVia = 7;
};

struct RuleLayout {
  /** family | source length << 8 | destination length << 16 | action << 24 */
  static constexpr uint8_t kHeader = 0;
  /** FIB_RULE_* flags */
  static constexpr uint8_t kFlags = 2;
  /** 1 when the rule has a selector outside this table (decoding only) */
  static constexpr uint8_t kForeign = 3;
  static constexpr uint8_t kPriority = 4;
  static constexpr uint8_t kTable = 5;
  static constexpr uint8_t kFwmark = 6;
  static constexpr uint8_t kFwmask = 7;
  static constexpr uint8_t kSrc = 8;
  static constexpr uint8_t kDst = 12;
  static constexpr uint8_t kProtocol = 16;
  static constexpr uint8_t kWords = 18;

  static constexpr uint8_t kHasSrc = 0;
  static constexpr uint8_t kHasDst = 1;
  static constexpr uint8_t kHasPriority = 2;
  static constexpr uint8_t kHasTable = 3;
  static constexpr uint8_t kHasFwmark = 4;
  static constexpr uint8_t kHasFwmask = 5;
  static constexpr uint8_t kHasProtocol = 6;
};

struct NeighLayout {
  /** family | NTF_* << 8 | type << 16 */
  static constexpr uint8_t kHeader = 0;
  static constexpr uint8_t kIndex = 2;
  /** NUD_* */
  static constexpr uint8_t kState = 3;
  static constexpr uint8_t kMac = 4;
  static constexpr uint8_t kProtocol = 6;
  static constexpr uint8_t kNexthopId = 7;
  static constexpr uint8_t kDst = 8;
  static constexpr uint8_t kWords = 12;

  static constexpr uint8_t kHasDst = 0;
  static constexpr uint8_t kHasMac = 1;
  static constexpr uint8_t kHasProtocol = 2;
  static constexpr uint8_t kHasNexthopId = 3;
};

struct AddrLayout {
  /** family | prefix length << 8 | scope << 16 */
  static constexpr uint8_t kHeader = 0;
  static constexpr uint8_t kIndex = 2;
  /** IFA_F_* */
  static constexpr uint8_t kFlags = 3;
  /** IPv4 only */
  static constexpr uint8_t kBroadcast = 4;
  static constexpr uint8_t kProtocol = 5;
  /** IFA_CACHEINFO: valid lifetime, then preferred lifetime, seconds */
  static constexpr uint8_t kLifetime = 6;
  static constexpr uint8_t kLocal = 8;
  static constexpr uint8_t kAddress = 12;
  static constexpr uint8_t kWords = 16;

  static constexpr uint8_t kHasLocal = 0;
  static constexpr uint8_t kHasAddress = 1;
  static constexpr uint8_t kHasFlags = 2;
  static constexpr uint8_t kHasBroadcast = 3;
  static constexpr uint8_t kHasProtocol = 4;
  static constexpr uint8_t kHasLifetime = 5;
};

}  // namespace hybridnet
