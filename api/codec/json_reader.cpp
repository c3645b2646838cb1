#include "api/codec/json_reader.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace margay::api {
namespace {

using Json = nlohmann::json;

std::string_view typeText(const Json& value) {
  if (value.is_string()) return "a string";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number_float()) return "a number with a fraction";
  if (value.is_number()) return "a number";
  if (value.is_array()) return "a list";
  if (value.is_object()) return "an object";
  return "null";
}

/// None when the value is no whole number; numbers above the range of std::int64_t are its maximum.
std::optional<std::int64_t> wholeNumber(const Json& value) {
  if (const auto* number = value.get_ptr<const Json::number_unsigned_t*>()) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    return *number > static_cast<std::uint64_t>(kMax) ? kMax : static_cast<std::int64_t>(*number);
  }
  if (const auto* number = value.get_ptr<const Json::number_integer_t*>()) return *number;
  return std::nullopt;
}

std::string indexed(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

}  // namespace

JsonReader::JsonReader(const Json& document, std::vector<FieldError>& errors, UnknownFields unknown,
                       std::string path)
    : value_(document.is_object() ? &document : nullptr),
      path_(std::move(path)),
      errors_(&errors),
      unknown_(unknown) {
  if (value_ == nullptr) wrongType(path_, "an object", document);
}

const Json* JsonReader::raw(std::string_view key) const {
  if (value_ == nullptr) return nullptr;
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

bool JsonReader::has(std::string_view key) const {
  return raw(key) != nullptr;
}

std::optional<std::string> JsonReader::string(std::string_view key) const {
  const Json* value = raw(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = value->get_ptr<const std::string*>()) return *text;
  wrongType(path(key), "a string", *value);
  return std::nullopt;
}

std::string JsonReader::stringOr(std::string_view key, std::string_view fallback) const {
  auto text = string(key);
  return text ? std::move(*text) : std::string(fallback);
}

std::optional<bool> JsonReader::boolean(std::string_view key) const {
  const Json* value = raw(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* truth = value->get_ptr<const bool*>()) return *truth;
  wrongType(path(key), "true or false", *value);
  return std::nullopt;
}

std::optional<std::int64_t> JsonReader::integer(std::string_view key, std::int64_t min,
                                                std::int64_t max) const {
  const Json* value = raw(key);
  if (value == nullptr) return std::nullopt;
  const auto number = wholeNumber(*value);
  if (!number) {
    wrongType(path(key), "a whole number", *value);
    return std::nullopt;
  }
  if (*number < min || *number > max) {
    error(key, value->dump() + " is out of range; use a whole number from " + std::to_string(min) +
                   " to " + std::to_string(max));
    return std::nullopt;
  }
  return number;
}

std::optional<double> JsonReader::number(std::string_view key) const {
  const Json* value = raw(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->get<double>();
  wrongType(path(key), "a number", *value);
  return std::nullopt;
}

const Json* JsonReader::array(std::string_view key) const {
  const Json* value = raw(key);
  if (value == nullptr) return nullptr;
  if (value->is_array()) return value;
  wrongType(path(key), "a list", *value);
  return nullptr;
}

std::vector<const Json*> JsonReader::entries(std::string_view key) const {
  std::vector<const Json*> found;
  if (const Json* list = array(key)) {
    found.reserve(list->size());
    for (const Json& entry : *list) found.push_back(&entry);
  }
  return found;
}

std::vector<std::string> JsonReader::strings(std::string_view key) const {
  std::vector<std::string> texts;
  const Json* list = array(key);
  if (list == nullptr) return texts;
  texts.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Json& entry = (*list)[i];
    if (const auto* text = entry.get_ptr<const std::string*>()) {
      texts.push_back(*text);
    } else {
      wrongType(indexed(path(key), i), "a string", entry);
    }
  }
  return texts;
}

LabelMap JsonReader::stringMap(std::string_view key) const {
  LabelMap pairs;
  const Json* value = raw(key);
  if (value == nullptr) return pairs;
  if (!value->is_object()) {
    wrongType(path(key), "an object of strings", *value);
    return pairs;
  }
  pairs.reserve(value->size());
  for (const auto& [name, entry] : value->items()) {
    if (const auto* text = entry.get_ptr<const std::string*>()) {
      pairs.emplace_back(name, *text);
    } else {
      wrongType(path(key) + "." + name, "a string (numbers and booleans need quotes in YAML)",
                entry);
    }
  }
  return pairs;
}

std::optional<JsonReader> JsonReader::object(std::string_view key) const {
  const Json* value = raw(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) return JsonReader(value, path(key), errors_, unknown_);
  wrongType(path(key), "an object", *value);
  return std::nullopt;
}

std::vector<JsonReader> JsonReader::objects(std::string_view key) const {
  std::vector<JsonReader> found;
  const Json* list = array(key);
  if (list == nullptr) return found;
  found.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Json& entry = (*list)[i];
    if (entry.is_object()) {
      found.push_back(JsonReader(&entry, indexed(path(key), i), errors_, unknown_));
    } else {
      wrongType(indexed(path(key), i), "an object", entry);
    }
  }
  return found;
}

std::vector<std::string> JsonReader::keys() const {
  std::vector<std::string> names;
  if (value_ == nullptr) return names;
  for (const auto& [name, entry] : value_->items()) {
    if (!entry.is_null()) names.push_back(name);
  }
  return names;
}

void JsonReader::onlyFields(std::initializer_list<std::string_view> known) const {
  if (unknown_ == UnknownFields::Ignored || value_ == nullptr) return;
  for (const auto& item : value_->items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      error(item.key(), "unknown field; check its spelling or remove it");
    }
  }
}

void JsonReader::error(std::string reason) const {
  errors_->push_back({path_, std::move(reason)});
}

void JsonReader::error(std::string_view key, std::string reason) const {
  errors_->push_back({path(key), std::move(reason)});
}

void JsonReader::error(std::string_view key, std::size_t index, std::string reason) const {
  errors_->push_back({indexed(path(key), index), std::move(reason)});
}

std::string JsonReader::path(std::string_view key) const {
  std::string full;
  full.reserve(path_.size() + 1 + key.size());
  full.append(path_);
  if (!full.empty()) full.push_back('.');
  full.append(key);
  return full;
}

void JsonReader::wrongType(std::string path, std::string_view expected, const Json& found) const {
  errors_->push_back({std::move(path), "expected " + std::string(expected) + ", found " +
                                           std::string(typeText(found))});
}

}  // namespace margay::api
