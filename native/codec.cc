#include "codec.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <iterator>
#include <utility>

#include "layout.h"

#ifndef NDA_NH_ID
#define NDA_NH_ID 13
#endif

namespace hybridnet {

bool LoadAddress(const uint8_t* bytes, size_t length, uint32_t* words) {
  if (length == 4) {
    uint32_t value = 0;
    memcpy(&value, bytes, sizeof value);
    words[0] = be32toh(value);
    return true;
  }
  if (length != 16) return false;
  uint64_t halves[2];
  memcpy(halves, bytes, sizeof halves);
  halves[0] = be64toh(halves[0]);
  halves[1] = be64toh(halves[1]);
  memcpy(words, halves, sizeof halves);
  return true;
}

void StoreAddress(const uint32_t* words, bool wide, uint8_t* bytes) {
  if (!wide) {
    const uint32_t value = htobe32(words[0]);
    memcpy(bytes, &value, sizeof value);
    return;
  }
  uint64_t halves[2];
  memcpy(halves, words, sizeof halves);
  halves[0] = htobe64(halves[0]);
  halves[1] = htobe64(halves[1]);
  memcpy(bytes, halves, sizeof halves);
}

namespace {

// IFA_PROTO entered the kernel with 5.18; older headers lack the name.
constexpr uint16_t kIfaProto = 11;
// More than all attributes of one record can take: 8 addresses of 20 bytes.
constexpr size_t kFieldBytes = 256;

enum class Kind : uint8_t {
  kU8,
  kU32,
  /** 4 or 16 bytes of network order <-> four words */
  kAddress,
  /** 4 bytes of network order <-> one word */
  kInet4,
  /** 6 bytes <-> two words */
  kMac,
  /** struct rtvia: family, address <-> four words */
  kVia,
  /** struct ifa_cacheinfo <-> valid, preferred */
  kLifetime,
};

struct Field {
  uint16_t attribute;
  Kind kind;
  uint8_t word;
  uint8_t presence;
};

struct Class {
  const Field* fields;
  size_t count;
  uint8_t words;
  uint8_t headerBytes;
  void (*encodeHeader)(const uint32_t* record, uint8_t* header);
  /** @return false to skip the message */
  bool (*decodeHeader)(const uint8_t* header, uint32_t* record);
  /** Called for each attribute without a field. */
  void (*other)(const nlattr* attribute, uint32_t* record);
};

uint8_t Byte(uint32_t word, int n) { return static_cast<uint8_t>(word >> (8 * n)); }
uint32_t Pack(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return static_cast<uint32_t>(a) | static_cast<uint32_t>(b) << 8 | static_cast<uint32_t>(c) << 16 |
         static_cast<uint32_t>(d) << 24;
}
bool Has(const uint32_t* record, uint8_t bit) { return (record[kPresence] >> bit & 1) != 0; }
bool IsWide(const uint32_t* record, uint8_t bit) { return (record[kPresence] >> (bit + 16) & 1) != 0; }

const uint8_t* Payload(const nlattr* attribute) { return reinterpret_cast<const uint8_t*>(attribute) + NLA_HDRLEN; }
size_t PayloadLength(const nlattr* attribute) { return attribute->nla_len - NLA_HDRLEN; }
uint16_t TypeOf(const nlattr* attribute) { return attribute->nla_type & NLA_TYPE_MASK; }

/** Calls `visit` for each well-formed attribute; stops at the first that overruns. */
template <typename Visit>
void EachAttribute(const uint8_t* bytes, size_t length, Visit visit) {
  while (length >= NLA_HDRLEN) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes);
    if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > length) return;
    visit(attribute);
    const size_t step = NLA_ALIGN(attribute->nla_len);
    if (step >= length) return;
    bytes += step;
    length -= step;
  }
}

// --- the four tables ---

