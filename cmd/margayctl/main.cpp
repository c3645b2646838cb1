#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "cmd/margayctl/commands.h"

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

int usage(const char* text) {
  std::cerr << text;
  return kUsage;
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
  return usage(kContainerUsage);
}

int runProfile(const Environment& env, const Words& words) {
  if (words.size() == 2 && words[0] == "add") return runProfileAdd(env, words[1]);
  if (words.size() == 1 && words[0] == "show") return runProfileShow(env);
  return usage(kProfileUsage);
}

int runEndpoint(const Environment& env, const Words& words) {
  if (words.size() < 3 || words[1] != "profile") return usage(kEndpointUsage);
  const Words profiles(words.begin() + 3, words.end());
  const auto& verb = words[2];
  const bool known = verb == "append" || verb == "remove" || verb == "set" || verb == "show";
  if (!known || ((verb == "append" || verb == "remove") && profiles.empty()))
    return usage(kEndpointUsage);
  return runEndpointProfile(env, words[0], verb, profiles);
}

int run(int argc, char** argv) {
  CLI::App app{"The command line of Margay, the network agent of a container host.", "margayctl"};
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  const auto env = environment();
  int code = kDone;
  Output output = Output::Table;
  const std::map<std::string, Output> agentOutputs = {
      {"json", Output::Json}, {"table", Output::Table}, {"ps", Output::Table}};
  const std::map<std::string, Output> objectOutputs = {
      {"json", Output::Json}, {"yaml", Output::Yaml}, {"yml", Output::Yaml}};
  const auto outputOption = [&](CLI::App* command) {
    command->add_option("-o,--output", output, "json, or table (the default)")
        ->option_text("FORMAT")
        ->transform(CLI::CheckedTransformer(agentOutputs, CLI::ignore_case));
  };

  auto* status = app.add_subcommand(
      "status", "Sources, kernel tables, endpoints, invalid objects of the agent on this node");
  outputOption(status);
  status->callback([&] { code = runStatus(env, output); });

  auto* plan =
      app.add_subcommand("plan", "What the next pass of the agent would change, as a diff");
  outputOption(plan);
  plan->callback([&] { code = runPlan(env, output); });

  std::string timeout = "30s";
  auto* wait = app.add_subcommand(
      "wait", "Lists the sources again and waits until all that was in them is in the kernel");
  wait->add_option("--timeout", timeout, "such as 30s (the default) or 500ms")
      ->option_text("DURATION")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, double>{{"ms", 0.001}, {"s", 1}, {"m", 60}},
                                CLI::AsNumberWithUnit::DEFAULT, "DURATION"));
  wait->callback([&] {
    code = runWait(env, std::chrono::milliseconds(static_cast<long>(std::stod(timeout) * 1000)));
  });

  std::string what;
  auto* inspect =
      app.add_subcommand("inspect", "What the agent computed: endpoints, sets, policies or groups");
  inspect->add_option("what", what)
      ->required()
      ->check(CLI::IsMember({"endpoints", "sets", "policies", "groups"}));
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
  explain->add_option("--node", arguments.node, "with --data-dir: the node whose view it is");
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
  convert->add_option("-o,--output", output, "yaml (the default) or json")
      ->option_text("FORMAT")
      ->transform(CLI::CheckedTransformer(objectOutputs, CLI::ignore_case));
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
    return app.exit(error) == 0 ? kDone : kUsage;
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
