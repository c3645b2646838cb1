#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/model/labels.h"
#include "base/address.h"
#include "base/shared.h"
#include "base/shared_string.h"

namespace margay::api {

struct EndpointPort {
  std::string name;
  std::uint8_t protocol = 6;  ///< IPPROTO_*
  std::uint16_t port = 0;
  auto operator<=>(const EndpointPort&) const = default;
};

/// Names of the profiles in order, shared by the pods of a service account.
using ProfileNames = Shared<std::vector<std::string>>;
using EndpointPorts = Shared<std::vector<EndpointPort>>;

/// What a v3 name says: "<node>-<orchestrator>-<workload>-<endpoint>", each '-' inside a part
/// doubled.
struct EndpointIdentity {
  std::string node;
  std::string orchestrator;  ///< "k8s", "cni", ...
  std::string workload;      ///< name of the pod or container, without the namespace
  std::string endpoint;      ///< "eth0"
  bool operator==(const EndpointIdentity&) const = default;

  [[nodiscard]] std::string name() const;
  /// None if `name` has not four parts.
  [[nodiscard]] static std::optional<EndpointIdentity> parse(std::string_view name);
};

/// Addresses of an endpoint, /32 and /128; sorted, unique. Immutable. Most endpoints have one,
/// which is kept in place: 24 bytes.
class EndpointAddresses {
 public:
  using value_type = Prefix;
  using const_iterator = const Prefix*;
  EndpointAddresses() : one_{} {}
  EndpointAddresses(std::vector<Prefix> sorted);           // NOLINT: reads as a list
  EndpointAddresses(std::initializer_list<Prefix> sorted)  // NOLINT
      : EndpointAddresses(std::vector<Prefix>(sorted)) {}
  EndpointAddresses(const EndpointAddresses& other) noexcept : one_{} { take(other); }
  EndpointAddresses& operator=(const EndpointAddresses& other) noexcept {
    if (this == &other) return *this;
    if (isMany()) many_.~Many();
    new (&one_) One{};
    take(other);
    return *this;
  }
  ~EndpointAddresses() {
    if (isMany()) many_.~Many();
  }

  [[nodiscard]] const Prefix* data() const { return isMany() ? many_.list->data() : &one_.address; }
  [[nodiscard]] const Prefix* begin() const { return data(); }
  [[nodiscard]] const Prefix* end() const { return data() + size(); }
  [[nodiscard]] std::size_t size() const { return isMany() ? many_.list->size() : one_.count; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] const Prefix& front() const { return *begin(); }
  friend bool operator==(const EndpointAddresses& a, const EndpointAddresses& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  // Both begin with what says which of them it is, so it can be read from either.
  static constexpr std::uint8_t kMany = 2;
  struct One {
    std::uint8_t count = 0;  // 0 or 1
    Prefix address;
  };
  struct Many {
    std::uint8_t count = kMany;
    Shared<std::vector<Prefix>> list;
  };
  [[nodiscard]] bool isMany() const { return one_.count == kMany; }
  /// This one is empty.
  void take(const EndpointAddresses& other) noexcept {
    if (other.isMany()) {
      new (&many_) Many(other.many_);
    } else {
      one_ = other.one_;
    }
  }

  union {
    One one_;
    Many many_;
  };
};

/// What few endpoints of a cluster need to have kept.
struct EndpointDetails {
  std::string interfaceName;  ///< host side; empty for a Pod: see interfaceNameOf
  std::optional<std::array<std::uint8_t, 6>> mac;
  std::vector<Prefix> allowedSources;        ///< allowSourceSpoofing
  std::optional<EndpointIdentity> identity;  ///< where the name says otherwise
  bool operator==(const EndpointDetails&) const = default;
};

/// A workload's interface: from projectcalico.org/v3 WorkloadEndpoint, or from a Pod. A cluster has
/// a hundred thousand of them, so what they share is shared, and what few of them have is
/// elsewhere; null pointers mean empty lists and empty details.
struct WorkloadEndpoint {
  SharedString ns;
  SharedString name;  ///< v3 name, as `EndpointIdentity` has it
  SharedString node;
  EndpointAddresses addresses;
  Labels labels;  ///< own labels, with those that Calico adds
  ProfileNames profiles;
  EndpointPorts ports;
  bool operator==(const WorkloadEndpoint& other) const;  ///< lists by content

  [[nodiscard]] const EndpointDetails& details() const;
  void setDetails(EndpointDetails details);
  /// From the details, or else from the name, which is the workload if it is no v3 name.
  [[nodiscard]] EndpointIdentity identity() const;
  [[nodiscard]] std::string workload() const { return identity().workload; }

 private:
  Shared<EndpointDetails> details_;
};

/// `EndpointIdentity::name` of these parts.
[[nodiscard]] std::string workloadEndpointName(std::string_view node, std::string_view orchestrator,
                                               std::string_view workload,
                                               std::string_view endpoint);

/// The interface's name that the details have, or `prefix` + the first 11 hex digits of
/// SHA-1("<namespace>.<workload>").
[[nodiscard]] std::string interfaceNameOf(const WorkloadEndpoint& endpoint,
                                          std::string_view prefix);

}  // namespace margay::api