constexpr Field kRouteFields[] = {
    {RTA_DST, Kind::kAddress, RouteLayout::kDst, RouteLayout::kHasDst},
    {RTA_TABLE, Kind::kU32, RouteLayout::kTable, RouteLayout::kHasTable},
    {RTA_OIF, Kind::kU32, RouteLayout::kOif, RouteLayout::kHasOif},
    {RTA_PRIORITY, Kind::kU32, RouteLayout::kMetric, RouteLayout::kHasMetric},
    {RTA_NH_ID, Kind::kU32, RouteLayout::kNexthopId, RouteLayout::kHasNexthopId},
    {RTA_GATEWAY, Kind::kAddress, RouteLayout::kGateway, RouteLayout::kHasGateway},
    {RTA_PREFSRC, Kind::kAddress, RouteLayout::kPrefSrc, RouteLayout::kHasPrefSrc},
    {RTA_VIA, Kind::kVia, RouteLayout::kGateway, RouteLayout::kHasVia},
};

void EncodeRouteHeader(const uint32_t* record, uint8_t* header) {
  auto* route = reinterpret_cast<rtmsg*>(header);
  const uint32_t table = record[RouteLayout::kTable];
  route->rtm_family = Byte(record[RouteLayout::kHeader], 0);
  route->rtm_dst_len = Byte(record[RouteLayout::kHeader], 1);
  route->rtm_type = Byte(record[RouteLayout::kHeader], 2);
  route->rtm_scope = Byte(record[RouteLayout::kHeader], 3);
  route->rtm_protocol = Byte(record[RouteLayout::kProtocol], 0);
  route->rtm_table = table < 256 ? static_cast<uint8_t>(table) : static_cast<uint8_t>(RT_TABLE_UNSPEC);
  route->rtm_flags = record[RouteLayout::kFlags];
}

bool DecodeRouteHeader(const uint8_t* header, uint32_t* record) {
  const auto* route = reinterpret_cast<const rtmsg*>(header);
  // Cached exceptions (path MTU, redirects) are not routes anybody configured.
  if ((route->rtm_flags & RTM_F_CLONED) != 0) return false;
  if (route->rtm_family != AF_INET && route->rtm_family != AF_INET6) return false;
  record[RouteLayout::kHeader] = Pack(route->rtm_family, route->rtm_dst_len, route->rtm_type, route->rtm_scope);
  record[RouteLayout::kProtocol] = route->rtm_protocol;
  record[RouteLayout::kFlags] = route->rtm_flags;
  record[RouteLayout::kTable] = route->rtm_table;
  return true;
}

constexpr Field kRuleFields[] = {
    {FRA_SRC, Kind::kAddress, RuleLayout::kSrc, RuleLayout::kHasSrc},
    {FRA_DST, Kind::kAddress, RuleLayout::kDst, RuleLayout::kHasDst},
    {FRA_PRIORITY, Kind::kU32, RuleLayout::kPriority, RuleLayout::kHasPriority},
    {FRA_TABLE, Kind::kU32, RuleLayout::kTable, RuleLayout::kHasTable},
    {FRA_FWMARK, Kind::kU32, RuleLayout::kFwmark, RuleLayout::kHasFwmark},
    {FRA_FWMASK, Kind::kU32, RuleLayout::kFwmask, RuleLayout::kHasFwmask},
    {FRA_PROTOCOL, Kind::kU8, RuleLayout::kProtocol, RuleLayout::kHasProtocol},
};

void EncodeRuleHeader(const uint32_t* record, uint8_t* header) {
  auto* rule = reinterpret_cast<fib_rule_hdr*>(header);
  const uint32_t table = record[RuleLayout::kTable];
  rule->family = Byte(record[RuleLayout::kHeader], 0);
  rule->src_len = Byte(record[RuleLayout::kHeader], 1);
  rule->dst_len = Byte(record[RuleLayout::kHeader], 2);
  rule->action = Byte(record[RuleLayout::kHeader], 3);
  rule->table = table < 256 ? static_cast<uint8_t>(table) : static_cast<uint8_t>(RT_TABLE_UNSPEC);
  rule->flags = record[RuleLayout::kFlags];
}

