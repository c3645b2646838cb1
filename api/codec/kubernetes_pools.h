#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "api/model/endpoint.h"
#include "api/model/labels.h"
#include "base/shared_string.h"

namespace margay::api {

/// What the endpoints of a cluster have in common, kept once. Bounded: a pool that has grown too
/// large is emptied, and values made after that share again among themselves. One thread.
class EndpointPools {
 public:
  [[nodiscard]] SharedString string(std::string_view text) { return strings_.get(text); }
  /// kns.NS, and ksa.NS.ACCOUNT unless `account` is empty.
  [[nodiscard]] ProfileNames profiles(std::string_view ns, std::string_view account);

  /// The shared value of which `key` is a unique text, or null if it must be made and given to
  /// `keep`.
  template <class T>
  [[nodiscard]] const T* find(const std::string& key) const {
    const auto& pool = poolOf<T>(*this);
    const auto found = pool.find(key);
    return found == pool.end() ? nullptr : &found->second;
  }
  template <class T>
  const T& keep(const std::string& key, T value) {
    auto& pool = poolOf<T>(*this);
    if (pool.size() >= kMaxEntries) pool.clear();
    return pool.insert_or_assign(key, std::move(value)).first->second;
  }

 private:
  static constexpr std::size_t kMaxEntries = std::size_t{1} << 16U;

  template <class T, class Self>
  static auto& poolOf(Self& self) {
    if constexpr (std::is_same_v<T, Labels>) {
      return self.labels_;
    } else if constexpr (std::is_same_v<T, EndpointPorts>) {
      return self.ports_;
    } else {
      return self.profiles_;
    }
  }

  StringPool strings_;
  std::unordered_map<std::string, Labels> labels_;
  std::unordered_map<std::string, EndpointPorts> ports_;
  std::unordered_map<std::string, ProfileNames> profiles_;
};

}  // namespace margay::api
