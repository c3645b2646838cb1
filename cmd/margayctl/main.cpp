#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iostream>
#include <map>
#include <set>

#include "cmd/margayctl/commands.h"
#include "cmd/margayctl/datastore_commands.h"
#include "cmd/margayctl/format_option.h"

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

/// The commands and what their options say; it outlives the parsing.
class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(1);
    // calicoctl's: what goes wrong is told here in any case.
    app_.add_option_function<std::string>("-l,--log-level", [](const std::string&) {})->group("");
    addAgentCommands();
    addExplain();
    addManifestCommands();
    addDatastoreCommands(app_, code_);
    addContainerCommands();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app_.exit(error);  // help
      return wrongUsage(usageLine(app_, error, argc, argv));
    }
    return code_;
  }

 private:
  void addAgentCommands() {
    auto* status = app_.add_subcommand(
        "status", "Sources, kernel tables, endpoints, invalid objects of the agent on this node");
    outputOption(status);
    status->callback([this] { code_ = runStatus(env_, output_); });

    auto* plan =
        app_.add_subcommand("plan", "What the next pass of the agent would change, as a diff");
    outputOption(plan);
    plan->callback([this] { code_ = runPlan(env_, output_); });

    auto* wait = app_.add_subcommand(
        "wait", "Lists the sources again and waits until all that was in them is in the kernel");
    wait->add_option_function<std::string>(
            "--timeout", [this](const std::string& text) { timeout_ = parseDuration(text); },
            "such as 30s (the default), 500ms or 2m")
        ->type_name("DURATION");
    wait->callback([this] { code_ = runWait(env_, timeout_); });

    auto* inspect = app_.add_subcommand(
        "inspect", "What the agent computed: endpoints, sets, policies or groups");
    inspect->add_option("what", what_, "endpoints, sets, policies or groups")
        ->required()
        ->check([](const std::string& text) {
          static const std::set<std::string> kAll = {"endpoints", "sets", "policies", "groups"};
          if (kAll.contains(text)) return std::string();
          return "'" + text + "' is none of endpoints, sets, policies, groups";
        });
    outputOption(inspect);
    inspect->callback([this] { code_ = runInspect(env_, what_, output_); });

    auto* config = app_.add_subcommand(
        "config", "The effective parameters of the agent and where each comes from");
    config->add_flag("--all", all_, "also those that have their default");
    outputOption(config);
    config->callback([this] { code_ = runConfig(env_, all_, output_); });

    auto* checksystem = app_.add_subcommand(
        "checksystem", "Whether this host has what the agent needs; needs no agent");
    outputOption(checksystem);
    checksystem->callback([this] { code_ = runCheckSystem(output_); });

    auto* version = app_.add_subcommand("version", "Versions of this program and of the agent");
    version->add_flag("--client", clientOnly_, "only of this program");
    version->callback([this] { code_ = runVersion(env_, clientOnly_); });
  }

  void addExplain() {
    auto* explain = app_.add_subcommand(
        "explain", "Why a packet passes or is dropped: the policy and the rule");
    explain->add_option("--from", packet_.from, "namespace/name of a workload, or an address")
        ->required();
    explain->add_option("--to", packet_.to, "namespace/name of a workload, or an address")
        ->required();
    explain->add_option("--protocol", packet_.protocol,
                        "tcp (the default), udp, sctp, icmp, icmpv6, or a number");
    explain->add_option("--port", packet_.port, "destination port");
    explain->add_option("--source-port", packet_.sourcePort, "source port");
    explain->add_option("--icmp-type", packet_.icmpType, "TYPE or TYPE/CODE");
    explain->add_option("--data-dir", packet_.dataDir, "read this directory and ask no agent");
    explain->add_option("--node", packet_.node,
                        "only what this node decides; without --data-dir it must be the agent's");
    outputOption(explain);
    explain->callback([this] { code_ = runExplain(env_, packet_, output_); });
  }

  void addManifestCommands() {
    auto* validate =
        app_.add_subcommand("validate", "Checks manifests; needs no agent and no datastore");
    validate->add_option("-f,--filename", file_, "file, directory, or - for standard input")
        ->required();
    outputOption(validate);
    validate->callback([this] { code_ = runValidate(file_, output_); });

    auto* convert =
        app_.add_subcommand("convert", "The Calico objects that Kubernetes objects turn into");
    convert->add_option("-f,--filename", file_, "file, or - for standard input")->required();
    addFormatOption<Output>(convert, output_,
                            {{"json", Output::Json}, {"yaml", Output::Yaml}, {"yml", Output::Yaml}},
                            "yaml (the default) or json");
    convert->callback([this] { code_ = runConvert(file_, output_); });

    auto* selector = app_.add_subcommand(
        "selector", "The canonical form of a selector, and whether it matches labels");
    selector->add_option("expression", expression_)->required();
    auto* labels = selector->add_option("--labels", labels_, "k=v,k2=v2");
    outputOption(selector);
    selector->callback([this, labels] {
      code_ = runSelector(expression_, labels_, labels->count() > 0, output_);
    });
  }

  void addContainerCommands() {
    auto* container = app_.add_subcommand(
        "container", "Networks a container: a network namespace by name, path or process id");
    container->add_option("words", words_);
    container->add_option("--interface", interfaceName_, "name of the interface in the container");
    container->footer(kContainerUsage);
    container->callback([this] { code_ = runContainer(env_, words_, interfaceName_); });
    auto* profile = app_.add_subcommand(
        "profile", "Profiles: groups of endpoints that may talk with each other");
    profile->add_option("words", words_);
    profile->footer(kProfileUsage);
    profile->callback([this] { code_ = runProfile(env_, words_); });
    auto* endpoint = app_.add_subcommand("endpoint", "The profiles of an endpoint");
    endpoint->add_option("words", words_);
    endpoint->footer(kEndpointUsage);
    endpoint->callback([this] { code_ = runEndpoint(env_, words_); });
  }

  void outputOption(CLI::App* command) {
    addFormatOption<Output>(
        command, output_, {{"json", Output::Json}, {"table", Output::Table}, {"ps", Output::Table}},
        "json, or table (the default)");
  }

  CLI::App app_{"The command line of Margay, the network agent of a container host.", "margayctl"};
  const Environment env_ = environment();
  int code_ = kDone;
  Output output_ = Output::Table;
  std::chrono::milliseconds timeout_ = std::chrono::seconds(30);
  std::string what_;
  bool all_ = false;
  bool clientOnly_ = false;
  ExplainArguments packet_;
  std::string file_;
  std::string expression_;
  std::string labels_;
  Words words_;
  std::string interfaceName_ = "eth1";
};

}  // namespace
}  // namespace margay::ctl

int main(int argc, char** argv) {
  try {
    return margay::ctl::CommandLine().run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "margayctl: internal error, please report: " << error.what() << '\n';
    return margay::ctl::kFailed;
  }
}