bool DecodeRuleHeader(const uint8_t* header, uint32_t* record) {
  const auto* rule = reinterpret_cast<const fib_rule_hdr*>(header);
  if (rule->family != AF_INET && rule->family != AF_INET6) return false;
  record[RuleLayout::kHeader] = Pack(rule->family, rule->src_len, rule->dst_len, rule->action);
  record[RuleLayout::kFlags] = rule->flags;
  record[RuleLayout::kTable] = rule->table;
  record[RuleLayout::kForeign] = rule->tos != 0 || (rule->flags & FIB_RULE_INVERT) != 0 ? 1 : 0;
  return true;
}

void OtherRuleAttribute(const nlattr* attribute, uint32_t* record) {
  uint32_t value = 0;
  if (PayloadLength(attribute) == sizeof value) memcpy(&value, Payload(attribute), sizeof value);
  const uint16_t type = TypeOf(attribute);
  // The kernel states "suppresses nothing" in every dump.
  const bool harmless = type == FRA_PAD || (type == FRA_SUPPRESS_PREFIXLEN && value == UINT32_MAX);
  if (!harmless) record[RuleLayout::kForeign] = 1;
}

constexpr Field kNeighFields[] = {
    {NDA_DST, Kind::kAddress, NeighLayout::kDst, NeighLayout::kHasDst},
    {NDA_LLADDR, Kind::kMac, NeighLayout::kMac, NeighLayout::kHasMac},
    {NDA_PROTOCOL, Kind::kU8, NeighLayout::kProtocol, NeighLayout::kHasProtocol},
    {NDA_NH_ID, Kind::kU32, NeighLayout::kNexthopId, NeighLayout::kHasNexthopId},
};

void EncodeNeighHeader(const uint32_t* record, uint8_t* header) {
  auto* neigh = reinterpret_cast<ndmsg*>(header);
  neigh->ndm_family = Byte(record[NeighLayout::kHeader], 0);
  neigh->ndm_flags = Byte(record[NeighLayout::kHeader], 1);
  neigh->ndm_type = Byte(record[NeighLayout::kHeader], 2);
  neigh->ndm_ifindex = static_cast<int>(record[NeighLayout::kIndex]);
  neigh->ndm_state = static_cast<uint16_t>(record[NeighLayout::kState]);
}

bool DecodeNeighHeader(const uint8_t* header, uint32_t* record) {
  const auto* neigh = reinterpret_cast<const ndmsg*>(header);
  if (neigh->ndm_family != AF_INET && neigh->ndm_family != AF_INET6 && neigh->ndm_family != AF_BRIDGE) return false;
  record[NeighLayout::kHeader] = Pack(neigh->ndm_family, neigh->ndm_flags, neigh->ndm_type, 0);
  record[NeighLayout::kIndex] = static_cast<uint32_t>(neigh->ndm_ifindex);
  record[NeighLayout::kState] = neigh->ndm_state;
  return true;
}

constexpr Field kAddrFields[] = {
    {IFA_LOCAL, Kind::kAddress, AddrLayout::kLocal, AddrLayout::kHasLocal},
    {IFA_ADDRESS, Kind::kAddress, AddrLayout::kAddress, AddrLayout::kHasAddress},
    {IFA_FLAGS, Kind::kU32, AddrLayout::kFlags, AddrLayout::kHasFlags},
    {IFA_BROADCAST, Kind::kInet4, AddrLayout::kBroadcast, AddrLayout::kHasBroadcast},
    {kIfaProto, Kind::kU8, AddrLayout::kProtocol, AddrLayout::kHasProtocol},
    {IFA_CACHEINFO, Kind::kLifetime, AddrLayout::kLifetime, AddrLayout::kHasLifetime},
};

