#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/model/config.h"
#include "base/address.h"
#include "base/clock.h"

/// Felix' configuration parameters: names, defaults and types as Calico documents them
/// ("Configuring Felix"), and how their layers are put together. Pure.
namespace margay::api {

struct ParameterSpec {
  enum class Type {
    Bool,
    Integer,
    Seconds,
    Milliseconds,
    OneOf,
    Mask,
    Ipv4,
    Ipv6,
    PortRange,
    InterfaceNames,
    RateLimit,
    Text
  };
  enum class Scope { Anywhere, Local };  ///< Local: not from FelixConfiguration objects
  std::string_view name;
  Type type;
  std::string_view defaultValue;
  std::string_view choices;  ///< OneOf: comma-separated, compared without case
  Scope scope;
};

/// All parameters we know, in the order of the documentation.
[[nodiscard]] std::span<const ParameterSpec> parameterSpecs();

struct ParameterValue {
  std::string value;  ///< normalised: a OneOf as documented, a Bool as "true" or "false"
  std::string
      origin;  ///< "default", "environment FELIX_X", "file PATH", "FelixConfiguration node.x"
  bool operator==(const ParameterValue&) const = default;
};

/// A value that does not fit its parameter: the next lower layer counts instead.
struct ParameterProblem {
  std::string name;
  std::string origin;
  std::string reason;  ///< what is wrong and what is possible
  bool operator==(const ParameterProblem&) const = default;
};

/// The layers, highest precedence first: environment, file, per-host and global FelixConfiguration.
struct ParameterSources {
  std::map<std::string, std::string>
      environment;  ///< whole environment; only FELIX_... counts, any case
  std::string fileName;
  std::string fileText;  ///< felix.cfg: INI, `Name = value`, sections ignored
  std::optional<FelixConfiguration> perHost;
  std::optional<FelixConfiguration> global;
};

class Parameters {
 public:
  /// Unknown names are ignored, as Felix does.
  static Parameters resolve(const ParameterSources& sources);

  [[nodiscard]] const std::map<std::string, ParameterValue, std::less<>>& all() const {
    return values_;
  }
  [[nodiscard]] const std::vector<ParameterProblem>& problems() const { return problems_; }

  /// `name` must be one of parameterSpecs() and of the type asked for.
  [[nodiscard]] const std::string& text(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] std::uint32_t mask(std::string_view name) const;
  [[nodiscard]] Duration duration(std::string_view name) const;  ///< Seconds and Milliseconds
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;

  bool operator==(const Parameters&) const = default;

 private:
  std::map<std::string, ParameterValue, std::less<>> values_;
  std::vector<ParameterProblem> problems_;
};

/// `raw` in normal form for `spec`, or no value and the reason in `why`.
[[nodiscard]] std::optional<std::string> normalise(const ParameterSpec& spec, std::string_view raw,
                                                   std::string& why);

}  // namespace margay::api
