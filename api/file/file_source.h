#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "api/codec/document_reader.h"
#include "api/store/mailbox.h"

namespace margay::api {

struct FileSourceOptions {
  DocumentLimits limits;
  /// Of the interfaces of pods: to find the Pod that a WorkloadEndpoint describes.
  std::string interfacePrefix = "cali";
  /// Events that belong together are read together: this long after the last one ...
  std::chrono::milliseconds quiet{2};
  /// ... or, when files have only been deleted, this long (the whole directory may be going away).
  std::chrono::milliseconds quietAfterDelete{20};
  /// A file that is written in place and not closed is read when it has been still for so long.
  std::chrono::milliseconds stillOpen{200};
  /// Every file's stamp is looked at this often, for what inotify does not tell (mounts, network
  /// file systems).
  std::chrono::milliseconds auditPeriod{std::chrono::seconds(60)};
};

/// The source "file": every manifest below a directory, watched by inotify, and read by a thread of
/// its own. A file that does not parse, or cannot be read, keeps the objects it last gave and is
/// named in SourceState::invalid; while the directory is away everything stays and the source is
/// not connected. start, stop, relist and locate may be called on any thread.
class FileSource final : public Source {
 public:
  FileSource(const std::string& directory, Mailbox& mailbox, const FileSourceOptions& options = {});
  ~FileSource() override;

  [[nodiscard]] const std::string& name() const override;
  void start() override;
  void stop() override;
  /// The barrier waits for files that are being written, and for a directory that is away.
  void relist(std::uint64_t barrier) override;
  void locate(std::set<ObjectKey> keys) override;

 private:
  class Watcher;
  std::unique_ptr<Watcher> watcher_;
};

}  // namespace margay::api
