#pragma once

#include <string>
#include <vector>

#include "api/model/labels.h"
#include "base/address.h"
#include "base/shared_string.h"

namespace margay::api {

/// NetworkSet (with a namespace, and then with the label projectcalico.org/namespace and the
/// namespace's profile `kns.NAMESPACE` as parent) and GlobalNetworkSet.
struct NetworkSet {
  SharedString ns;
  std::string name;
  Labels labels;
  std::vector<Prefix> nets;  ///< sorted, unique
  bool operator==(const NetworkSet&) const = default;
};

/// An address pool: what is ours inside the cluster, and what is masqueraded on the way out of it.
struct IPPool {
  std::string name;
  Prefix cidr;
  bool natOutgoing = false;
  bool disabled = false;
  std::string ipipMode = "Never";
  std::string vxlanMode = "Never";
  int blockSize = 26;
  std::string nodeSelector = "all()";
  bool operator==(const IPPool&) const = default;
};

}  // namespace margay::api
