#include "controllers/endpoints/workload_interface.h"

#include <algorithm>

namespace margay::controllers {
namespace {

constexpr std::size_t kInterfaceNameBytes = 15;

bool isNameByte(char c) {
  return c > ' ' && c < '\x7f' && c != '/' && c != ':';
}

}  // namespace

api::ObjectKey keyOf(const api::WorkloadEndpoint& endpoint) {
  return {api::Kind::WorkloadEndpoint, endpoint.ns, endpoint.name.str()};
}

std::optional<std::string> interfaceNameProblem(const std::string& name,
                                                std::span<const std::string> prefixes) {
  if (name.empty()) return "has no interface name: set spec.interfaceName";
  if (name.size() > kInterfaceNameBytes) {
    return "interface name " + name + " has " + std::to_string(name.size()) +
           " bytes, at most 15 are possible: rename it";
  }
  if (!std::all_of(name.begin(), name.end(), isNameByte))
    return "interface name has bytes that no interface name can have: rename it";
  const auto begins = [&](const std::string& prefix) { return name.starts_with(prefix); };
  if (!std::any_of(prefixes.begin(), prefixes.end(), begins)) {
    return "interface name " + name +
           " begins with no workload prefix: rename it or add its prefix to InterfacePrefix";
  }
  return std::nullopt;
}

}  // namespace margay::controllers
