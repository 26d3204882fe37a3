#include "codec.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "layout.h"

#ifndef NDA_NH_ID
#define NDA_NH_ID 13
#endif

namespace hybridnet {

namespace {

// IFA_PROTO entered the kernel with 5.18; older headers lack the name.
constexpr uint16_t kIfaProto = 11;

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

/** Attribute type → its field. A dump looks up half a million: no search. */
struct Fields {
  const Field* list;
  size_t count;
  /** Position in `list` plus one; 0 for an attribute without a field. */
  uint8_t position[32];

  template <size_t N>
  constexpr explicit Fields(const Field (&fields)[N]) : list(fields), count(N), position() {
    for (size_t i = 0; i < N; i++) position[fields[i].attribute] = static_cast<uint8_t>(i + 1);
  }
  const Field* Find(uint16_t attribute) const {
    return attribute < sizeof position && position[attribute] > 0 ? list + position[attribute] - 1 : nullptr;
  }
};

struct Class {
  Fields fields;
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
void SetPresent(uint32_t* record, uint8_t bit, bool wide) {
  record[kPresence] |= 1U << bit | (wide ? 1U << (bit + 16) : 0U);
}

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

constexpr Class kRoute = {Fields(kRouteFields), RouteLayout::kWords, sizeof(rtmsg),
                          EncodeRouteHeader,    DecodeRouteHeader,   IgnoreAttribute};
constexpr Class kRule = {Fields(kRuleFields), RuleLayout::kWords, sizeof(fib_rule_hdr),
                         EncodeRuleHeader,    DecodeRuleHeader,   OtherRuleAttribute};
constexpr Class kNeigh = {Fields(kNeighFields), NeighLayout::kWords, sizeof(ndmsg),
                          EncodeNeighHeader,    DecodeNeighHeader,   IgnoreAttribute};
constexpr Class kAddr = {Fields(kAddrFields), AddrLayout::kWords, sizeof(ifaddrmsg),
                         EncodeAddrHeader,    DecodeAddrHeader,   IgnoreAttribute};

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

// --- fields ---

void EncodeField(const Field& field, const uint32_t* record, Builder& out) {
  const uint32_t* words = record + field.word;
  switch (field.kind) {
    case Kind::kU8:
      *out.Attribute(field.attribute, 1) = static_cast<uint8_t>(*words);
      break;
    case Kind::kU32:
      memcpy(out.Attribute(field.attribute, 4), words, 4);
      break;
    case Kind::kAddress: {
      const bool wide = IsWide(record, field.presence);
      StoreAddress(words, wide, out.Attribute(field.attribute, wide ? 16 : 4));
      break;
    }
    case Kind::kInet4: {
      StoreAddress(words, false, out.Attribute(field.attribute, 4));
      break;
    }
    case Kind::kMac: {
      uint8_t* bytes = out.Attribute(field.attribute, 6);
      const uint16_t high = htobe16(static_cast<uint16_t>(words[0]));
      const uint32_t low = htobe32(words[1]);
      memcpy(bytes, &high, sizeof high);
      memcpy(bytes + 2, &low, sizeof low);
      break;
    }
    case Kind::kVia: {
      const bool wide = IsWide(record, field.presence);
      uint8_t* bytes = out.Attribute(field.attribute, 2 + (wide ? 16 : 4));
      const uint16_t family = wide ? AF_INET6 : AF_INET;
      memcpy(bytes, &family, sizeof family);
      StoreAddress(words, wide, bytes + 2);
      break;
    }
    case Kind::kLifetime: {
      const ifa_cacheinfo info = {words[1], words[0], 0, 0};
      memcpy(out.Attribute(field.attribute, sizeof info), &info, sizeof info);
      break;
    }
  }
}

void DecodeField(const Field& field, const uint8_t* payload, size_t length, uint32_t* record) {
  uint32_t* words = record + field.word;
  bool wide = false;
  switch (field.kind) {
    case Kind::kU8:
      if (length < 1) return;
      *words = *payload;
      break;
    case Kind::kU32:
      if (length < 4) return;
      memcpy(words, payload, 4);
      break;
    case Kind::kAddress:
      if (!LoadAddress(payload, length, words)) return;
      wide = length == 16;
      break;
    case Kind::kInet4:
      if (length != 4 || !LoadAddress(payload, length, words)) return;
      break;
    case Kind::kMac: {
      if (length != 6) return;
      uint16_t high = 0;
      uint32_t low = 0;
      memcpy(&high, payload, sizeof high);
      memcpy(&low, payload + 2, sizeof low);
      words[0] = be16toh(high);
      words[1] = be32toh(low);
      break;
    }
    case Kind::kVia:
      if (length < 2 || !LoadAddress(payload + 2, length - 2, words)) return;
      wide = length == 18;
      break;
    case Kind::kLifetime: {
      ifa_cacheinfo info = {};
      if (length < sizeof info) return;
      memcpy(&info, payload, sizeof info);
      words[0] = info.ifa_valid;
      words[1] = info.ifa_prefered;
      break;
    }
  }
  SetPresent(record, field.presence, wide);
}

void EncodeFields(const Class& type, const uint32_t* record, Builder& out) {
  for (size_t i = 0; i < type.fields.count; i++) {
    const Field& field = type.fields.list[i];
    if (Has(record, field.presence)) EncodeField(field, record, out);
  }
}

// --- multipath: next-hop records of the same length follow the route's ---

void EncodeNexthops(const uint32_t* record, size_t count, Builder& out) {
  const size_t nest = out.BeginNest(RTA_MULTIPATH);
  for (size_t i = 1; i <= count; i++) {
    const uint32_t* hop = record + i * RouteLayout::kWords;
    const size_t at = out.size();
    out.Space(sizeof(rtnexthop));
    for (const Field& field : kRouteFields) {
      const bool gateway = field.presence == RouteLayout::kHasGateway || field.presence == RouteLayout::kHasVia;
      if (gateway && Has(hop, field.presence)) EncodeField(field, hop, out);
    }
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
      const Field* field = kRoute.fields.Find(TypeOf(inner));
      if (field != nullptr && field->word == RouteLayout::kGateway) {
        DecodeField(*field, Payload(inner), PayloadLength(inner), hop);
      }
    });
    count++;
    const size_t step = RTNH_ALIGN(header.rtnh_len);
    if (step >= length) break;
    bytes += step;
    length -= step;
  }
  out.data()[route + RouteLayout::kProtocol] |= count << 16;
}

/** Instantiated for each class, so that its table and functions are constants. */
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
  const size_t header = NLMSG_ALIGN(kType.headerBytes);
  if (length > header) {
    EachAttribute(body + header, length - header, [&](const nlattr* attribute) {
      const uint16_t attributeType = TypeOf(attribute);
      const Field* field = kType.fields.Find(attributeType);
      if (field != nullptr) {
        DecodeField(*field, Payload(attribute), PayloadLength(attribute), record);
      } else if (&kType == &kRoute && attributeType == RTA_MULTIPATH) {
        multipath = attribute;
      } else {
        kType.other(attribute, record);
      }
    });
  }
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
  if (words < type->words) return false;
  const size_t nexthops = type == &kRoute ? record[RouteLayout::kProtocol] >> 16 : 0;
  if (words != type->words * (1 + nexthops)) return false;
  type->encodeHeader(record, out.Space(type->headerBytes));
  EncodeFields(*type, record, out);
  if (nexthops > 0) EncodeNexthops(record, nexthops, out);
  return true;
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
