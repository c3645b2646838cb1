#pragma once

#include <memory>
#include <stop_token>

#include "api/etcd/etcd_client.h"
#include "api/store/object_store.h"

namespace margay::api {

/// Calico's objects in etcd. Lists are in the order of keys. Any thread.
class EtcdObjects final : public ObjectStore {
 public:
  /// Calls end with `Errc::Interrupted` when `stop` asks for it.
  explicit EtcdObjects(std::shared_ptr<EtcdClient> client, std::stop_token stop = {})
      : client_(std::move(client)), stop_(std::move(stop)) {}

  [[nodiscard]] Result<std::vector<nlohmann::json>> list(
      const StoredKind& kind, const std::optional<std::string>& ns = {}) const override;

 private:
  [[nodiscard]] Result<Found> find(const StoredKind& kind, const std::string& ns,
                                   const std::string& name) const override;
  [[nodiscard]] Result<std::string> put(const Place& place,
                                        const nlohmann::json& document) const override;
  [[nodiscard]] Result<void> erase(const Place& place) const override;

  std::shared_ptr<EtcdClient> client_;
  std::stop_token stop_;
};

}  // namespace margay::api
