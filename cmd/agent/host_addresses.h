#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace margay::agent {

struct HostInterface {
  std::string name;
  std::vector<Prefix> addresses;  ///< with host bits
};

/// This host's interfaces that are up, the youngest first, as Calico looks through them. No side
/// effects; any thread.
Result<std::vector<HostInterface>> hostInterfaces();
/// The address that packets to `destination` (an address or a name) would have as their source.
std::optional<Address> sourceTowards(const std::string& destination, Family family);

}  // namespace margay::agent
