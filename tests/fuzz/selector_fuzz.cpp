#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/selector/selector.h"

/// A selector that parses has a canonical form that parses and matches the same labels. As in
/// Calico,
/// "!(!has(a))" is "!!has(a)" there, which parses as "has(a)": the second form is the last.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using margay::api::Labels;
  using margay::api::Selector;
  if (size > 4096) return 0;
  const auto selector = Selector::parse({reinterpret_cast<const char*>(data), size});
  if (!selector) return 0;
  const auto again = Selector::parse(selector->canonical());
  if (!again) std::abort();
  const auto last = Selector::parse(again->canonical());
  if (!last || last->canonical() != again->canonical()) std::abort();
  static const Labels kLabels[] = {Labels(), Labels({{"a", "b"}}),
                                   Labels({{"app", "fe"}, {"a", ""}})};
  for (const auto& labels : kLabels) {
    if (again->matches(labels) != selector->matches(labels)) std::abort();
  }
  static_cast<void>(selector->restrictions());
  static_cast<void>(selector->withPrefix("pcns."));
  return 0;
}