void EncodeAddrHeader(const uint32_t* record, uint8_t* header) {
  auto* addr = reinterpret_cast<ifaddrmsg*>(header);
  addr->ifa_family = Byte(record[AddrLayout::kHeader], 0);
  addr->ifa_prefixlen = Byte(record[AddrLayout::kHeader], 1);
  addr->ifa_scope = Byte(record[AddrLayout::kHeader], 2);
  addr->ifa_flags = static_cast<uint8_t>(record[AddrLayout::kFlags]);
  addr->ifa_index = record[AddrLayout::kIndex];
}

bool DecodeAddrHeader(const uint8_t* header, uint32_t* record) {
  const auto* addr = reinterpret_cast<const ifaddrmsg*>(header);
  if (addr->ifa_family != AF_INET && addr->ifa_family != AF_INET6) return false;
  record[AddrLayout::kHeader] = Pack(addr->ifa_family, addr->ifa_prefixlen, addr->ifa_scope, 0);
  record[AddrLayout::kIndex] = addr->ifa_index;
  record[AddrLayout::kFlags] = addr->ifa_flags;
  return true;
}

void IgnoreAttribute(const nlattr*, uint32_t*) {}

constexpr Class kRoute = {kRouteFields,      std::size(kRouteFields), RouteLayout::kWords, sizeof(rtmsg),
                          EncodeRouteHeader, DecodeRouteHeader,       IgnoreAttribute};
constexpr Class kRule = {kRuleFields,      std::size(kRuleFields), RuleLayout::kWords, sizeof(fib_rule_hdr),
                         EncodeRuleHeader, DecodeRuleHeader,       OtherRuleAttribute};
constexpr Class kNeigh = {kNeighFields,      std::size(kNeighFields), NeighLayout::kWords, sizeof(ndmsg),
                          EncodeNeighHeader, DecodeNeighHeader,       IgnoreAttribute};
constexpr Class kAddr = {kAddrFields,      std::size(kAddrFields), AddrLayout::kWords, sizeof(ifaddrmsg),
                         EncodeAddrHeader, DecodeAddrHeader,       IgnoreAttribute};

/** The class of a message type, null for those that pass as they are. */
const Class* ClassOf(uint16_t type) {
  switch (type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
    case RTM_GETROUTE:
      return &kRoute;
    case RTM_NEWRULE:
    case RTM_DELRULE:
    case RTM_GETRULE:
      return &kRule;
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
    case RTM_GETNEIGH:
      return &kNeigh;
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_GETADDR:
      return &kAddr;
    default:
      return nullptr;
  }
}

// --- fields, instantiated for each: a batch or dump of 100,000 objects comes through here half a million times ---

/** Writes the field's attribute at `out`, padding included. @return its end */
template <const Class& kType, size_t kIndex>
uint8_t* EncodeField(const uint32_t* record, uint8_t* out) {
  constexpr Field kField = kType.fields[kIndex];
  const uint32_t* words = record + kField.word;
  uint8_t* value = out + NLA_HDRLEN;
  size_t length = 4;
  if constexpr (kField.kind == Kind::kU8) {
    length = 1;
    memcpy(value, words, 4);
    value[1] = value[2] = value[3] = 0;
  } else if constexpr (kField.kind == Kind::kU32) {
    memcpy(value, words, 4);
  } else if constexpr (kField.kind == Kind::kAddress) {
    const bool wide = IsWide(record, kField.presence);
    StoreAddress(words, wide, value);
    length = wide ? 16 : 4;
  } else if constexpr (kField.kind == Kind::kInet4) {
    StoreAddress(words, false, value);
  } else if constexpr (kField.kind == Kind::kMac) {
    const uint64_t bytes = htobe64(uint64_t{words[0]} << 48 | uint64_t{words[1]} << 16);
    memcpy(value, &bytes, sizeof bytes);
    length = 6;
  } else if constexpr (kField.kind == Kind::kVia) {
    const bool wide = IsWide(record, kField.presence);
    const uint16_t family = wide ? AF_INET6 : AF_INET;
    memcpy(value, &family, sizeof family);
    StoreAddress(words, wide, value + sizeof family);
    length = sizeof family + (wide ? 16 : 4);
    memset(value + length, 0, NLA_ALIGN(length) - length);
  } else {
    static_assert(kField.kind == Kind::kLifetime);
    const ifa_cacheinfo info = {words[1], words[0], 0, 0};
    memcpy(value, &info, sizeof info);
    length = sizeof info;
  }
  const nlattr header = {static_cast<uint16_t>(NLA_HDRLEN + length), kField.attribute};
  memcpy(out, &header, sizeof header);
  return value + NLA_ALIGN(length);
}

