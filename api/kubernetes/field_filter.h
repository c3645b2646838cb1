#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

namespace margay::api {

/// Which fields of an object are read. A path is field names with blanks between them ("spec
/// containers ports"); what is in a list is as the list itself. Immutable; any thread.
class FieldFilter {
 public:
  /// These and what is below them.
  static FieldFilter only(std::initializer_list<std::string_view> paths);
  /// All but these.
  static FieldFilter without(std::initializer_list<std::string_view> paths);

  /// What is read of field `name`; null pointer for nothing.
  [[nodiscard]] const FieldFilter* field(std::string_view name) const;

 private:
  enum class Rest : bool { Read, Left };  // fields that are not named
  explicit FieldFilter(Rest rest) : rest_(rest) {}
  static FieldFilter of(std::initializer_list<std::string_view> paths, Rest rest);

  Rest rest_;
  bool left_ = false;
  std::map<std::string, FieldFilter, std::less<>> fields_;
};

}  // namespace margay::api
