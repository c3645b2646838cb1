#pragma once

#include "base/result.h"
#include "dataplane/drivers.h"

namespace margay::dataplane {

/// Whether the kernel has the legacy tables of the family, and whether we may use them. Makes no
/// table. `Errc::Unsupported`: one line that says what is missing and what to do.
[[nodiscard]] Result<void> probeLegacyTables(Family family);

namespace xtables {

/// The raw socket on which the kernel answers questions about legacy tables, in the network
/// namespace in which it was opened. One thread.
class InfoSocket {
 public:
  /// `Errc::Unsupported` without CAP_NET_RAW or without the family.
  static Result<InfoSocket> open(Family family);
  InfoSocket(InfoSocket&& other) noexcept;
  InfoSocket& operator=(InfoSocket&& other) noexcept;
  ~InfoSocket();

  /// One system call, no entry is read. Makes the table in this namespace if it has none yet.
  /// `Errc::Unsupported` if the kernel cannot.
  [[nodiscard]] Result<TableFingerprint> fingerprint(TableName table) const;
  /// Whether the kernel answers at all; touches no table.
  [[nodiscard]] Result<void> probe() const;

 private:
  InfoSocket(int fd, Family family) : fd_(fd), family_(family) {}
  int fd_ = -1;
  Family family_ = Family::V4;
};

}  // namespace xtables
}  // namespace margay::dataplane