/** The fields `wanted` (a constant predicate) takes and the record has. @return the end */
template <const Class& kType, typename Wanted, size_t... kIndex>
uint8_t* EncodeFields(const uint32_t* record, uint8_t* out, Wanted wanted, std::index_sequence<kIndex...> /*fields*/) {
  ((wanted(kType.fields[kIndex]) && Has(record, kType.fields[kIndex].presence)
        ? static_cast<void>(out = EncodeField<kType, kIndex>(record, out))
        : static_cast<void>(0)),
   ...);
  return out;
}

/** A malformed value leaves the field absent. */
template <const Class& kType, size_t kIndex>
void DecodeField(const uint8_t* payload, size_t length, uint32_t* record, uint32_t* presence) {
  constexpr Field kField = kType.fields[kIndex];
  uint32_t* words = record + kField.word;
  bool wide = false;
  if constexpr (kField.kind == Kind::kU8) {
    if (length < 1) return;
    *words = *payload;
  } else if constexpr (kField.kind == Kind::kU32) {
    if (length < 4) return;
    memcpy(words, payload, 4);
  } else if constexpr (kField.kind == Kind::kAddress) {
    if (!LoadAddress(payload, length, words)) return;
    wide = length == 16;
  } else if constexpr (kField.kind == Kind::kInet4) {
    if (length != 4 || !LoadAddress(payload, length, words)) return;
  } else if constexpr (kField.kind == Kind::kMac) {
    if (length != 6) return;
    uint16_t high = 0;
    uint32_t low = 0;
    memcpy(&high, payload, sizeof high);
    memcpy(&low, payload + 2, sizeof low);
    words[0] = be16toh(high);
    words[1] = be32toh(low);
  } else if constexpr (kField.kind == Kind::kVia) {
    if (length < 2 || !LoadAddress(payload + 2, length - 2, words)) return;
    wide = length == 18;
  } else {
    static_assert(kField.kind == Kind::kLifetime);
    ifa_cacheinfo info = {};
    if (length < sizeof info) return;
    memcpy(&info, payload, sizeof info);
    words[0] = info.ifa_valid;
    words[1] = info.ifa_prefered;
  }
  *presence |= 1U << kField.presence | (wide ? 1U << (kField.presence + 16) : 0U);
}

/** Bit n: attribute type n has a field. All types are below 32. */
template <const Class& kType>
constexpr uint32_t KnownTypes() {
  uint32_t types = 0;
  for (size_t i = 0; i < kType.count; i++) types |= 1U << kType.fields[i].attribute;
  return types;
}

/** @return whether the attribute is of the class's table */
template <const Class& kType, size_t... kIndex>
bool DecodeKnown(const nlattr* attribute, uint32_t* record, uint32_t* presence,
                 std::index_sequence<kIndex...> /*fields*/) {
  const uint16_t type = TypeOf(attribute);
  if (type >= 32 || (KnownTypes<kType>() >> type & 1) == 0) return false;
  return ((type == kType.fields[kIndex].attribute &&
           (DecodeField<kType, kIndex>(Payload(attribute), PayloadLength(attribute), record, presence), true)) ||
          ...);
}

template <const Class& kType>
using AllFields = std::make_index_sequence<kType.count>;

// --- multipath: next-hop records of the same length follow the route's ---

