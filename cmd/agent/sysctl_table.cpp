#include "cmd/agent/sysctl_table.h"

#include <cstdio>
#include <fstream>

#include "base/log.h"
#include "cmd/agent/phases.h"

namespace margay::agent {
namespace {

bool isHostWide(const std::string& path) {
  return path.find("/conf/all/") != std::string::npos || path == "net/ipv4/ip_forward";
}

}  // namespace

SysctlTableAdapter::SysctlTableAdapter(dataplane::SysctlDriver& driver, std::string journal,
                                       const reconcile::TableOptions& options,
                                       reconcile::Jitter& jitter)
    : driver_(driver), journalFile_(std::move(journal)) {
  std::ifstream file(journalFile_);
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find('=');
    if (equals != std::string::npos) before_[line.substr(0, equals)] = line.substr(equals + 1);
  }
  reconcile::KeyedDriver<std::string, std::string> functions;
  functions.list = [this] { return list(); };
  functions.apply =
      [this](std::span<const reconcile::KeyedChange<std::string, std::string>> changes) {
        return apply(changes);
      };
  functions.phaseOf = [](Op, const std::string&, const std::string&) { return kHost; };
  functions.describe = [](const std::string& path, const std::string& value) {
    return path + " = " + value;
  };
  table_ = std::make_unique<Table>("sysctl", std::move(functions), options, jitter);
}

void SysctlTableAdapter::set(const std::string& path, const std::string& value) {
  known_[path] = value;
  table_->setDesired(path, value);
}

void SysctlTableAdapter::remove(const std::string& path) {
  known_.erase(path);
  table_->removeDesired(path);
}

/// Only what we want or have written is ours to look at.
Result<std::map<std::string, std::string>> SysctlTableAdapter::list() {
  std::map<std::string, std::string> out;
  const auto look = [&](const std::string& path) -> Result<void> {
    auto value = driver_.read(path);
    if (value) {
      out.emplace(path, std::move(*value));
    } else if (value.error().code != Errc::NotFound) {
      return Fail(value.error());
    }
    return {};
  };
  for (const auto& [path, value] : known_) {
    if (auto looked = look(path); !looked) return Fail(looked.error());
  }
  for (const auto& [path, value] : before_) {
    if (known_.contains(path)) continue;
    if (auto looked = look(path); !looked) return Fail(looked.error());
  }
  return out;
}

/// Writing a host-wide setting changes that of every interface, so what all of them were is read
/// before anything is written, and host-wide settings are written first.
std::vector<Result<void>> SysctlTableAdapter::apply(
    std::span<const reconcile::KeyedChange<std::string, std::string>> changes) {
  const auto journalled = before_;
  for (const auto& change : changes) {
    if (change.op == Op::Remove || before_.contains(*change.key)) continue;
    if (auto found = driver_.read(*change.key)) before_.emplace(*change.key, std::move(*found));
  }
  std::vector<Result<void>> results(changes.size());
  for (const bool hostWide : {true, false}) {
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const auto& change = changes[i];
      if (isHostWide(*change.key) != hostWide) continue;
      results[i] = change.op == Op::Remove ? putBack(*change.key)
                                           : driver_.write(*change.key, *change.value);
    }
  }
  if (before_ != journalled) saveJournal();
  return results;
}

Result<void> SysctlTableAdapter::putBack(const std::string& path) {
  const auto found = before_.find(path);
  if (found == before_.end()) return {};
  const auto value = found->second;
  before_.erase(found);
  auto written = driver_.write(path, value);
  if (!written && written.error().code == Errc::NotFound) return {};
  return written;
}

std::size_t SysctlTableAdapter::restoreAll() {
  std::size_t count = 0;
  const auto all = before_;
  for (const auto& [path, value] : all) {
    const auto now = driver_.read(path);
    if (now && *now != value && putBack(path)) ++count;
  }
  before_.clear();
  std::remove(journalFile_.c_str());
  return count;
}

void SysctlTableAdapter::saveJournal() const {
  if (journalFile_.empty()) return;
  const auto temporary = journalFile_ + ".new";
  std::ofstream file(temporary);
  for (const auto& [path, value] : before_) file << path << '=' << value << '\n';
  file.close();
  if (!file || std::rename(temporary.c_str(), journalFile_.c_str()) != 0) {
    log::warn("cannot keep what settings were before", {{"file", journalFile_}});
  }
}

}  // namespace margay::agent
