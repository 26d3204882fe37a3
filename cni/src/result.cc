#include "result.h"

#include <arpa/inet.h>

#include <cctype>
#include <cstdlib>

#include "json.h"

namespace cni {

namespace {

// Next hops inside of every pod; what the daemon programs, whatever the gateway of the subnet is.
constexpr const char* kNextHop4 = "169.254.1.1";
constexpr const char* kNextHop6 = "fe80::ecee:eeff:feee:eeee";
constexpr const char* kHostMac = "ee:ee:ee:ee:ee:ee";

std::string quoted(std::string_view text) {
  std::string out;
  json::appendQuoted(&out, text);
  return out;
}

bool isAddress(const std::string& text, bool ipv6) {
  unsigned char buffer[sizeof(struct in6_addr)];
  return inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), buffer) == 1;
}

std::string route(const AddressV1& address) {
  return std::string("{\"dst\":") + (address.ipv6 ? "\"::/0\"" : "\"0.0.0.0/0\"") + ",\"gw\":\"" +
         (address.ipv6 ? kNextHop6 : kNextHop4) + "\"}";
}

std::string gatewayMember(const AddressV1& address) {
  return address.gateway.empty() ? "" : ",\"gateway\":" + quoted(address.gateway);
}

// 0.1.0 and 0.2.0 know one address per family and no interfaces.
std::string oldResult(const std::string& version, const std::vector<AddressV1>& addresses) {
  std::string out = "{\"cniVersion\":" + quoted(version);
  bool seen[2] = {false, false};
  for (const AddressV1& address : addresses) {
    if (seen[address.ipv6 ? 1 : 0]) continue;
    seen[address.ipv6 ? 1 : 0] = true;
    out += std::string(",\"") + (address.ipv6 ? "ip6" : "ip4") + "\":{\"ip\":" + quoted(address.ip) +
           gatewayMember(address) + ",\"routes\":[" + route(address) + "]}";
  }
  return out + ",\"dns\":{}}";
}

}  // namespace

bool parseAddressV1(const std::string& ip, const std::string& mac, const std::string& gateway, AddressV1* address) {
  const size_t slash = ip.find('/');
  if (slash == std::string::npos) return false;
  address->ipv6 = ip.find(':') != std::string::npos;
  const std::string length = ip.substr(slash + 1);
  if (length.empty() || length.size() > 3 || length.find_first_not_of("0123456789") != std::string::npos ||
      strtol(length.c_str(), nullptr, 10) > (address->ipv6 ? 128 : 32) ||
      !isAddress(ip.substr(0, slash), address->ipv6)) {
    return false;
  }
  if (mac.size() != 17) return false;
  for (size_t i = 0; i < mac.size(); i++) {
    if (i % 3 == 2 ? mac[i] != ':' : !isxdigit(static_cast<unsigned char>(mac[i]))) return false;
  }
  if (!gateway.empty() && !isAddress(gateway, address->ipv6)) return false;
  address->ip = ip;
  address->mac = mac;
  address->gateway = gateway;
  return true;
}

std::string resultV1(const std::string& version, const std::string& hostInterface, const Environment& environment,
                     const std::vector<AddressV1>& addresses) {
  if (version == "0.1.0" || version == "0.2.0") return oldResult(version, addresses);
  const bool withFamily = version[0] == '0';
  std::string out = "{\"cniVersion\":" + quoted(version) + ",\"interfaces\":[{\"name\":" + quoted(hostInterface) +
                    ",\"mac\":\"" + kHostMac + "\"},{\"name\":" + quoted(environment.ifname) +
                    ",\"mac\":" + quoted(addresses[0].mac) + ",\"sandbox\":" + quoted(environment.netns) +
                    "}],\"ips\":[";
  std::string routes;
  for (const AddressV1& address : addresses) {
    if (!routes.empty()) {
      out += ',';
      routes += ',';
    }
    out += "{";
    if (withFamily) out += std::string("\"version\":\"") + (address.ipv6 ? "6" : "4") + "\",";
    out += "\"address\":" + quoted(address.ip) + gatewayMember(address) + ",\"interface\":1}";
    routes += route(address);
  }
  return out + "],\"routes\":[" + routes + "],\"dns\":{}}";
}

}  // namespace cni
