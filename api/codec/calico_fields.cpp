#include "api/codec/calico_fields.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/codec/validate_names.h"
#include "api/selector/selector.h"
#include "api/selector/tokenizer.h"

namespace margay::api {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<std::string_view, std::uint8_t>, 6> kProtocols = {
    {{"TCP", IPPROTO_TCP},
     {"UDP", IPPROTO_UDP},
     {"ICMP", IPPROTO_ICMP},
     {"ICMPv6", IPPROTO_ICMPV6},
     {"SCTP", IPPROTO_SCTP},
     {"UDPLite", IPPROTO_UDPLITE}}};

bool isDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The number that all of `text` is, if it fits.
template <class Number>
std::optional<Number> parseDigits(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!isDigits(text) || error != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

constexpr std::string_view kPortHelp =
    "use 1 to 65535, a range \"first:last\", or the name of a container port";

/// One entry of `ports`; the text of the error in `problem`.
std::optional<Port> parsePort(std::string_view text, std::string& problem) {
  const auto reject = [&](std::string_view why) {
    problem = "'" + std::string(text) + "' " + std::string(why) + "; " + std::string(kPortHelp);
    return std::nullopt;
  };
  const std::size_t colon = text.find(':');
  const bool isRange = colon != std::string_view::npos && isDigits(text.substr(0, colon)) &&
                       isDigits(text.substr(colon + 1));
  if (isDigits(text) || isRange) {
    const auto first = parseDigits<std::uint16_t>(text.substr(0, colon));
    const auto last = isRange ? parseDigits<std::uint16_t>(text.substr(colon + 1)) : first;
    if (!first || !last || *first == 0 || *last == 0)
      return reject("is no port between 1 and 65535");
    if (*first > *last) return reject("is a range whose first port is above its last");
    return Port{{*first, *last}, {}};
  }
  if (auto wrong = portNameProblem(text)) {
    problem = *wrong + "; " + std::string(kPortHelp);
    return std::nullopt;
  }
  return Port{{}, std::string(text)};
}

std::optional<Port> parsePortEntry(const Json& entry, std::string& problem) {
  if (const auto* text = entry.get_ptr<const std::string*>()) return parsePort(*text, problem);
  if (entry.is_number_integer()) return parsePort(entry.dump(), problem);
  problem = "expected a number or a string; " + std::string(kPortHelp);
  return std::nullopt;
}

/// Parses, with the limits of validation.
std::optional<Selector> parseSelector(const JsonReader& reader, std::string_view key,
                                      const std::string& text) {
  if (text.size() > kMaxSelectorLength) {
    reader.error(key, "selector has " + std::to_string(text.size()) +
                          " characters; at most 1024 are allowed");
    return std::nullopt;
  }
  auto selector = Selector::parse(text);
  if (!selector) {
    reader.error(key, "selector does not parse: " + selector.error().what);
    return std::nullopt;
  }
  const auto tokens = tokenize(text);
  const bool longLabel =
      tokens && std::any_of(tokens->begin(), tokens->end(), [](const Token& token) {
        return (token.kind == TokenKind::Label || token.kind == TokenKind::Has) &&
               token.text.size() > kMaxSelectorLabelLength;
      });
  if (longLabel) {
    reader.error(key, "selector has a label name of more than 512 characters");
    return std::nullopt;
  }
  return std::move(*selector);
}

}  // namespace

std::string readPlainSelector(const JsonReader& reader, std::string_view key) {
  const auto text = reader.string(key);
  if (!text || text->empty()) return {};
  const auto selector = parseSelector(reader, key, *text);
  return selector ? selector->canonical() : std::string();
}

std::string readSelector(const JsonReader& reader, std::string_view key, GlobalSelector global) {
  std::string canonical = readPlainSelector(reader, key);
  if (canonical.find("global()") == std::string::npos) return canonical;
  if (global == GlobalSelector::Refused) {
    reader.error(key, "global() can only be used in the namespaceSelector of a rule");
  } else if (canonical != "global()") {
    reader.error(key, "global() cannot be combined with other selectors; let it stand alone");
  }
  return canonical;
}

std::optional<std::uint8_t> readProtocol(const JsonReader& reader, std::string_view key) {
  const Json* value = reader.raw(key);
  if (value == nullptr) return std::nullopt;
  std::string text;
  if (const auto* written = value->get_ptr<const std::string*>()) {
    text = *written;
  } else if (value->is_number_integer()) {
    text = value->dump();
  } else {
    reader.error(key, "expected the name of a protocol or a number from 1 to 255");
    return std::nullopt;
  }
  for (const auto& [name, number] : kProtocols) {
    if (text == name) return number;
  }
  if (const auto number = parseDigits<std::uint8_t>(text); number && *number > 0) return number;
  reader.error(
      key,
      "'" + text +
          "' is no protocol; use TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite (spelled so) or 1 to 255");
  return std::nullopt;
}

bool hasPorts(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

std::vector<Port> readPorts(const JsonReader& reader, std::string_view key) {
  const auto entries = reader.entries(key);
  if (entries.size() > kMaxPorts) {
    reader.error(key, "has " + std::to_string(entries.size()) +
                          " entries; at most 50 are allowed, split the rule");
  }
  std::vector<Port> ports;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::string problem;
    if (auto port = parsePortEntry(*entries[i], problem)) {
      ports.push_back(std::move(*port));
    } else {
      reader.error(key, i, std::move(problem));
    }
  }
  return ports;
}

std::optional<Prefix> parseNet(std::string_view text, NetForm form, std::string& problem) {
  const auto reject = [&](std::string why) {
    problem = "'" + std::string(text) + "' " + std::move(why);
    return std::nullopt;
  };
  const auto written = Prefix::parseAddress(text);
  if (!written)
    return reject("is no network; write ADDRESS/LENGTH, for example 10.0.0.0/8 or fd00::/8");
  if (form == NetForm::Cidr && text.find('/') == std::string_view::npos) {
    return reject("has no prefix length; write " + written->str());
  }
  if (form != NetForm::Loose && written->masked() != *written) {
    return reject("has host bits set; write " + written->masked().str());
  }
  return written->masked();
}

std::vector<Prefix> readNets(const JsonReader& reader, std::string_view key, NetForm form) {
  std::vector<Prefix> nets;
  const auto entries = reader.strings(key);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::string problem;
    if (const auto net = parseNet(entries[i], form, problem)) {
      nets.push_back(*net);
    } else {
      reader.error(key, i, std::move(problem));
    }
  }
  return nets;
}

