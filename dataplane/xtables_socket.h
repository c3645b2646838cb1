#pragma once

#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/xtables_image.h"

struct xt_counters;

namespace margay::dataplane {

/// Whether the kernel has the legacy tables of the family, and whether we may use them. Makes no
/// table. `Errc::Unsupported`: one line that says what is missing and what to do.
[[nodiscard]] Result<void> probeLegacyTables(Family family);

namespace xtables {

/// The raw socket on which the kernel hands out legacy tables and takes them, in the network
/// namespace in which it was opened. One thread.
class TableSocket {
 public:
  /// `Errc::Unsupported` without CAP_NET_RAW or without the family.
  static Result<TableSocket> open(Family family);
  TableSocket(TableSocket&& other) noexcept;
  TableSocket& operator=(TableSocket&& other) noexcept;
  ~TableSocket();

  /// One system call, no entry is read. Makes the table in this namespace if it has none yet.
  /// `Errc::Unsupported` if the kernel cannot.
  [[nodiscard]] Result<TableFingerprint> fingerprint(TableName table) const;
  /// The whole table, into `room` if that is large enough. `Errc::Stale` if it changed between the
  /// two system calls that this takes.
  [[nodiscard]] Result<TableEntries> entries(TableName table, TableEntries::Buffer room = {}) const;
  /// Writes the table; entries that were there before go on counting. `Errc::Stale` if the number
  /// of entries in the kernel changed meanwhile. Nothing changes on error.
  [[nodiscard]] Result<void> replace(TableName table, const TableReplacement& replacement) const;
  /// Whether the kernel answers at all; touches no table.
  [[nodiscard]] Result<void> probe() const;

 private:
  void addCounters(TableName table, const TableReplacement& replacement,
                   const std::vector<xt_counters>& before) const;
  TableSocket(int fd, Family family) : fd_(fd), family_(family) {}
  int fd_ = -1;
  Family family_ = Family::V4;
};

}  // namespace xtables
}  // namespace margay::dataplane
