// The CNI result of an ADD that a version 1 daemon served, in the shape of the configuration's version.
#ifndef HYBRIDNET_CNI_RESULT_H_
#define HYBRIDNET_CNI_RESULT_H_

#include <string>
#include <vector>

#include "environment.h"

namespace cni {

struct AddressV1 {
  bool ipv6 = false;
  // With prefix length.
  std::string ip;
  std::string mac;
  // May be empty.
  std::string gateway;
};

// false unless `ip` is an address with a prefix length, `mac` a MAC and `gateway` an address of the same family or
// empty.
bool parseAddressV1(const std::string& ip, const std::string& mac, const std::string& gateway, AddressV1* address);

std::string resultV1(const std::string& version, const std::string& hostInterface, const Environment& environment,
                     const std::vector<AddressV1>& addresses);

}  // namespace cni

#endif  // HYBRIDNET_CNI_RESULT_H_
