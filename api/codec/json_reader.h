#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/decoded.h"
#include "api/model/labels.h"

namespace margay::api {

enum class UnknownFields : std::uint8_t { Ignored, Errors };

/// Reads one JSON object whose place in the document is known, so that every error names its field.
/// A field that is null counts as absent. A field of the wrong type is reported to `errors` and
/// then counts as absent too. Never throws. It refers to the document and to `errors`, which must
/// outlive it; copies are cheap. One thread.
class JsonReader {
 public:
  /// The top of a document, or the object at `path`; what is no object is an error and reads as an
  /// empty one.
  JsonReader(const nlohmann::json& document, std::vector<FieldError>& errors,
             UnknownFields unknown = UnknownFields::Ignored, std::string path = {});

  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> string(std::string_view key) const;
  [[nodiscard]] std::string stringOr(std::string_view key, std::string_view fallback) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  /// A whole number between `min` and `max`, both allowed.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t min,
                                                    std::int64_t max) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;
  /// Entries that are no strings are reported and left out.
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;
  /// Pairs in the order of their keys; values that are no strings are reported and left out.
  [[nodiscard]] LabelMap stringMap(std::string_view key) const;
  [[nodiscard]] std::optional<JsonReader> object(std::string_view key) const;
  /// Entries that are no objects are reported and left out; paths keep the written index.
  [[nodiscard]] std::vector<JsonReader> objects(std::string_view key) const;
  /// Entries of an array as they are, for lists of mixed types; empty when absent.
  [[nodiscard]] std::vector<const nlohmann::json*> entries(std::string_view key) const;
  /// The field as it is, for types that vary; null pointer when absent.
  [[nodiscard]] const nlohmann::json* raw(std::string_view key) const;
  /// Names of the fields that are present, in order.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// With UnknownFields::Errors, reports each field that is none of `known`.
  void onlyFields(std::initializer_list<std::string_view> known) const;

  /// Reports an error at this object, at a field, or at an entry of a list.
  void error(std::string reason) const;
  void error(std::string_view key, std::string reason) const;
  void error(std::string_view key, std::size_t index, std::string reason) const;

  /// Errors of the whole document so far.
  [[nodiscard]] std::size_t errorCount() const { return errors_->size(); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path(std::string_view key) const;

 private:
  JsonReader(const nlohmann::json* value, std::string path, std::vector<FieldError>* errors,
             UnknownFields unknown)
      : value_(value), path_(std::move(path)), errors_(errors), unknown_(unknown) {}
  /// The array at `key`; null pointer when absent or no array.
  [[nodiscard]] const nlohmann::json* array(std::string_view key) const;
  void wrongType(std::string path, std::string_view expected, const nlohmann::json& found) const;

  const nlohmann::json* value_;  // an object; null pointer reads as an empty one
  std::string path_;
  std::vector<FieldError>* errors_;
  UnknownFields unknown_;
};

}  // namespace margay::api
