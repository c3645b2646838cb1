#pragma once

#include <cstdint>
#include <string_view>

namespace margay::agent {

/// What packet-filter rules are written to.
enum class Backend : std::uint8_t { Legacy, Nft };

/// As FELIX_IPTABLESBACKEND has it.
[[nodiscard]] constexpr std::string_view backendText(Backend backend) {
  return backend == Backend::Legacy ? "Legacy" : "NFT";
}

}  // namespace margay::agent
