#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "api/etcd/stored_object.h"

/// How Calico keeps its objects in the Kubernetes API: most in CRDs of crd.projectcalico.org/v1,
/// the fields of a Node in annotations of the core Node. Pure; any thread.
namespace margay::api {

/// Of all objects, or with a name of one: "/apis/crd.projectcalico.org/v1/tiers/default".
[[nodiscard]] std::string crdPath(const StoredKind& kind, const std::string& ns,
                                  const std::string& name = {});

/// The projectcalico.org/v3 document of an item of the API.
[[nodiscard]] nlohmann::json documentOfCrd(const StoredKind& kind, nlohmann::json item);
/// What is sent for a document that is ready to be stored. `version`: of the item whose place it
/// takes; empty for a new one.
[[nodiscard]] nlohmann::json crdOfDocument(const StoredKind& kind, nlohmann::json document,
                                           const std::string& version);

/// The Node of projectcalico.org/v3 that a core Node is.
[[nodiscard]] nlohmann::json documentOfNode(const nlohmann::json& item);
/// A merge patch of the core Node's status that makes its annotations say what the document does.
[[nodiscard]] nlohmann::json nodePatch(const nlohmann::json& document, const std::string& version);

/// Calico's objects have other ids than their CRDs: the bytes in reverse.
[[nodiscard]] std::string reversedUid(const std::string& uid);

}  // namespace margay::api
