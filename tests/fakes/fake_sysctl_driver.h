#pragma once

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "dataplane/drivers.h"
#include "tests/fakes/call_failures.h"

namespace margay::testing {

/// Entries below /proc/sys. What is public besides the driver is the world around it.
class FakeSysctlDriver final : public dataplane::SysctlDriver, public CallFailures {
 public:
  /// Makes an entry, or changes it behind our back.
  void define(const std::string& path, std::string value) {
    values_.insert_or_assign(path, std::move(value));
  }
  /// Removes all below `directory`, as when an interface goes away.
  void removeBelow(const std::string& directory) {
    std::erase_if(values_,
                  [&](const auto& entry) { return entry.first.starts_with(directory + "/"); });
  }
  [[nodiscard]] const dataplane::SysctlMap& values() const { return values_; }

  Result<std::string> read(const std::string& path) override {
    if (auto error = nextCall()) return Fail(*error);
    if (!isSafe(path)) return fail(Errc::Invalid, "sysctl " + path + ": not a path");
    const auto found = values_.find(path);
    if (found == values_.end()) return fail(Errc::NotFound, "sysctl " + path, ENOENT);
    return found->second;
  }

  /// All but what the kernel keeps elsewhere.
  Result<dataplane::SysctlMap> list() override {
    if (auto error = nextCall()) return Fail(*error);
    dataplane::SysctlMap out = values_;
    std::erase_if(
        out, [](const auto& entry) { return entry.first.find("/conf/") == std::string::npos; });
    return out;
  }

  Result<void> write(const std::string& path, const std::string& value) override {
    if (auto error = nextCall()) return Fail(*error);
    if (!isSafe(path)) return fail(Errc::Invalid, "sysctl " + path + ": not a path");
    const auto found = values_.find(path);
    if (found == values_.end()) return fail(Errc::NotFound, "sysctl " + path, ENOENT);
    const auto digit = [](unsigned char c) { return c >= '0' && c <= '9'; };
    if (value.empty() || !std::all_of(value.begin(), value.end(), digit)) {
      return fail(Errc::Invalid, "sysctl " + path + ": not a number", EINVAL);
    }
    found->second = value;
    return {};
  }

 private:
  static bool isSafe(const std::string& path) {
    const std::string framed = "/" + path + "/";
    return !path.empty() && framed.find("//") == std::string::npos &&
           framed.find("/./") == std::string::npos && framed.find("/../") == std::string::npos;
  }

  dataplane::SysctlMap values_;
};

}  // namespace margay::testing