std::optional<Address> readAddress(const JsonReader& reader, std::string_view key,
                                   std::optional<Family> family) {
  const auto text = reader.string(key);
  if (!text || text->empty()) return std::nullopt;
  const auto address = Address::parse(*text);
  if (address && (!family || address->family() == *family)) return address;
  const std::string_view kind = !family ? "IP" : *family == Family::V4 ? "IPv4" : "IPv6";
  reader.error(key, "'" + *text + "' is no " + std::string(kind) +
                        " address; write it without a prefix length");
  return std::nullopt;
}

std::string readName(const JsonReader& reader, std::string_view key) {
  std::string name = reader.stringOr(key, "");
  if (name.empty()) return name;
  if (auto problem = nameProblem(name)) reader.error(key, std::move(*problem));
  return name;
}

std::string readChoice(const JsonReader& reader, std::string_view key,
                       std::initializer_list<std::string_view> choices, std::string_view fallback) {
  const auto text = reader.string(key);
  if (!text || text->empty()) return std::string(fallback);
  if (std::find(choices.begin(), choices.end(), *text) != choices.end()) return *text;
  reader.error(key, "'" + *text + "' is not possible; use " + orList(choices));
  return std::string(fallback);
}

std::vector<std::string> readProfileNames(const JsonReader& reader, std::string_view key) {
  std::vector<std::string> names = reader.strings(key);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (auto problem = profileNameProblem(names[i])) reader.error(key, i, std::move(*problem));
  }
  return names;
}

std::string orList(std::initializer_list<std::string_view> choices) {
  std::string text;
  for (auto at = choices.begin(); at != choices.end(); ++at) {
    if (at != choices.begin()) text += at + 1 == choices.end() ? " or " : ", ";
    text += *at;
  }
  return text;
}

}  // namespace margay::api
