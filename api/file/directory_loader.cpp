#include "api/file/directory_loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "api/codec/document_reader.h"
#include "api/file/directory_state.h"
#include "api/file/file_content.h"
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

/// The text files of the prototype: only what is wrong in them has a verdict.
void validatePrototype(const std::string& text, const std::string& file,
                       std::vector<DocumentVerdict>& out) {
  FileContent content;
  readPrototype(text, file, content);
  for (const InvalidObject& each : content.invalid) {
    out.push_back(
        {file, each.document, each.kindName, each.ns, each.name, {{each.field, each.reason}}, {}});
  }
}

Result<void> validateFile(const std::string& path, const std::string& file,
                          std::vector<DocumentVerdict>& out) {
  const auto text = textOf(path);
  if (!text) return Fail(text.error());
  if (formatOf(file.substr(file.rfind('/') + 1)) == FileFormat::Prototype) {
    validatePrototype(*text, file, out);
    return {};
  }
  auto verdicts = validateText(*text, file);
  std::move(verdicts.begin(), verdicts.end(), std::back_inserter(out));
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
  std::vector<DocumentVerdict> out;
  ObjectDecoder decoder;
  const auto problem =
      readDocuments(text, {}, [&](const DocumentPlace& place, nlohmann::json& document) {
        Decoded decoded = decoder.decode(document);
        out.push_back({file, place.document, std::move(decoded.kindName), std::move(decoded.ns),
                       std::move(decoded.name), std::move(decoded.errors),
                       std::move(decoded.warnings)});
      });
  if (problem) out.push_back({file, problem->document, {}, {}, {}, {{"", problem->str()}}, {}});
  return out;
}

Result<std::vector<DocumentVerdict>> validatePath(const std::string& path) {
  std::vector<DocumentVerdict> out;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return Fail(systemError(errno, path));
  if (!S_ISDIR(status.st_mode)) {
    if (const auto done = validateFile(path, path, out); !done) return Fail(done.error());
    return out;
  }
  const auto walk = walkDirectory(path, [](const std::string&) {});
  if (!walk) return Fail(walk.error());
  for (const auto& [place, reason] : walk->problems)
    out.push_back({place, 0, {}, {}, {}, {{"", reason}}, {}});
  for (const auto& [file, stamp] : walk->files) {
    if (const auto done = validateFile(path + "/" + file, file, out); !done) {
      out.push_back({file, 0, {}, {}, {}, {{"", done.error().what}}, {}});
    }
  }
  return out;
}

}  // namespace margay::api
