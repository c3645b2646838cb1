#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/codec/document_reader.h"
#include "api/file/object_decoder.h"
#include "api/model/object.h"
#include "base/result.h"

namespace margay::api {

/// What kind of manifest a value comes from: decides who wins where two describe one thing.
enum class Origin : std::uint8_t { Calico, Kubernetes, Prototype };

/// A value that a file gives. Small: a cluster in one file has a hundred thousand of them.
struct FileObject {
  Value value;
  int document = 0;
  Kind kind = Kind::Unknown;
  Origin origin = Origin::Calico;

  /// Views into `value`; empty for cluster-scoped kinds.
  [[nodiscard]] std::string_view ns() const;
  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] ObjectKey key() const;
};

/// Everything that a file says, in document order.
struct FileContent {
  std::vector<FileObject> objects;
  std::vector<InvalidObject> invalid;  ///< `file` set, sorted by document
  std::vector<std::string> warnings;   ///< with file and object
};

enum class FileFormat : std::uint8_t { Yaml, Json, Prototype, None };
/// By the name's ending; None for what is no manifest, for hidden files and for editors' temporary
/// files.
[[nodiscard]] FileFormat formatOf(std::string_view fileName);

/// Reads a file that is open at its begin. `file` is the name used in messages. The error (Invalid)
/// says with document and line why the file does not parse: then nothing of it is to be used. One
/// thread a decoder.
[[nodiscard]] Result<FileContent> readFile(int fd, FileFormat format, const std::string& file,
                                           const DocumentLimits& limits, ObjectDecoder& decoder);

/// By `apiVersion`.
[[nodiscard]] Origin originOf(const nlohmann::json& document);

/// Adds what a decoded document says to `content`.
void addDecoded(Decoded&& decoded, Origin origin, int document, const std::string& file,
                FileContent& content);

/// The whole of a descriptor as text; Invalid above `maxBytes`.
[[nodiscard]] Result<std::string> readAll(int fd, std::size_t maxBytes);

}  // namespace margay::api
