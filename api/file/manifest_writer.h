#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/model/object.h"
#include "base/result.h"

namespace margay::api {

/// A data directory that this process changes. It holds a lock on the directory while it lives, so
/// that two programs that read, change and write do not lose each other's work. One thread.
class ManifestWriter {
 public:
  /// Makes the directory (mode 0755) if it is not there, and waits for the lock.
  [[nodiscard]] static Result<ManifestWriter> open(const std::string& directory);
  ~ManifestWriter();
  ManifestWriter(ManifestWriter&& other) noexcept;
  ManifestWriter& operator=(ManifestWriter&&) = delete;
  ManifestWriter(const ManifestWriter&) = delete;
  ManifestWriter& operator=(const ManifestWriter&) = delete;

  struct Found {
    std::string file;  ///< below the directory
    Value value;
    bool alone =
        false;  ///< the only object of a YAML or JSON file, which may then be replaced or removed
  };
  /// The object with the key that counts: the first by file and document. O(all manifests).
  [[nodiscard]] Result<std::optional<Found>> find(const ObjectKey& key) const;
  /// Every object of a kind, in the order of files and documents; the first of equal keys counts.
  [[nodiscard]] Result<std::vector<Found>> list(Kind kind) const;

  /// Writes a WorkloadEndpoint or Profile: over the file that has it alone, else to a file of its
  /// own. Readers see the old or the new file, never a part. Invalid if it stands among other
  /// objects.
  [[nodiscard]] Result<void> put(const Value& value);
  /// NotFound if no file has it, Invalid if it stands among other objects.
  [[nodiscard]] Result<void> remove(const ObjectKey& key);

  /// Replaces `file` (below the directory) as a whole.
  [[nodiscard]] Result<void> writeFile(const std::string& file, const std::string& text);

 private:
  ManifestWriter(std::string directory, int lock) : directory_(std::move(directory)), lock_(lock) {}

  std::string directory_;
  int lock_ = -1;
};

/// The key under which a value is stored.
[[nodiscard]] ObjectKey keyOfValue(const Value& value);

}  // namespace margay::api
