#pragma once

#include <string>
#include <unordered_map>

#include "base/result.h"
#include "dataplane/model/network.h"

namespace margay::dataplane {

/// Names and indexes of interfaces, asked from the kernel once each and then remembered until
/// `forget`. Callers forget before each batch or list, as a device can be made again under its old
/// name. It stays in the network namespace in which it was opened. One thread.
class InterfaceNames {
 public:
  static Result<InterfaceNames> open();
  InterfaceNames(InterfaceNames&& other) noexcept;
  InterfaceNames& operator=(InterfaceNames&& other) noexcept;
  ~InterfaceNames();

  void forget();
  /// 0 if there is none of this name.
  [[nodiscard]] int indexOf(const IfName& name);
  /// Empty if there is none of this index. Valid until `forget`.
  [[nodiscard]] const IfName& nameOf(int index);

 private:
  explicit InterfaceNames(int fd) : fd_(fd) {}

  int fd_;
  std::unordered_map<IfName, int> indexes_;
  std::unordered_map<int, IfName> names_;
};

}  // namespace margay::dataplane
