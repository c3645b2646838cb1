#include "cmd/agent/sysctl_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "base/log.h"

namespace margay::agent {
namespace {

/// So many lines more than settings are let be.
constexpr std::size_t kSpareLines = 256;

}  // namespace

SysctlJournal::SysctlJournal(std::string file) : file_(std::move(file)) {
  std::ifstream in(file_);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) {
      before_.erase(line);
    } else {
      before_[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
}

void SysctlJournal::remember(const std::string& path, const std::string& value) {
  before_[path] = value;
  unsaved_ += path + '=' + value + '\n';
  ++lines_;
}

void SysctlJournal::forget(const std::string& path) {
  if (before_.erase(path) == 0) return;
  unsaved_ += path + '\n';
  ++lines_;
}

void SysctlJournal::save() {
  if (file_.empty() || unsaved_.empty()) return;
  const bool current = whole_ && lines_ <= 2 * before_.size() + kSpareLines;
  whole_ = current ? append() : rewrite();
  if (!whole_) log::warn("cannot keep what settings were before", {{"file", file_}});
  unsaved_.clear();
}

bool SysctlJournal::append() const {
  const int fd = open(file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return false;
  const auto written = write(fd, unsaved_.data(), unsaved_.size());
  close(fd);
  return written == static_cast<ssize_t>(unsaved_.size());
}

bool SysctlJournal::rewrite() {
  const auto temporary = file_ + ".new";
  std::ofstream out(temporary);
  for (const auto& [path, value] : before_) out << path << '=' << value << '\n';
  out.close();
  lines_ = before_.size();
  return out && std::rename(temporary.c_str(), file_.c_str()) == 0;
}

void SysctlJournal::clear() {
  before_.clear();
  unsaved_.clear();
  lines_ = 0;
  whole_ = false;
  std::remove(file_.c_str());
}

}  // namespace margay::agent
