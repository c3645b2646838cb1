#include "api/file/file_content.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "api/codec/calico_decode.h"
#include "api/file/prototype_text.h"

namespace margay::api {
namespace {

using nlohmann::json;

template <class T>
std::string_view nsOf(const T& value) {
  if constexpr (requires { value.ns; }) {
    return value.ns;
  } else {
    return {};
  }
}

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

Origin originOf(const json& document) {
  const auto version = document.find("apiVersion");
  const bool calico = version != document.end() && version->is_string() &&
                      isCalicoApiVersion(version->get_ref<const std::string&>());
  return calico ? Origin::Calico : Origin::Kubernetes;
}

std::string_view FileObject::ns() const {
  return std::visit([](const auto& pointer) { return nsOf(*pointer); }, value);
}

std::string_view FileObject::name() const {
  return std::visit([](const auto& pointer) { return std::string_view(pointer->name); }, value);
}

ObjectKey FileObject::key() const {
  return std::visit(
      [this](const auto& pointer) {
        ObjectKey key{kind, {}, std::string(pointer->name)};
        if constexpr (requires { pointer->ns; }) key.ns = pointer->ns;
        return key;
      },
      value);
}

FileFormat formatOf(std::string_view fileName) {
  if (fileName.empty() || fileName.front() == '.' || fileName.back() == '~' ||
      fileName.front() == '#') {
    return FileFormat::None;
  }
  if (endsWith(fileName, ".yaml") || endsWith(fileName, ".yml")) return FileFormat::Yaml;
  if (endsWith(fileName, ".json")) return FileFormat::Json;
  return endsWith(fileName, ".txt") ? FileFormat::Prototype : FileFormat::None;
}

Result<std::string> readAll(int fd, std::size_t maxBytes) {
  std::string text;
  std::array<char, std::size_t{64} << 10U> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(systemError(errno, "read"));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > maxBytes) {
      return fail(Errc::Invalid, "is larger than " + std::to_string(maxBytes) + " bytes; split it");
    }
  }
}

void addDecoded(Decoded&& decoded, Origin origin, int document, const std::string& file,
                FileContent& content) {
  for (FieldError& error : decoded.errors) {
    content.invalid.push_back({decoded.key.kind, decoded.kindName, decoded.ns, decoded.name, file,
                               document, std::move(error.field), std::move(error.reason)});
  }
  for (const std::string& warning : decoded.warnings) {
    content.warnings.push_back(file + ": " + decoded.kindName + " " +
                               (decoded.ns.empty() ? "" : decoded.ns + "/") + decoded.name + ": " +
                               warning);
  }
  if (decoded.value)
    content.objects.push_back({std::move(*decoded.value), document, decoded.key.kind, origin});
}

Result<FileContent> readFile(int fd, FileFormat format, const std::string& file,
                             const DocumentLimits& limits, ObjectDecoder& decoder) {
  FileContent content;
  if (format == FileFormat::None) return content;
  const ObjectSink sink = [&](const DocumentPlace& place, json& document) {
    addDecoded(decoder.decode(document), originOf(document), place.document, file, content);
  };
  std::optional<ReadProblem> problem;
  if (format == FileFormat::Json) {
    problem = readJson(fd, limits, sink);
  } else {
    const auto text = readAll(fd, limits.maxBytes);
    if (!text) return Fail(text.error());
    if (format == FileFormat::Prototype) {
      readPrototype(*text, file, content);
    } else {
      problem = readDocuments(*text, limits, sink);
    }
  }
  if (problem) return fail(Errc::Invalid, problem->str());
  content.objects.shrink_to_fit();
  return content;
}

}  // namespace margay::api
