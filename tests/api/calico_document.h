#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "api/codec/calico_decode.h"
#include "base/shared.h"

/// Builders of projectcalico.org/v3 documents.
namespace margay::api {

inline nlohmann::json calicoDocument(const std::string& kind, const std::string& name,
                                     const char* spec) {
  return {{"apiVersion", "projectcalico.org/v3"},
          {"kind", kind},
          {"metadata", {{"name", name}}},
          {"spec", nlohmann::json::parse(spec)}};
}

/// "field: reason" of each error.
inline std::vector<std::string> errorTexts(const Decoded& decoded) {
  std::vector<std::string> texts;
  for (const FieldError& error : decoded.errors) texts.push_back(error.field + ": " + error.reason);
  return texts;
}

/// The value, which must be a T.
template <class T>
T valueOf(const Decoded& decoded) {
  const auto* value = decoded.value ? std::get_if<Shared<T>>(&*decoded.value) : nullptr;
  return value == nullptr ? T{} : **value;
}

template <class T>
T decodeAs(const std::string& kind, const std::string& name, const char* spec) {
  return valueOf<T>(decodeCalico(calicoDocument(kind, name, spec)));
}

}  // namespace margay::api
