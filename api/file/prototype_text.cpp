#include "api/file/prototype_text.h"

#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "api/codec/validate_names.h"
#include "api/selector/effective.h"

namespace margay::api {
namespace {

struct Section {
  std::string type;
  std::string name;
  std::map<std::string, std::string> fields;
  int number = 0;
};

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

std::vector<Section> sections(std::string_view text) {
  std::vector<Section> out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      const std::string title = line.substr(1, line.size() - 2);
      const auto blank = title.find(' ');
      const std::string name =
          blank == std::string::npos ? "" : trimmed(std::string_view(title).substr(blank));
      out.push_back({title.substr(0, blank), name, {}, static_cast<int>(out.size()) + 1});
    } else if (const auto equals = line.find_first_of("=:");
               equals != std::string::npos && !out.empty()) {
      out.back().fields[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    }
  }
  return out;
}

std::string shortHost(const std::string& host) {
  return host.substr(0, host.find('.'));
}

std::optional<std::array<std::uint8_t, 6>> parseMac(std::string_view text) {
  std::array<std::uint8_t, 6> mac{};
  if (text.size() != 17) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* at = text.data() + 3 * i;
    if (std::from_chars(at, at + 2, mac[i], 16).ptr != at + 2) return std::nullopt;
    if (i < 5 && at[2] != ':') return std::nullopt;
  }
  return mac;
}

/// The fields of one section; what is wrong goes to `decoded`.
class SectionReader {
 public:
  SectionReader(const Section& section, Decoded& decoded) : section_(section), decoded_(decoded) {}

  [[nodiscard]] std::string get(const std::string& key, const std::string& fallback) const {
    const auto found = section_.fields.find(key);
    return found == section_.fields.end() || found->second.empty() ? fallback : found->second;
  }
  [[nodiscard]] std::string required(const std::string& key) const {
    std::string value = get(key, "");
    if (value.empty()) decoded_.errors.push_back({key, "is missing"});
    return value;
  }
  [[nodiscard]] std::optional<Address> address(const std::string& key) const {
    const std::string text = required(key);
    auto parsed = Address::parse(text);
    if (!parsed && !text.empty())
      decoded_.errors.push_back({key, "\"" + text + "\" is no IP address"});
    return parsed;
  }

 private:
  const Section& section_;
  Decoded& decoded_;
};

Decoded host(const Section& section) {
  Decoded decoded{.key = {Kind::Node, {}, {}}, .kindName = "felix"};
  const SectionReader reader(section, decoded);
  Node node{.name = shortHost(reader.get("host", section.name))};
  decoded.key.name = decoded.name = node.name;
  if (auto problem = nameProblem(node.name))
    decoded.errors.push_back({"host", std::move(*problem)});
  if (const auto address = reader.address("ip")) node.internalAddresses.push_back(*address);
  if (decoded.errors.empty()) decoded.value = share(std::move(node));
  return decoded;
}

Decoded endpoint(const Section& section, const std::string& group) {
  Decoded decoded{.key = {Kind::WorkloadEndpoint, "default", {}},
                  .kindName = "endpoint",
                  .ns = "default",
                  .name = section.name};
  const SectionReader reader(section, decoded);
  WorkloadEndpoint made;
  const std::string id = reader.required("id");
  const std::string node = shortHost(reader.required("host"));
  const std::string mac = reader.get("mac", "");
  EndpointDetails details;
  details.mac = parseMac(mac);
  if (!details.mac && !mac.empty())
    decoded.errors.push_back({"mac", "\"" + mac + "\" is no hardware address"});
  if (const auto address = reader.address("ip")) made.addresses = {Prefix::host(*address)};
  if (!id.empty() && !isContainerId(id))
    decoded.errors.push_back({"id", "must be letters, digits and '-'"});
  if (auto problem = profileNameProblem(group))
    decoded.errors.push_back({"group", std::move(*problem)});
  if (!node.empty() && nameProblem(node)) decoded.errors.push_back({"host", *nameProblem(node)});
  made.ns = "default";
  made.node = node;
  made.name = workloadEndpointName(node, "cni", id, "eth0");
  details.interfaceName = "tap" + id.substr(0, 11);
  made.labels = Labels(LabelMap{{std::string(kNamespaceLabel), "default"},
                                {std::string(kOrchestratorLabel), "cni"}});
  made.profiles = share(std::vector<std::string>{group});
  made.setDetails(std::move(details));
  decoded.key.name = made.name.str();
  if (decoded.errors.empty()) decoded.value = share(std::move(made));
  return decoded;
}

Decoded groupProfile(const std::string& group) {
  Decoded decoded{.key = {Kind::Profile, {}, group}, .kindName = "group", .name = group};
  Profile profile{.name = group, .labelsToApply = Labels(LabelMap{{group, ""}})};
  PolicyRule fromGroup;
  fromGroup.source.selector = "has(" + group + ")";
  profile.ingress.push_back(std::move(fromGroup));
  profile.egress.emplace_back();
  decoded.value = share(std::move(profile));
  return decoded;
}

}  // namespace

void readPrototype(std::string_view text, const std::string& file, FileContent& content) {
  for (const Section& section : sections(text)) {
    if (section.type == "felix")
      addDecoded(host(section), Origin::Prototype, section.number, file, content);
    if (section.type != "endpoint") continue;
    const auto group = section.fields.find("group");
    const std::string name =
        group == section.fields.end() || group->second.empty() ? "default" : group->second;
    Decoded made = endpoint(section, name);
    const bool valid = made.value.has_value();
    addDecoded(std::move(made), Origin::Prototype, section.number, file, content);
    if (valid) addDecoded(groupProfile(name), Origin::Prototype, section.number, file, content);
  }
}

}  // namespace margay::api
