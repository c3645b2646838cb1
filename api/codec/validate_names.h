#pragma once

#include <optional>
#include <string>
#include <string_view>

/// The spellings that Kubernetes and Calico allow. Those that return text say what is wrong and how
/// to mend it; no value means that the text is fine. Pure; O(length).
namespace margay::api {

/// Lower-case letters, digits and '-', letters or digits at both ends. Any length.
[[nodiscard]] bool isDnsLabel(std::string_view text);
/// DNS labels with dots between them. Any length.
[[nodiscard]] bool isDnsSubdomain(std::string_view text);

/// A DNS subdomain of at most 253 characters.
[[nodiscard]] std::optional<std::string> nameProblem(std::string_view name);
/// As `nameProblem`, but upper case and '_' are fine too: profiles of older tools are called
/// PROF_A.
[[nodiscard]] std::optional<std::string> profileNameProblem(std::string_view name);
/// LABEL, LABEL.LABEL, or knp.default. or ossg.default. with any name behind it.
[[nodiscard]] std::optional<std::string> networkPolicyNameProblem(std::string_view name);
/// LABEL or LABEL.LABEL.
[[nodiscard]] std::optional<std::string> globalNetworkPolicyNameProblem(std::string_view name);
/// A DNS label of at most 63 characters.
[[nodiscard]] std::optional<std::string> tierNameProblem(std::string_view name);

/// Keys of labels and annotations: "[dns.subdomain/]Name".
[[nodiscard]] std::optional<std::string> qualifiedNameProblem(std::string_view key);
[[nodiscard]] std::optional<std::string> labelValueProblem(std::string_view value);

/// IANA service name: at most 15 of [a-z0-9-], with a letter.
[[nodiscard]] std::optional<std::string> portNameProblem(std::string_view name);
/// 1 to 15 of [a-zA-Z0-9_.-], or "*".
[[nodiscard]] bool isInterfaceName(std::string_view name);
/// Letters, digits and '-', letters or digits at both ends.
[[nodiscard]] bool isContainerId(std::string_view text);

}  // namespace margay::api