constexpr bool IsGateway(const Field& field) { return field.word == RouteLayout::kGateway; }

void EncodeNexthops(const uint32_t* record, size_t count, Builder& out) {
  const size_t nest = out.BeginNest(RTA_MULTIPATH);
  for (size_t i = 1; i <= count; i++) {
    const uint32_t* hop = record + i * RouteLayout::kWords;
    const size_t at = out.size();
    out.Space(sizeof(rtnexthop));
    out.Advance(EncodeFields<kRoute>(hop, out.Reserve(kFieldBytes), IsGateway, AllFields<kRoute>()));
    rtnexthop header = {};
    header.rtnh_len = static_cast<uint16_t>(out.size() - at);
    header.rtnh_flags = static_cast<uint8_t>(hop[RouteLayout::kFlags]);
    header.rtnh_hops = static_cast<uint8_t>(hop[RouteLayout::kMetric] - 1);
    header.rtnh_ifindex = static_cast<int>(hop[RouteLayout::kOif]);
    memcpy(const_cast<uint8_t*>(out.data()) + at, &header, sizeof header);
  }
  out.EndNest(nest);
}

/** Appends one record per next hop; `route` is the index of the route's record in `out`. */
void DecodeNexthops(const nlattr* attribute, size_t route, Words& out) {
  const uint8_t* bytes = Payload(attribute);
  size_t length = PayloadLength(attribute);
  uint32_t count = 0;
  while (length >= sizeof(rtnexthop)) {
    rtnexthop header = {};
    memcpy(&header, bytes, sizeof header);
    if (header.rtnh_len < sizeof header || header.rtnh_len > length) break;
    uint32_t* hop = out.Append(RouteLayout::kWords);
    hop[RouteLayout::kFlags] = header.rtnh_flags;
    hop[RouteLayout::kMetric] = header.rtnh_hops + 1U;
    hop[RouteLayout::kOif] = static_cast<uint32_t>(header.rtnh_ifindex);
    EachAttribute(bytes + sizeof header, header.rtnh_len - sizeof header, [hop](const nlattr* inner) {
      const uint16_t type = TypeOf(inner);
      if (type != RTA_GATEWAY && type != RTA_VIA) return;
      DecodeKnown<kRoute>(inner, hop, hop + kPresence, AllFields<kRoute>());
    });
    count++;
    const size_t step = RTNH_ALIGN(header.rtnh_len);
    if (step >= length) break;
    bytes += step;
    length -= step;
  }
  out.data()[route + RouteLayout::kProtocol] |= count << 16;
}

template <const Class& kType>
bool Encode(const uint32_t* record, size_t words, Builder& out) {
  if (words < kType.words) return false;
  const size_t nexthops = &kType == &kRoute ? record[RouteLayout::kProtocol] >> 16 : 0;
  if (words != kType.words * (1 + nexthops)) return false;
  kType.encodeHeader(record, out.Space(kType.headerBytes));
  const auto all = [](const Field& /*field*/) { return true; };
  out.Advance(EncodeFields<kType>(record, out.Reserve(kFieldBytes), all, AllFields<kType>()));
  if (nexthops > 0) EncodeNexthops(record, nexthops, out);
  return true;
}

template <const Class& kType>
bool Decode(const nlmsghdr* message, Words& out) {
  const auto* body = reinterpret_cast<const uint8_t*>(message) + NLMSG_HDRLEN;
  const size_t length = message->nlmsg_len - NLMSG_HDRLEN;
  if (length < kType.headerBytes) return false;
  const size_t at = out.size();
  uint32_t* record = out.Append(kType.words);
  if (!kType.decodeHeader(body, record)) {
    out.Truncate(at);
    return false;
  }
  const nlattr* multipath = nullptr;
  uint32_t presence = 0;
  const size_t header = NLMSG_ALIGN(kType.headerBytes);
  if (length > header) {
    EachAttribute(body + header, length - header, [&](const nlattr* attribute) {
      if (DecodeKnown<kType>(attribute, record, &presence, AllFields<kType>())) return;
      if (&kType == &kRoute && TypeOf(attribute) == RTA_MULTIPATH) {
        multipath = attribute;
      } else {
        kType.other(attribute, record);
      }
    });
  }
  record[kPresence] = presence;
  if (multipath != nullptr) DecodeNexthops(multipath, at, out);
  return true;
}

