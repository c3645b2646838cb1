#include "cmd/agent/address_detection.h"

#include <regex.h>

#include <algorithm>
#include <memory>

namespace margay::agent {
namespace {

// What containers and tunnels are called.
constexpr const char* kInternalInterfaces =
    "(^docker.*)|(^cbr.*)|(^dummy.*)|(^podman.*)|(^virbr.*)|(^lxcbr.*)|(^veth.*)|(^lo)|(^cali.*)|"
    "(^tunl.*)|(^flannel.*)|(^kube-ipvs.*)|(^cni.*)|(^vxlan\\.calico.*)|(^vxlan-v6\\.calico.*)|"
    "(^wireguard\\.cali.*)|(^wg-v6\\.cali.*)";

std::string nameOf(Family family) {
  return family == Family::V4 ? "IPv4" : "IPv6";
}

std::vector<std::string> splitList(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ',')
      out.emplace_back();
    else if (c != ' ' && c != '\t')
      out.back() += c;
  }
  return out;
}

/// A POSIX extended regular expression, which matches anywhere in a name.
class Expression {
 public:
  /// One of several.
  static Result<Expression> of(const std::vector<std::string>& parts, const std::string& method) {
    std::string joined;
    for (const auto& part : parts) joined += (joined.empty() ? "(" : "|(") + part + ")";
    auto compiled = std::make_unique<regex_t>();
    if (::regcomp(compiled.get(), joined.c_str(), REG_EXTENDED | REG_NOSUB) != 0)
      return fail(Errc::Invalid, "'" + method + "' has no valid regular expression");
    return Expression(std::move(compiled));
  }
  [[nodiscard]] bool matches(const std::string& name) const {
    return ::regexec(compiled_.get(), name.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  struct Free {
    void operator()(regex_t* compiled) const {
      ::regfree(compiled);
      delete compiled;
    }
  };
  explicit Expression(std::unique_ptr<regex_t> compiled) : compiled_(compiled.release()) {}
  std::unique_ptr<regex_t, Free> compiled_;
};

/// Of an interface of the network, not of the host itself or of one link only.
bool isGlobal(const Address& address) {
  static const Prefix kNot[] = {
      *Prefix::parseNetwork("0.0.0.0/32"),         *Prefix::parseNetwork("127.0.0.0/8"),
      *Prefix::parseNetwork("169.254.0.0/16"),     *Prefix::parseNetwork("224.0.0.0/4"),
      *Prefix::parseNetwork("255.255.255.255/32"), *Prefix::parseNetwork("::/127"),
      *Prefix::parseNetwork("fe80::/10"),          *Prefix::parseNetwork("ff00::/8")};
  return std::none_of(std::begin(kNot), std::end(kNot),
                      [&](const Prefix& net) { return net.contains(address); });
}

template <class Interfaces, class Addresses>
Result<Prefix> firstOf(const HostView& host, Family family, const std::string& method,
                       const Interfaces& takesInterface, const Addresses& takesAddress) {
  for (const auto& interface : host.interfaces) {
    if (!takesInterface(interface.name)) continue;
    for (const auto& address : interface.addresses) {
      if (address.family() == family && isGlobal(address.address) && takesAddress(address.address))
        return address;
    }
  }
  return fail(Errc::NotFound, "no " + nameOf(family) + " address of this host fits '" +
                                  (method.empty() ? "first-found" : method) +
                                  "': set IP to an address, or another method");
}

/// The address with the length that its interface gives it.
Prefix withLocalLength(const Address& address, const HostView& host) {
  for (const auto& interface : host.interfaces) {
    for (const auto& own : interface.addresses) {
      if (own.address == address) return own;
    }
  }
  return Prefix::host(address);
}

}  // namespace

Result<Prefix> detectAddress(const std::string& method, Family family, const HostView& host) {
  const auto anyAddress = [](const Address&) { return true; };
  const auto argument = [&](const std::string& name) -> std::optional<std::string> {
    if (method.rfind(name + "=", 0) != 0) return std::nullopt;
    return method.substr(name.size() + 1);
  };
  const auto internal = Expression::of({kInternalInterfaces}, method);
  if (!internal) return Fail(internal.error());
  const auto external = [&](const std::string& name) { return !internal->matches(name); };
  if (method.empty() || method == "first-found")
    return firstOf(host, family, method, external, anyAddress);
  if (const auto names = argument("interface")) {
    const auto wanted = Expression::of(splitList(*names), method);
    if (!wanted) return Fail(wanted.error());
    return firstOf(
        host, family, method, [&](const std::string& name) { return wanted->matches(name); },
        anyAddress);
  }
  if (const auto names = argument("skip-interface")) {
    const auto skipped = Expression::of(splitList(*names), method);
    if (!skipped) return Fail(skipped.error());
    return firstOf(
        host, family, method,
        [&](const std::string& name) { return external(name) && !skipped->matches(name); },
        anyAddress);
  }
  if (const auto list = argument("cidr")) {
    std::vector<Prefix> nets;
    for (const auto& text : splitList(*list)) {
      const auto net = Prefix::parseNetwork(text);
      if (!net) return fail(Errc::Invalid, "'" + method + "': '" + text + "' is no CIDR");
      nets.push_back(*net);
    }
    return firstOf(
        host, family, method, [](const std::string&) { return true; },
        [&](const Address& address) {
          return std::any_of(nets.begin(), nets.end(),
                             [&](const Prefix& net) { return net.contains(address); });
        });
  }
  if (const auto destination = argument("can-reach")) {
    const auto source = host.reach(*destination, family);
    if (source) return withLocalLength(*source, host);
    return fail(Errc::NotFound, "there is no " + nameOf(family) + " route to '" + *destination +
                                    "' of '" + method + "'");
  }
  if (method == "kubernetes-internal-ip") {
    for (const auto& address : host.internal) {
      if (address.family() == family) return withLocalLength(address, host);
    }
    return fail(Errc::NotFound, "the Kubernetes Node has no " + nameOf(family) + " InternalIP");
  }
  return fail(Errc::Invalid,
              "the autodetection method '" + method +
                  "' is not known: use first-found, interface=, skip-interface=, cidr=, "
                  "can-reach= or kubernetes-internal-ip");
}

Result<std::optional<std::string>> nodeAddress(const AddressRequest& request,
                                               const HostView& host) {
  const bool stored = request.stored && !request.stored->empty();
  const bool detects = request.value == "autodetect" ||
                       (request.value.empty() && !stored && request.family == Family::V4);
  if (detects) {
    const auto found = detectAddress(request.method, request.family, host);
    if (found) return std::optional<std::string>(found->str());
    if (stored && found.error().code == Errc::NotFound) return request.stored;
    return Fail(found.error());
  }
  if (request.value.empty() || request.value == "none")
    return stored ? request.stored : std::nullopt;
  const auto given = Prefix::parseAddress(request.value);
  const std::string variable = request.family == Family::V4 ? "IP" : "IP6";
  if (!given || given->family() != request.family)
    return fail(Errc::Invalid, variable + "='" + request.value + "' is no " +
                                   nameOf(request.family) +
                                   " address: write one, autodetect or none");
  const bool hasLength = request.value.find('/') != std::string::npos;
  return std::optional<std::string>(
      (hasLength ? *given : withLocalLength(given->address, host)).str());
}

}  // namespace margay::agent
