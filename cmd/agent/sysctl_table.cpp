#include "cmd/agent/sysctl_table.h"

#include <utility>

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
    : driver_(driver), journal_(std::move(journal)) {
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
  const auto listed = driver_.list();  // torn while interfaces come and go: then each is read
  const auto look = [&](const std::string& path) -> Result<void> {
    if (listed) {
      const auto found = listed->find(path);
      if (found != listed->end()) {
        out.insert(*found);
        return {};
      }
    }
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
  for (const auto& [path, value] : journal_.all()) {
    if (known_.contains(path)) continue;
    if (auto looked = look(path); !looked) return Fail(looked.error());
  }
  return out;
}

void SysctlTableAdapter::lookAt(const std::string& interface) {
  for (const auto* place :
       {"net/ipv4/conf/", "net/ipv4/neigh/", "net/ipv6/conf/", "net/ipv6/neigh/"}) {
    const auto prefix = place + interface + '/';
    for (auto at = known_.lower_bound(prefix); at != known_.end() && at->first.starts_with(prefix);
         ++at) {
      if (auto value = driver_.read(at->first)) table_->observe(at->first, std::move(*value));
    }
  }
}

/// What settings were is in the journal before any of them is written. Writing a host-wide one
/// changes that of every interface, so what all of them were is read first, and host-wide settings
/// are written first.
std::vector<Result<void>> SysctlTableAdapter::apply(
    std::span<const reconcile::KeyedChange<std::string, std::string>> changes) {
  std::vector<std::optional<std::string>> found(changes.size());
  bool hostWide = false;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto& path = *changes[i].key;
    hostWide = hostWide || isHostWide(path);
    if (changes[i].op == Op::Remove) continue;
    if (auto value = driver_.read(path)) found[i] = std::move(*value);
    if (found[i] && !journal_.knows(path)) journal_.remember(path, *found[i]);
  }
  journal_.save();
  std::vector<Result<void>> results(changes.size());
  for (const bool first : {true, false}) {
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (isHostWide(*changes[i].key) != first) continue;
      results[i] = changes[i].op == Op::Remove ? putBack(*changes[i].key)
                   : found[i] == *changes[i].value && !hostWide
                       ? Result<void>()
                       : driver_.write(*changes[i].key, *changes[i].value);
    }
  }
  journal_.save();
  return results;
}

Result<void> SysctlTableAdapter::putBack(const std::string& path) {
  const auto before = journal_.all().find(path);
  if (before == journal_.all().end()) return {};
  auto written = driver_.write(path, before->second);
  if (!written && written.error().code != Errc::NotFound) return written;
  journal_.forget(path);
  return {};
}

std::size_t SysctlTableAdapter::restoreAll() {
  std::size_t count = 0;
  const auto all = journal_.all();
  for (const auto& [path, value] : all) {
    const auto now = driver_.read(path);
    if (now && *now != value && putBack(path)) ++count;
  }
  journal_.clear();
  return count;
}

}  // namespace margay::agent
