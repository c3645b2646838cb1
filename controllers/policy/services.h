#pragma once

#include <map>
#include <vector>

#include "api/model/object.h"
#include "base/shared.h"

namespace margay::controllers {

/// EndpointSlices by the service that they belong to. One thread.
class Services {
 public:
  using Slice = Shared<api::EndpointSlice>;

  /// Null if there is none.
  [[nodiscard]] Slice get(const api::ObjectKey& key) const;
  /// Null removes.
  void set(const api::ObjectKey& key, Slice slice);
  [[nodiscard]] const std::vector<Slice>& of(const api::ServiceRef& service) const;
  [[nodiscard]] static api::ServiceRef serviceOf(const api::EndpointSlice& slice) {
    return {slice.ns.str(), slice.service};
  }

 private:
  std::map<api::ObjectKey, Slice> slices_;
  std::map<api::ServiceRef, std::vector<Slice>> byService_;
};

}  // namespace margay::controllers
