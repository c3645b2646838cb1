#include "api/file/manifest_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/codec/calico_encode.h"
#include "api/file/directory_walk.h"
#include "api/file/file_content.h"

namespace margay::api {
namespace {

/// Lower case, and nothing that a file's name must not have: for people; the object says who it is.
std::string fileNameFor(const ObjectKey& key) {
  std::string name(kindText(key.kind));
  if (!key.ns.empty()) name += "-" + key.ns.str();
  name += "-" + key.name;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    const bool fine = std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
    return fine ? static_cast<char>(std::tolower(c)) : '_';
  });
  if (name.size() > 200) name.resize(200);
  return name;
}

Result<FileContent> contentOf(const std::string& directory, const std::string& file,
                              ObjectDecoder& decoder) {
  const std::string path = directory + "/" + file;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Fail(systemError(errno, path));
  auto content = readFile(fd, formatOf(file.substr(file.rfind('/') + 1)), file, {}, decoder);
  ::close(fd);
  return content;
}

Result<void> writeAll(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(fd, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Fail(systemError(errno, "write"));
    done += static_cast<std::size_t>(wrote);
  }
  if (::fchmod(fd, 0644) != 0 || ::fsync(fd) != 0) return Fail(systemError(errno, "write"));
  return {};
}

void syncDirectory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

Result<void> refuseShared(const ObjectKey& key, const std::string& file) {
  return fail(Errc::Invalid,
              key.str() + " is one of several objects in " + file + "; change it there");
}

}  // namespace

ObjectKey keyOfValue(const Value& value) {
  FileObject object{value, 0, Kind::Unknown, Origin::Calico};
  if (std::holds_alternative<Shared<WorkloadEndpoint>>(value)) object.kind = Kind::WorkloadEndpoint;
  if (std::holds_alternative<Shared<Profile>>(value)) object.kind = Kind::Profile;
  return object.key();
}

Result<ManifestWriter> ManifestWriter::open(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Fail(systemError(errno, "directory " + directory));
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const int reason = errno;
    ::close(fd);
    return Fail(systemError(reason, "lock directory " + directory));
  }
  return ManifestWriter(directory, fd);
}

ManifestWriter::ManifestWriter(ManifestWriter&& other) noexcept
    : directory_(std::move(other.directory_)), lock_(std::exchange(other.lock_, -1)) {}

ManifestWriter::~ManifestWriter() {
  if (lock_ >= 0) ::close(lock_);
}

Result<std::vector<ManifestWriter::Found>> ManifestWriter::list(Kind kind) const {
  const auto walk = walkDirectory(directory_, [](const std::string&) {});
  if (!walk) return Fail(walk.error());
  ObjectDecoder decoder;
  std::vector<Found> out;
  for (const auto& [file, stamp] : walk->files) {
    // A file that does not parse gives nothing that could be found.
    const auto content = contentOf(directory_, file, decoder);
    if (!content) continue;
    const bool alone = content->objects.size() == 1 && content->invalid.empty() &&
                       content->objects[0].origin == Origin::Calico;
    for (const FileObject& object : content->objects) {
      if (object.kind == kind) out.push_back({file, object.value, alone});
    }
  }
  return out;
}

Result<std::optional<ManifestWriter::Found>> ManifestWriter::find(const ObjectKey& key) const {
  const auto all = list(key.kind);
  if (!all) return Fail(all.error());
  for (const Found& found : *all) {
    if (FileObject{found.value, 0, key.kind, Origin::Calico}.key() == key)
      return std::optional<Found>(found);
  }
  return std::optional<Found>();
}

Result<void> ManifestWriter::put(const Value& value) {
  const auto object = encodeCalico(value);
  const ObjectKey key = keyOfValue(value);
  if (!object || key.kind == Kind::Unknown)
    return fail(Errc::Unsupported, "only endpoints and profiles can be written");
  const auto existing = find(key);
  if (!existing) return Fail(existing.error());
  if (*existing && !(*existing)->alone) return refuseShared(key, (*existing)->file);
  std::string file;
  if (*existing) {
    file = (*existing)->file;
  } else {
    const std::string stem = fileNameFor(key);
    file = stem + ".yaml";
    // Names that differ only in case or odd characters must not share a file.
    for (int i = 2; ::access((directory_ + "/" + file).c_str(), F_OK) == 0; ++i)
      file = stem + "-" + std::to_string(i) + ".yaml";
  }
  const bool json = formatOf(file.substr(file.rfind('/') + 1)) == FileFormat::Json;
  return writeFile(file, json ? object->dump(2) + "\n" : yamlText(*object));
}

Result<void> ManifestWriter::remove(const ObjectKey& key) {
  const auto existing = find(key);
  if (!existing) return Fail(existing.error());
  if (!*existing) return fail(Errc::NotFound, key.str() + " is in no file of " + directory_);
  if (!(*existing)->alone) return refuseShared(key, (*existing)->file);
  const std::string path = directory_ + "/" + (*existing)->file;
  if (::unlink(path.c_str()) != 0) return Fail(systemError(errno, "remove " + path));
  syncDirectory(path.substr(0, path.rfind('/')));
  return {};
}

Result<void> ManifestWriter::writeFile(const std::string& file, const std::string& text) {
  const std::string path = directory_ + "/" + file;
  const std::string parent = path.substr(0, path.rfind('/'));
  std::string temporary = parent + "/.margay-XXXXXX";  // hidden: no reader takes it for a manifest
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return Fail(systemError(errno, "write " + path));
  auto written = writeAll(fd, text);
  ::close(fd);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = Fail(systemError(errno, "rename"));
  if (!written) {
    ::unlink(temporary.c_str());
    return Fail(withContext(written.error(), path));
  }
  syncDirectory(parent);
  return {};
}

}  // namespace margay::api
