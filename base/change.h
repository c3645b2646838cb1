#pragma once

#include <cstdint>

namespace margay {

enum class Op : std::uint8_t { Add, Replace, Remove };

/// One change of a kernel object. `value` holds the whole new object for Add and Replace, and the
/// object as it was observed for Remove.
template <class T>
struct Change {
  Op op = Op::Add;
  T value;
  bool operator==(const Change&) const = default;
};

}  // namespace margay
