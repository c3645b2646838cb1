#include "dataplane/iptables_driver.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "dataplane/iptables_commit.h"
#include "dataplane/iptables_reader.h"
#include "dataplane/set_index.h"
#include "dataplane/xtables_lock.h"
#include "dataplane/xtables_session.h"
#include "dataplane/xtables_socket.h"

namespace margay::dataplane {
namespace {

/// A table that changes faster than it can be read so many times in a row.
constexpr int kReadAttempts = 5;

/// Names of sets by index and back, asked once each for the time of one call.
class SetCache {
 public:
  explicit SetCache(const SetIndex& index) : index_(index) {}

  const std::string& nameOf(std::uint16_t index) {
    const auto [entry, isNew] = names_.try_emplace(index);
    if (isNew)
      if (auto name = index_.nameOf(index)) entry->second = std::move(*name);
    return entry->second;
  }
  Result<std::uint16_t> indexOf(const std::string& name) {
    if (const auto known = indices_.find(name); known != indices_.end()) return known->second;
    auto index = index_.indexOf(name);
    if (index) indices_.emplace(name, *index);
    return index;
  }

 private:
  const SetIndex& index_;
  std::unordered_map<std::uint16_t, std::string> names_;
  std::unordered_map<std::string, std::uint16_t> indices_;
};

Fail stale(TableId table) {
  return fail(Errc::Stale, "table " + table.str() + " changed since it was read");
}

}  // namespace

struct IptablesDriver::State {
  IptablesOptions options;
  SetIndex sets;
  std::optional<xtables::TableSocket> socket4;
  std::optional<xtables::TableSocket> socket6;
  // Of the last commit: fresh pages for 3 MB cost a third of what the kernel takes.
  xtables::TableEntries::Buffer forEntries;
  xtables::TableEntries::Buffer forReplacement;

  Result<const xtables::TableSocket*> socket(Family family) {
    auto& socket = family == Family::V4 ? socket4 : socket6;
    if (!socket) {
      auto opened = xtables::TableSocket::open(family);
      if (!opened) return Fail(opened.error());
      socket = std::move(*opened);
    }
    return &*socket;
  }
  Result<TableFingerprint> fingerprint(TableId table) {
    const auto asked = socket(table.family);
    if (!asked) return Fail(asked.error());
    return (*asked)->fingerprint(table.table);
  }
};

Result<IptablesDriver> IptablesDriver::open(IptablesOptions options) {
  auto sets = SetIndex::open();
  if (!sets) return Fail(sets.error());
  return IptablesDriver(
      std::make_unique<State>(State{std::move(options), std::move(*sets), {}, {}, {}, {}}));
}

IptablesDriver::IptablesDriver(std::unique_ptr<State> state) : state_(std::move(state)) {}
IptablesDriver::IptablesDriver(IptablesDriver&&) noexcept = default;
IptablesDriver& IptablesDriver::operator=(IptablesDriver&&) noexcept = default;
IptablesDriver::~IptablesDriver() = default;

Result<TableFingerprint> IptablesDriver::fingerprint(TableId table) {
  return state_->fingerprint(table);
}

Result<ObservedTable> IptablesDriver::read(TableId table) {
  SetCache sets(state_->sets);
  const xtables::SetNameOf nameOf = [&](std::uint16_t index) -> const std::string& {
    return sets.nameOf(index);
  };
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    const auto before = state_->fingerprint(table);
    if (!before) return Fail(before.error());
    const auto session = xtables::Session::open(table);
    if (!session) return Fail(session.error());
    const auto after = state_->fingerprint(table);
    if (!after) return Fail(after.error());
    if (*before != *after) continue;
    auto observed = iptables::observe(*session, nameOf);
    observed.fingerprint = *after;
    return observed;
  }
  return fail(Errc::Interrupted, "read table " + table.str() + ": it changed during each of " +
                                     std::to_string(kReadAttempts) + " reads");
}

Result<std::vector<RuleDigest>> IptablesDriver::digests(TableId table,
                                                        std::span<const Rule> rules) {
  return iptables::digestRules(rules, table.family);
}

Result<TableFingerprint> IptablesDriver::commit(TableId table, const TableEdit& edit,
                                                const TableFingerprint& expected) {
  const auto lock = xtables::Lock::acquire(state_->options.lockPath, state_->options.lockTimeout);
  if (!lock) return Fail(lock.error());
  const auto before = state_->fingerprint(table);
  if (!before) return Fail(before.error());
  if (*before != expected) return stale(table);
  if (edit.empty()) return *before;
  const auto socket = state_->socket(table.family);
  if (!socket) return Fail(socket.error());
  auto entries = (*socket)->entries(table.table, std::exchange(state_->forEntries, {}));
  if (!entries) return Fail(entries.error());
  // Not everybody takes the lock.
  const auto read = state_->fingerprint(table);
  if (!read) return Fail(read.error());
  if (*read != expected) return stale(table);
  auto image = xtables::TableImage::parse(std::move(*entries), table.family);
  if (!image) return Fail(withContext(image.error(), "table " + table.str()));

  SetCache sets(state_->sets);
  const xtables::SetIndexOf indexOf = [&](const std::string& name) { return sets.indexOf(name); };
  if (auto edited = iptables::applyEdit(*image, table, edit, indexOf); !edited)
    return Fail(edited.error());
  auto replacement = image->compile(std::exchange(state_->forReplacement, {}));
  auto written = (*socket)->replace(table.table, replacement);
  state_->forEntries = std::move(*image).takeBuffer();
  state_->forReplacement = std::move(replacement.entries.bytes);
  if (!written) return Fail(written.error());
  return state_->fingerprint(table);
}

}  // namespace margay::dataplane
