#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/model/ipset.h"

namespace margay::dataplane {

/// libipset, which agrees with the kernel on the revision of a set type. It reports errors as text
/// alone, so `Error::code` of everything here is Transient and the caller looks at the kernel to
/// know more. It keeps global tables: use it on one thread of the process only. Works in the
/// network namespace of the thread that makes the first call.
class IpsetLibrary {
 public:
  IpsetLibrary();
  ~IpsetLibrary();
  IpsetLibrary(const IpsetLibrary&) = delete;
  IpsetLibrary& operator=(const IpsetLibrary&) = delete;

  /// Names must have passed `setNameProblem`: libipset would read a strange word as something else.
  Result<void> create(const SetSpec& spec);
  Result<void> swap(const SetName& a, const SetName& b);
  Result<void> destroy(const SetName& name);

 private:
  struct Session;
  Result<void> run(std::vector<std::string> words);
  std::unique_ptr<Session> session_;
};

/// Why no set of ours can have this name; nullptr if one can: 1 to 31 bytes of letters, digits and
/// "-_.:+", kSetPrefix first.
[[nodiscard]] const char* setNameProblem(const SetName& name);

}  // namespace margay::dataplane
