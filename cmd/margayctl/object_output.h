#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "api/etcd/stored_object.h"
#include "cmd/margayctl/get_format.h"

namespace margay::ctl {

struct ObjectOutput {
  const api::StoredKind& kind;
  GetFormat::Form form;  ///< Name, Yaml or Json
  bool alone;            ///< the only one that was asked for, without a list around it
  bool bare;             ///< without what is of one cluster only
};
void printObjects(const ObjectOutput& output, std::vector<nlohmann::json> objects);

}  // namespace margay::ctl
