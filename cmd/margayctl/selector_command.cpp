#include <iostream>
#include <nlohmann/json.hpp>

#include "api/selector/selector.h"
#include "cmd/margayctl/commands.h"

namespace margay::ctl {
namespace {

Result<api::Labels> parseLabels(const std::string& text) {
  api::LabelMap pairs;
  std::size_t start = 0;
  while (start < text.size()) {
    const auto end = std::min(text.find(',', start), text.size());
    const auto pair = text.substr(start, end - start);
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(Errc::Invalid, "--labels: '" + pair + "' is not of the form key=value");
    }
    pairs.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    start = end + 1;
  }
  return api::Labels(std::move(pairs));
}

}  // namespace

int runSelector(const std::string& expression, const std::string& labels, bool labelsGiven,
                Output output) {
  const auto selector = api::Selector::parse(expression);
  if (!selector) return failed("selector '" + expression + "': " + selector.error().what);
  const auto parsed = parseLabels(labels);
  if (!parsed) return wrongUsage("selector: " + parsed.error().what);
  const bool match = selector->matches(*parsed);
  if (output == Output::Json) {
    std::cout
        << nlohmann::ordered_json{{"canonical", selector->canonical()}, {"match", match}}.dump(2)
        << '\n';
    return kDone;
  }
  std::cout << selector->canonical() << '\n';
  if (labelsGiven) std::cout << (match ? "matches\n" : "does not match\n");
  return kDone;
}

}  // namespace margay::ctl
