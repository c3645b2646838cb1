#include "api/codec/calico_metadata.h"

#include <algorithm>
#include <utility>

#include "api/codec/validate_names.h"

namespace margay::api {
namespace {

constexpr std::size_t kMaxAnnotationBytes = 256UL * 1024;

std::string lowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

void checkAnnotations(const JsonReader& metadata) {
  std::size_t size = 0;
  for (const auto& [key, value] : metadata.stringMap("annotations")) {
    size += key.size() + value.size();
    if (auto problem = qualifiedNameProblem(lowerCase(key)))
      metadata.error("annotations", std::move(*problem));
  }
  if (size > kMaxAnnotationBytes) {
    metadata.error("annotations", "total size of annotations is too large by " +
                                      std::to_string(size - kMaxAnnotationBytes) +
                                      " bytes; at most 256 KiB are allowed");
  }
}

LabelMap readLabels(const JsonReader& reader, std::string_view key) {
  LabelMap labels = reader.stringMap(key);
  for (const auto& [name, value] : labels) {
    if (auto problem = qualifiedNameProblem(name)) reader.error(key, std::move(*problem));
    if (auto problem = labelValueProblem(value))
      reader.error(key, "label '" + name + "': " + *problem);
  }
  return labels;
}

}  // namespace margay::api
