#include "cmd/margayctl/value_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"
#include "api/codec/calico_encode.h"
#include "api/etcd/etcd_objects.h"
#include "api/file/manifest_writer.h"
#include "cmd/agent/settings.h"

namespace margay::ctl {
namespace {

using api::Kind;
using api::ObjectKey;
using api::Value;

class FileStore final : public ValueStore {
 public:
  explicit FileStore(api::ManifestWriter writer) : writer_(std::move(writer)) {}

  Result<std::optional<Value>> find(const ObjectKey& key) override {
    auto found = writer_.find(key);
    if (!found) return Fail(found.error());
    return *found ? std::optional<Value>((*found)->value) : std::nullopt;
  }
  Result<std::vector<Value>> list(Kind kind) override {
    auto found = writer_.list(kind);
    if (!found) return Fail(found.error());
    std::vector<Value> out;
    for (auto& entry : *found) out.push_back(std::move(entry.value));
    return out;
  }
  Result<void> put(const Value& value) override { return writer_.put(value); }
  Result<void> remove(const ObjectKey& key) override { return writer_.remove(key); }

 private:
  api::ManifestWriter writer_;
};

class EtcdStore final : public ValueStore {
 public:
  explicit EtcdStore(std::unique_ptr<api::EtcdClient> client)
      : client_(std::move(client)), objects_(*client_) {}

  Result<std::optional<Value>> find(const ObjectKey& key) override {
    const auto found = objects_.get(storedKind(key.kind), key.ns.str(), key.name);
    if (!found && found.error().code == Errc::NotFound) return std::nullopt;
    if (!found) return Fail(found.error());
    return api::decodeCalico(*found, api::UnknownFields::Ignored).value;
  }
  Result<std::vector<Value>> list(Kind kind) override {
    const auto found = objects_.list(storedKind(kind));
    if (!found) return Fail(found.error());
    std::vector<Value> out;
    for (const auto& document : *found) {
      auto decoded = api::decodeCalico(document, api::UnknownFields::Ignored);
      if (decoded.value) out.push_back(std::move(*decoded.value));
    }
    return out;
  }
  Result<void> put(const Value& value) override {
    const auto document = api::encodeCalico(value);
    if (!document) return fail(Errc::Unsupported, "only endpoints and profiles can be written");
    if (auto applied = objects_.apply(nlohmann::json(*document)); !applied)
      return Fail(applied.error());
    return {};
  }
  Result<void> remove(const ObjectKey& key) override {
    return objects_.remove(storedKind(key.kind), key.ns.str(), key.name);
  }

 private:
  static const api::StoredKind& storedKind(Kind kind) {
    const auto& kinds = api::storedKinds();
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const api::StoredKind& entry) {
      return entry.kind == kind;
    });
    MGY_CHECK(found != kinds.end() && kind != Kind::Unknown);
    return *found;
  }

  std::unique_ptr<api::EtcdClient> client_;
  api::EtcdObjects objects_;
};

}  // namespace

bool usesEtcd() {
  const auto environment = agent::processEnvironment();
  const auto type = environment.find("DATASTORE_TYPE");
  if (type != environment.end() && !type->second.empty()) return type->second == "etcdv3";
  return environment.contains("ETCD_ENDPOINTS");
}

Result<std::unique_ptr<api::EtcdClient>> openEtcd() {
  if (!usesEtcd())
    return fail(Errc::Unsupported,
                "this needs the datastore etcd: set DATASTORE_TYPE=etcdv3 and ETCD_ENDPOINTS (with "
                "files, the manifests in MARGAY_DATA_DIR are the objects)");
  auto options = api::etcdOptions(agent::processEnvironment());
  if (!options) return Fail(options.error());
  return api::EtcdClient::make(std::move(*options));
}

Result<std::unique_ptr<ValueStore>> openValueStore(const Environment& env) {
  if (usesEtcd()) {
    auto client = openEtcd();
    if (!client) return Fail(client.error());
    return std::make_unique<EtcdStore>(std::move(*client));
  }
  auto writer = api::ManifestWriter::open(env.dataDir);
  if (!writer) return Fail(writer.error());
  return std::make_unique<FileStore>(std::move(*writer));
}

}  // namespace margay::ctl
