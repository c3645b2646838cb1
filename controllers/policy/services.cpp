#include "controllers/policy/services.h"

#include <algorithm>
#include <utility>

namespace margay::controllers {

Services::Slice Services::get(const api::ObjectKey& key) const {
  const auto found = slices_.find(key);
  return found == slices_.end() ? nullptr : found->second;
}

void Services::set(const api::ObjectKey& key, Slice slice) {
  if (const auto found = slices_.find(key); found != slices_.end()) {
    const auto service = byService_.find(serviceOf(*found->second));
    auto& all = service->second;
    all.erase(std::find(all.begin(), all.end(), found->second));
    if (all.empty()) byService_.erase(service);
    slices_.erase(found);
  }
  if (!slice) return;
  byService_[serviceOf(*slice)].push_back(slice);
  slices_.emplace(key, std::move(slice));
}

const std::vector<Services::Slice>& Services::of(const api::ServiceRef& service) const {
  static const std::vector<Slice> kNone;
  const auto found = byService_.find(service);
  return found == byService_.end() ? kNone : found->second;
}

}  // namespace margay::controllers
