#include "api/file/directory_loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "api/codec/document_reader.h"
#include "api/file/directory_state.h"
#include "api/file/file_content.h"
#include "api/file/file_set.h"
#include "api/file/prototype_text.h"

namespace margay::api {
namespace {

Result<std::string> textOf(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail(systemError(errno, path));
  auto text = readAll(fd, DocumentLimits{}.maxBytes);
  ::close(fd);
  if (!text) return Fail(withContext(text.error(), path));
  return text;
}

/// Verdicts of manifests one by one, and at the end on what they say together.
class Validation {
 public:
  void addText(std::string_view text, const std::string& file) {
    FileContent content;
    const auto take = [&](const DocumentPlace& place, nlohmann::json& document) {
      const auto origin = originOf(document);
      Decoded decoded = decoder_.decode(document);
      if (decoded.value) placed_.try_emplace({file, place.document, decoded.key}, verdicts_.size());
      verdicts_.push_back({file, place.document, decoded.kindName, decoded.ns, decoded.name,
                           decoded.errors, decoded.warnings});
      addDecoded(std::move(decoded), origin, place.document, file, content);
    };
    const auto problem = readDocuments(text, {}, take);
    if (problem) fail(file, problem->document, problem->str());
    changes_.push_back({file, FileContent{std::move(content.objects), {}, {}}});
  }
  /// The text files of the prototype: only what is wrong in them has a verdict.
  void addPrototype(const std::string& text, const std::string& file) {
    FileContent content;
    readPrototype(text, file, content);
    for (const InvalidObject& each : content.invalid) add(each);
    changes_.push_back({file, FileContent{std::move(content.objects), {}, {}}});
  }
  /// The file, or a document in it, cannot be read.
  void fail(const std::string& file, int document, std::string reason) {
    verdicts_.push_back({file, document, {}, {}, {}, {{"", std::move(reason)}}, {}});
  }
  /// Of two objects with one key, the one that does not count is invalid.
  [[nodiscard]] std::vector<DocumentVerdict> finish() {
    FileSet together;
    static_cast<void>(together.apply(std::move(changes_)));
    for (const InvalidObject& each : together.invalid()) {
      const auto place =
          placed_.find({each.file, each.document, ObjectKey{each.kind, each.ns, each.name}});
      if (place == placed_.end()) {
        add(each);
      } else {
        verdicts_[place->second].errors.push_back({each.field, each.reason});
      }
    }
    return std::move(verdicts_);
  }

 private:
  void add(const InvalidObject& each) {
    verdicts_.push_back({each.file,
                         each.document,
                         each.kindName,
                         each.ns,
                         each.name,
                         {{each.field, each.reason}},
                         {}});
  }

  ObjectDecoder decoder_;
  std::vector<DocumentVerdict> verdicts_;
  std::map<std::tuple<std::string, int, ObjectKey>, std::size_t> placed_;  // into verdicts_
  std::vector<FileSet::Change> changes_;
};

Result<void> validateFile(const std::string& path, const std::string& file, Validation& out) {
  const auto text = textOf(path);
  if (!text) return Fail(text.error());
  if (formatOf(file.substr(file.rfind('/') + 1)) == FileFormat::Prototype) {
    out.addPrototype(*text, file);
  } else {
    out.addText(*text, file);
  }
  return {};
}

}  // namespace

Result<LoadedDirectory> loadDirectory(const std::string& path) {
  DirectoryState state(path, {}, "cali", [](const std::string&) {});
  auto updates = state.rescan({});
  if (!updates) return Fail(updates.error());
  return LoadedDirectory{std::move(*updates), state.objects().invalid(),
                         state.objects().warnings()};
}

std::vector<DocumentVerdict> validateText(std::string_view text, const std::string& file) {
  Validation out;
  out.addText(text, file);
  return out.finish();
}

Result<std::vector<DocumentVerdict>> validatePath(const std::string& path) {
  Validation out;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return Fail(systemError(errno, path));
  if (!S_ISDIR(status.st_mode)) {
    if (const auto done = validateFile(path, path, out); !done) return Fail(done.error());
    return out.finish();
  }
  const auto walk = walkDirectory(path, [](const std::string&) {});
  if (!walk) return Fail(walk.error());
  for (const auto& [place, reason] : walk->problems) out.fail(place, 0, reason);
  for (const auto& [file, stamp] : walk->files) {
    if (const auto done = validateFile(path + "/" + file, file, out); !done)
      out.fail(file, 0, done.error().what);
  }
  return out.finish();
}

}  // namespace margay::api
