#include "api/codec/validate_names.h"

#include <algorithm>

namespace margay::api {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxPortName = 15;
constexpr std::size_t kMaxInterfaceName = 15;

bool isLower(char c) {
  return c >= 'a' && c <= 'z';
}
bool isDigit(char c) {
  return c >= '0' && c <= '9';
}
bool isLowerOrDigit(char c) {
  return isLower(c) || isDigit(c);
}
bool isAlphanumeric(char c) {
  return isLowerOrDigit(c) || (c >= 'A' && c <= 'Z');
}

/// `ends` holds for both ends of the text, `inner` for all of it.
template <class Ends, class Inner>
bool isFramed(std::string_view text, Ends ends, Inner inner) {
  return !text.empty() && ends(text.front()) && ends(text.back()) &&
         std::all_of(text.begin(), text.end(), inner);
}

template <class Part>
bool eachPart(std::string_view text, Part part) {
  for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.')) {
    if (!part(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
  }
  return part(text);
}

/// [A-Za-z0-9] with [-A-Za-z0-9_.] between.
bool isLabelText(std::string_view text) {
  return isFramed(text, isAlphanumeric,
                  [](char c) { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

std::optional<std::string> tooLong(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::nullopt;
  return "is too long by " + std::to_string(text.size() - limit) + " characters; at most " +
         std::to_string(limit) + " are allowed";
}

std::string inQuotes(std::string_view text) {
  return "'" + std::string(text) + "' ";
}

/// A label, or two with a dot between.
bool isTieredName(std::string_view name) {
  return isDnsSubdomain(name) && std::count(name.begin(), name.end(), '.') <= 1;
}

}  // namespace

bool isDnsLabel(std::string_view text) {
  return isFramed(text, isLowerOrDigit, [](char c) { return isLowerOrDigit(c) || c == '-'; });
}

bool isDnsSubdomain(std::string_view text) {
  return eachPart(text, isDnsLabel);
}

std::optional<std::string> nameProblem(std::string_view name) {
  if (auto problem = tooLong(name, kMaxName)) return problem;
  if (isDnsSubdomain(name)) return std::nullopt;
  return inQuotes(name) +
         "is no valid name; use lower-case letters, digits, '-' and '.', with a letter or digit at "
         "both ends";
}

std::optional<std::string> profileNameProblem(std::string_view name) {
  if (auto problem = tooLong(name, kMaxName)) return problem;
  const auto isPart = [](std::string_view part) {
    return isFramed(part, isAlphanumeric,
                    [](char c) { return isAlphanumeric(c) || c == '-' || c == '_'; });
  };
  if (eachPart(name, isPart)) return std::nullopt;
  return inQuotes(name) +
         "is no valid profile name; use letters, digits, '-', '_' and '.', with a letter or digit "
         "at both ends";
}

std::optional<std::string> networkPolicyNameProblem(std::string_view name) {
  if (auto problem = tooLong(name, kMaxName)) return problem;
  if (isTieredName(name)) return std::nullopt;
  for (const std::string_view prefix : {"knp.default.", "ossg.default."}) {
    if (name.starts_with(prefix) && isDnsSubdomain(name.substr(prefix.size()))) return std::nullopt;
  }
  return inQuotes(name) +
         "is no valid policy name; use lower-case letters, digits and '-', at most one '.' after "
         "the tier's name";
}

std::optional<std::string> globalNetworkPolicyNameProblem(std::string_view name) {
  if (auto problem = tooLong(name, kMaxName)) return problem;
  if (isTieredName(name)) return std::nullopt;
  return inQuotes(name) +
         "is no valid policy name; use lower-case letters, digits and '-', at most one '.' after "
         "the tier's name";
}

std::optional<std::string> tierNameProblem(std::string_view name) {
  if (auto problem = tooLong(name, kMaxLabel)) return problem;
  if (isDnsLabel(name)) return std::nullopt;
  return inQuotes(name) + "is no valid tier name; use lower-case letters, digits and '-', no '.'";
}

std::optional<std::string> qualifiedNameProblem(std::string_view key) {
  std::string_view name = key;
  if (const std::size_t slash = key.find('/'); slash != std::string_view::npos) {
    const std::string_view prefix = key.substr(0, slash);
    name = key.substr(slash + 1);
    if (prefix.empty() || prefix.size() > kMaxName || !isDnsSubdomain(prefix)) {
      return "key " + inQuotes(key) +
             "needs a lower-case DNS name of at most 253 characters before its '/'";
    }
  }
  if (name.size() <= kMaxLabel && isLabelText(name)) return std::nullopt;
  return "key " + inQuotes(key) +
         "needs a name of 1 to 63 letters, digits, '-', '_' and '.', with a letter or digit at "
         "both ends";
}

std::optional<std::string> labelValueProblem(std::string_view value) {
  if (value.empty() || (value.size() <= kMaxLabel && isLabelText(value))) return std::nullopt;
  return "value " + inQuotes(value) +
         "is no label value; use at most 63 letters, digits, '-', '_' and '.', with a letter or "
         "digit at both ends";
}

std::optional<std::string> portNameProblem(std::string_view name) {
  const bool valid = name.size() <= kMaxPortName && isDnsLabel(name) &&
                     std::any_of(name.begin(), name.end(), isLower) &&
                     name.find("--") == std::string_view::npos;
  if (valid) return std::nullopt;
  return inQuotes(name) +
         "is no port name; use 1 to 15 lower-case letters, digits and single '-', with at least "
         "one letter";
}

bool isInterfaceName(std::string_view name) {
  if (name == "*") return true;
  return !name.empty() && name.size() <= kMaxInterfaceName &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return isAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool isContainerId(std::string_view text) {
  return isFramed(text, isAlphanumeric, [](char c) { return isAlphanumeric(c) || c == '-'; });
}

}  // namespace margay::api