// --- links and the rest: as they are, minus what nobody reads ---

bool KeepsLinkAttribute(uint16_t type) {
  switch (type) {
    case IFLA_ADDRESS:
    case IFLA_IFNAME:
    case IFLA_MTU:
    case IFLA_LINK:
    case IFLA_MASTER:
    case IFLA_OPERSTATE:
    case IFLA_LINKINFO:
    case IFLA_IFALIAS:
    case IFLA_TXQLEN:
    case IFLA_GROUP:
    case IFLA_NUM_TX_QUEUES:
    case IFLA_NUM_RX_QUEUES:
    case IFLA_LINK_NETNSID:
      return true;
    default:
      return false;
  }
}

bool DecodePlain(const nlmsghdr* message, Words& out) {
  const auto* body = reinterpret_cast<const uint8_t*>(message) + NLMSG_HDRLEN;
  const size_t length = message->nlmsg_len - NLMSG_HDRLEN;
  const bool link = message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK;
  if (!link) {
    memcpy(out.Append((length + 3) / 4), body, length);
    return true;
  }
  if (length < sizeof(ifinfomsg)) return false;
  memcpy(out.Append(sizeof(ifinfomsg) / 4), body, sizeof(ifinfomsg));
  // Bridge ports are announced as links of family AF_BRIDGE too; those say nothing about the link itself.
  EachAttribute(body + sizeof(ifinfomsg), length - sizeof(ifinfomsg), [&out](const nlattr* attribute) {
    if (!KeepsLinkAttribute(TypeOf(attribute))) return;
    memcpy(out.Append(NLA_ALIGN(attribute->nla_len) / 4), attribute, attribute->nla_len);
  });
  return true;
}

}  // namespace

uint32_t RecordWords(uint16_t messageType) {
  const Class* type = ClassOf(messageType);
  return type == nullptr ? 0 : type->words;
}

bool EncodeRecord(uint16_t messageType, const uint32_t* record, size_t words, Builder& out) {
  const Class* type = ClassOf(messageType);
  if (type == nullptr) {
    if (words == 0) return false;
    memcpy(out.Space(words * 4), record, words * 4);
    return true;
  }
  if (type == &kRoute) return Encode<kRoute>(record, words, out);
  if (type == &kNeigh) return Encode<kNeigh>(record, words, out);
  if (type == &kRule) return Encode<kRule>(record, words, out);
  return Encode<kAddr>(record, words, out);
}

bool DecodeRecord(const nlmsghdr* message, Words& out) {
  const Class* type = ClassOf(message->nlmsg_type);
  if (type == &kRoute) return Decode<kRoute>(message, out);
  if (type == &kNeigh) return Decode<kNeigh>(message, out);
  if (type == &kRule) return Decode<kRule>(message, out);
  if (type == &kAddr) return Decode<kAddr>(message, out);
  return DecodePlain(message, out);
}

bool DecodeToStream(const nlmsghdr* message, Words& out) {
  const size_t at = out.size();
  out.Append(kStreamHeaderWords);
  if (!DecodeRecord(message, out)) {
    out.Truncate(at);
    return false;
  }
  out.data()[at] = message->nlmsg_type | static_cast<uint32_t>(message->nlmsg_flags) << 16;
  out.data()[at + 1] = static_cast<uint32_t>(out.size() - at - kStreamHeaderWords);
  out.Append(StreamWords(out.data()[at + 1]) - kStreamHeaderWords - out.data()[at + 1]);
  return true;
}

}  // namespace hybridnet
