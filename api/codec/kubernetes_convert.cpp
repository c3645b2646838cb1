#include "api/codec/kubernetes_convert.h"

#include <nlohmann/json.hpp>

#include "api/codec/calico_encode.h"
#include "api/codec/document_reader.h"
#include "api/codec/kubernetes_decode.h"

namespace margay::api {
namespace {

std::string title(const Decoded& decoded, int document) {
  if (decoded.kindName.empty()) return "document " + std::to_string(document);
  return decoded.kindName + " " + (decoded.ns.empty() ? "" : decoded.ns + "/") + decoded.name;
}

void convertOne(const Decoded& decoded, int document, Conversion& out) {
  const std::string name = title(decoded, document);
  for (const FieldError& error : decoded.errors)
    out.warnings.push_back(name + ": " + error.field + ": " + error.reason);
  for (const std::string& warning : decoded.warnings) out.warnings.push_back(name + ": " + warning);
  auto object = decoded.value ? encodeCalico(*decoded.value) : std::nullopt;
  if (object) {
    out.objects.push_back(std::move(*object));
  } else if (decoded.errors.empty()) {
    out.warnings.push_back(name + ": nothing to convert");
  }
}

}  // namespace

Result<Conversion> convertKubernetes(std::string_view text) {
  Conversion out;
  KubernetesDecoder decoder;
  const auto problem =
      readDocuments(text, {}, [&](const DocumentPlace& place, nlohmann::json& document) {
        convertOne(decoder.decode(document), place.document, out);
      });
  if (problem) return fail(Errc::Invalid, problem->str());
  if (!out.objects.empty()) return out;
  std::string why = "nothing can be converted";
  for (const std::string& warning : out.warnings) why += "; " + warning;
  return fail(Errc::Invalid, std::move(why));
}

}  // namespace margay::api
