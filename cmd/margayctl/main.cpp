#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <iostream>
#include <map>
#include <set>

#include "cmd/margayctl/commands.h"
#include "cmd/margayctl/datastore_commands.h"

namespace margay::ctl {
namespace {

constexpr const char* kContainerUsage =
    "usage: margayctl container add NAME IP [--interface=eth1]\n"
    "       margayctl container add NAME IP GROUP\n"
    "       margayctl container remove NAME\n"
    "       margayctl container NAME endpoint-id show\n";
constexpr const char* kProfileUsage =
    "usage: margayctl profile add NAME\n"
    "       margayctl profile show\n";
constexpr const char* kEndpointUsage =
    "usage: margayctl endpoint ID profile append NAME...\n"
    "       margayctl endpoint ID profile remove NAME...\n"
    "       margayctl endpoint ID profile set [NAME...]\n"
    "       margayctl endpoint ID profile show\n";

/// These words are no form of `command`.
int wrongForm(const std::string& command) {
  return wrongUsage(command + ": that is none of its forms: 'margayctl " + command +
                    " --help' shows them");
}

using Words = std::vector<std::string>;

/// `container`, `profile` and `endpoint` put the object's name before the verb, which CLI11 has no
/// form for.
int runContainer(const Environment& env, const Words& words, const std::string& interfaceName) {
  if (words.size() == 3 && words[0] == "add")
    return runContainerAdd(env, words[1], words[2], interfaceName);
  if (words.size() == 4 && words[0] == "add")
    return runContainerAddGroup(env, words[1], words[2], words[3]);
  if (words.size() == 2 && words[0] == "remove") return runContainerRemove(env, words[1]);
  if (words.size() == 3 && words[1] == "endpoint-id" && words[2] == "show")
    return runContainerEndpointId(env, words[0]);
  return wrongForm("container");
}

int runProfile(const Environment& env, const Words& words) {
  if (words.size() == 2 && words[0] == "add") return runProfileAdd(env, words[1]);
  if (words.size() == 1 && words[0] == "show") return runProfileShow(env);
  return wrongForm("profile");
}

int runEndpoint(const Environment& env, const Words& words) {
  if (words.size() < 3 || words[1] != "profile") return wrongForm("endpoint");
  const Words profiles(words.begin() + 3, words.end());
  const auto& verb = words[2];
  const bool known = verb == "append" || verb == "remove" || verb == "set" || verb == "show";
  if (!known || ((verb == "append" || verb == "remove") && profiles.empty()))
    return wrongForm("endpoint");
  return runEndpointProfile(env, words[0], verb, profiles);
}

using Formats = std::map<std::string, Output>;

/// -o FORMAT: one of `formats`, whatever its case. `text` lists them.
void addOutput(CLI::App* command, Output& output, const Formats& formats, const std::string& text) {
  const auto parse = [&output, formats, text](std::string value) {
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto found = formats.find(value);
    if (found == formats.end())
      throw CLI::ValidationError("--output", "'" + value + "' is no format: " + text);
    output = found->second;
  };
  command->add_option_function<std::string>("-o,--output", parse, text)->type_name("FORMAT");
}

/// "500ms", "30s", "2m" or "30", which are seconds.
std::chrono::milliseconds parseDuration(const std::string& text) {
  static const std::map<std::string, double> kUnits = {
      {"ms", 1}, {"s", 1e3}, {"", 1e3}, {"m", 6e4}};
  double count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const auto unit = kUnits.find(std::string(end, text.data() + text.size()));
  const auto milliseconds = unit == kUnits.end() ? -1 : count * unit->second;
  if (error != std::errc{} || !(milliseconds >= 0 && milliseconds <= 3.6e6)) {
    throw CLI::ValidationError("--timeout", "'" + text +
                                                "' is no duration of at most an hour such as 30s, "
                                                "500ms or 2m");
  }
  return std::chrono::milliseconds(static_cast<long>(milliseconds));
}

/// What CLI11 says, in one line that names the command and the way to its help.
std::string usageLine(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const auto commands = app.get_subcommands();
  const std::string first = argc > 1 ? argv[1] : "";
  if (commands.empty()) {
    const auto what = first.empty()
                          ? std::string("a command is needed")
                          : "there is no " +
                                std::string(first.starts_with('-') ? "option" : "command") + " '" +
                                first + "'";
    return what + ": 'margayctl --help' lists them";
  }
  const auto& name = commands.front()->get_name();
  std::string line = name + ": " + error.what();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line + " ('margayctl " + name + " --help')";
}

int run(int argc, char** argv) {
  CLI::App app{"The command line of Margay, the network agent of a container host.", "margayctl"};
  app.require_subcommand(1);
  const auto env = environment();
  int code = kDone;
  Output output = Output::Table;
  const auto outputOption = [&](CLI::App* command) {
    addOutput(command, output,
              {{"json", Output::Json}, {"table", Output::Table}, {"ps", Output::Table}},
              "json, or table (the default)");
  };

  auto* status = app.add_subcommand(
      "status", "Sources, kernel tables, endpoints, invalid objects of the agent on this node");
  outputOption(status);
  status->callback([&] { code = runStatus(env, output); });

  auto* plan =
      app.add_subcommand("plan", "What the next pass of the agent would change, as a diff");
  outputOption(plan);
  plan->callback([&] { code = runPlan(env, output); });

  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  auto* wait = app.add_subcommand(
      "wait", "Lists the sources again and waits until all that was in them is in the kernel");
  wait->add_option_function<std::string>(
          "--timeout", [&](const std::string& text) { timeout = parseDuration(text); },
          "such as 30s (the default), 500ms or 2m")
      ->type_name("DURATION");
  wait->callback([&] { code = runWait(env, timeout); });

  std::string what;
  auto* inspect =
      app.add_subcommand("inspect", "What the agent computed: endpoints, sets, policies or groups");
  inspect->add_option("what", what, "endpoints, sets, policies or groups")
      ->required()
      ->check([](const std::string& text) {
        static const std::set<std::string> kAll = {"endpoints", "sets", "policies", "groups"};
        return kAll.contains(text) ? ""
                                   : "'" + text + "' is none of endpoints, sets, policies, groups";
      });
  outputOption(inspect);
  inspect->callback([&] { code = runInspect(env, what, output); });

  bool all = false;
  auto* config = app.add_subcommand(
      "config", "The effective parameters of the agent and where each comes from");
  config->add_flag("--all", all, "also those that have their default");
  outputOption(config);
  config->callback([&] { code = runConfig(env, all, output); });

  ExplainArguments arguments;
  auto* explain =
      app.add_subcommand("explain", "Why a packet passes or is dropped: the policy and the rule");
  explain->add_option("--from", arguments.from, "namespace/name of a workload, or an address")
      ->required();
  explain->add_option("--to", arguments.to, "namespace/name of a workload, or an address")
      ->required();
  explain->add_option("--protocol", arguments.protocol,
                      "tcp (the default), udp, sctp, icmp, icmpv6, or a number");
  explain->add_option("--port", arguments.port, "destination port");
  explain->add_option("--source-port", arguments.sourcePort, "source port");
  explain->add_option("--icmp-type", arguments.icmpType, "TYPE or TYPE/CODE");
  explain->add_option("--data-dir", arguments.dataDir, "read this directory and ask no agent");
  explain->add_option("--node", arguments.node,
                      "only what this node decides; without --data-dir it must be the agent's");
  outputOption(explain);
  explain->callback([&] { code = runExplain(env, arguments, output); });

  std::string file;
  auto* validate =
      app.add_subcommand("validate", "Checks manifests; needs no agent and no datastore");
  validate->add_option("-f,--filename", file, "file, directory, or - for standard input")
      ->required();
  outputOption(validate);
  validate->callback([&] { code = runValidate(file, output); });

  auto* convert =
      app.add_subcommand("convert", "The Calico objects that Kubernetes objects turn into");
  convert->add_option("-f,--filename", file, "file, or - for standard input")->required();
  addOutput(convert, output,
            {{"json", Output::Json}, {"yaml", Output::Yaml}, {"yml", Output::Yaml}},
            "yaml (the default) or json");
  convert->callback([&] { code = runConvert(file, output); });

  std::string expression;
  std::string labels;
  auto* selector = app.add_subcommand(
      "selector", "The canonical form of a selector, and whether it matches labels");
  selector->add_option("expression", expression)->required();
  auto* labelsOption = selector->add_option("--labels", labels, "k=v,k2=v2");
  outputOption(selector);
  selector->callback(
      [&] { code = runSelector(expression, labels, labelsOption->count() > 0, output); });

  bool clientOnly = false;
  auto* version = app.add_subcommand("version", "Versions of this program and of the agent");
  version->add_flag("--client", clientOnly, "only of this program");
  version->callback([&] { code = runVersion(env, clientOnly); });

  addDatastoreCommands(app, code);

  Words words;
  std::string interfaceName = "eth1";
  auto* container = app.add_subcommand(
      "container", "Networks a container: a network namespace by name, path or process id");
  container->add_option("words", words);
  container->add_option("--interface", interfaceName, "name of the interface in the container");
  container->footer(kContainerUsage);
  container->callback([&] { code = runContainer(env, words, interfaceName); });
  auto* profile =
      app.add_subcommand("profile", "Profiles: groups of endpoints that may talk with each other");
  profile->add_option("words", words);
  profile->footer(kProfileUsage);
  profile->callback([&] { code = runProfile(env, words); });
  auto* endpoint = app.add_subcommand("endpoint", "The profiles of an endpoint");
  endpoint->add_option("words", words);
  endpoint->footer(kEndpointUsage);
  endpoint->callback([&] { code = runEndpoint(env, words); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help
    return wrongUsage(usageLine(app, error, argc, argv));
  }
  return code;
}

}  // namespace
}  // namespace margay::ctl

int main(int argc, char** argv) {
  try {
    return margay::ctl::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "margayctl: internal error, please report: " << error.what() << '\n';
    return margay::ctl::kFailed;
  }
}
