#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace margay::api {

/// Bounds that keep hostile input from taking time or memory without end.
struct DocumentLimits {
  std::size_t maxDepth = 200;  ///< containers inside each other
  std::size_t maxNodes =
      1'000'000;  ///< values in one object, aliases counted as often as they are used
  std::size_t maxBytes = 512U << 20U;  ///< of the whole text
};

/// Where an object stands in its text.
struct DocumentPlace {
  int document = 1;  ///< 1-based
  int item = -1;     ///< 0-based place in `items` of a List, -1 outside of lists
  auto operator<=>(const DocumentPlace&) const = default;
};

/// Why a text cannot be read to its end.
struct ReadProblem {
  int document = 0;  ///< 1-based; 0: the text as a whole
  int line = 0;      ///< 1-based; 0: unknown
  std::string reason;
  bool operator==(const ReadProblem&) const = default;
  [[nodiscard]] std::string str() const;  ///< "document 2, line 14: duplicate key \"name\""
};

/// Takes one object at a time and may move it away. Objects come in the order of the text; those of
/// a `List` or `<Kind>List` come one by one, with the kind and apiVersion that the list implies.
using ObjectSink = std::function<void(const DocumentPlace&, nlohmann::json&)>;

/// Read every object of a text. metadata.managedFields is left out, duplicate keys are errors,
/// empty documents are skipped (and counted). Memory is that of one object, not of the list it is
/// in. On a problem, objects before it have already been given to `sink`. Never throw. Any thread.
///
/// YAML: plain scalars become the JSON types that kubectl gives them (YAML 1.1 booleans and
/// numbers, null), quoted ones stay strings; anchors, aliases and merge keys work.
[[nodiscard]] std::optional<ReadProblem> readYaml(std::string_view text,
                                                  const DocumentLimits& limits,
                                                  const ObjectSink& sink);
[[nodiscard]] std::optional<ReadProblem> readJson(std::string_view text,
                                                  const DocumentLimits& limits,
                                                  const ObjectSink& sink);
/// Streams from a file descriptor, from its current offset to the end.
[[nodiscard]] std::optional<ReadProblem> readJson(int fd, const DocumentLimits& limits,
                                                  const ObjectSink& sink);

/// For text of unknown format: JSON if it starts with a brace (then YAML if that fails at the first
/// object), else YAML.
[[nodiscard]] std::optional<ReadProblem> readDocuments(std::string_view text,
                                                       const DocumentLimits& limits,
                                                       const ObjectSink& sink);

}  // namespace margay::api
