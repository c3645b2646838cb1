#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tests/kubernetes/api_server.h"

/// Objects on a real Kubernetes API. What the server refuses is printed, and false.
namespace margay::bench {

inline constexpr auto kMergePatch = "application/merge-patch+json";

bool send(testing::ApiServer& server, const std::string& method, const std::string& path,
          const nlohmann::json& body, const std::string& type = "application/json");
/// Everything of a file of `writeCluster`. All but nodes are put where the server keeps them: two
/// requests an object, as a kubelet makes them, would take longer than all that is measured.
bool fill(testing::ApiServer& server, const std::filesystem::path& file);

/// Without a name that of all pods of the namespace.
std::string podPath(const std::string& ns, const std::string& name = {});
/// A pod of node-0, as a scheduler leaves it.
bool schedulePod(testing::ApiServer& server, const std::string& ns, const std::string& name);
/// It gets its address, as from a kubelet.
bool givePodAddress(testing::ApiServer& server, const std::string& ns, const std::string& name,
                    const std::string& address);

}  // namespace margay::bench
