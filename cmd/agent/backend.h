#pragma once

#include <cstdint>
#include <string_view>

#include "controllers/policy/dispatch.h"

namespace margay::agent {

/// What packet-filter rules are written to.
enum class Backend : std::uint8_t { Legacy, Nft };

/// As FELIX_IPTABLESBACKEND has it.
[[nodiscard]] constexpr std::string_view backendText(Backend backend) {
  return backend == Backend::Legacy ? "Legacy" : "NFT";
}

/// How packets find their group in it.
[[nodiscard]] constexpr controllers::Dispatch dispatchOf(Backend backend) {
  return backend == Backend::Nft ? controllers::Dispatch::Maps : controllers::Dispatch::Sets;
}

}  // namespace margay::agent
