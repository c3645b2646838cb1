#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dataplane/model/rule.h"
#include "dataplane/xtables_entry.h"

struct xtc_handle;

namespace margay::dataplane::xtables {

/// The functions of libip4tc or of libip6tc.
struct LibraryCalls;

/// A copy of one kernel table, as libiptc reads it. One thread.
class Session {
 public:
  /// Reads the whole table: O(rules), 10 ms for 11,000.
  static Result<Session> open(TableId table);

  /// Of a base chain: packets that no rule decides are dropped.
  [[nodiscard]] bool policyDrops(const ChainName& chain) const;

  /// Calls `visit(const char* chain)` for each chain in the table's order.
  template <class Visit>
  void forEachChain(Visit visit) const {
    for (const char* chain = firstChain(); chain != nullptr; chain = nextChain()) visit(chain);
  }
  /// Calls `visit(const EntryView&, std::optional<std::string_view> verdict)` for each rule of the
  /// chain, in order; `verdict` as `digestOf` takes it.
  template <class Visit>
  void forEachRule(const ChainName& chain, Visit visit) const {
    for (const void* entry = firstRule(chain); entry != nullptr; entry = nextRule(entry)) {
      const auto view = EntryView::at(entry, table_.family);
      visit(view, verdictOf(entry, view));
    }
  }

 private:
  struct Deleter {
    const LibraryCalls* calls;
    void operator()(xtc_handle* handle) const;
  };
  Session(TableId table, const LibraryCalls* calls, xtc_handle* handle)
      : table_(table), calls_(calls), handle_(handle, Deleter{calls}) {}

  [[nodiscard]] const char* firstChain() const;
  [[nodiscard]] const char* nextChain() const;
  [[nodiscard]] const void* firstRule(const ChainName& chain) const;
  [[nodiscard]] const void* nextRule(const void* entry) const;
  [[nodiscard]] std::optional<std::string_view> verdictOf(const void* entry,
                                                          const EntryView& view) const;

  TableId table_;
  const LibraryCalls* calls_;
  std::unique_ptr<xtc_handle, Deleter> handle_;
};

}  // namespace margay::dataplane::xtables
