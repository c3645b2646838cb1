#include "tests/system/cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/hash.h"
#include "dataplane/workload_wiring.h"
#include "tests/system/backend.h"

namespace margay::system_tests {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

std::string flow(const std::map<std::string, std::string>& map) {
  std::string out = "{";
  for (const auto& [key, value] : map)
    out += (out.size() > 1 ? ", " : "") + ('"' + key + "\": \"" + value + '"');
  return out + "}";
}

NetworkNamespace mustCreate() {
  auto made = NetworkNamespace::create();
  EXPECT_TRUE(made) << made.error().what;
  return std::move(*made);
}

std::optional<dataplane::MacAddress> macOf(const std::string& text) {
  if (text.empty()) return std::nullopt;
  dataplane::MacAddress out{};
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(std::stoi(text.substr(i * 3, 2), nullptr, 16));
  return out;
}

ShellResult shellIn(const NetworkNamespace& where, const std::string& command) {
  const auto entered = where.enter();
  return testing::shell(command);
}

}  // namespace

Host::Host(std::string name, const fs::path& directory)
    : name_(std::move(name)), directory_(directory), ns_(mustCreate()) {
  fs::create_directories(runDir());
}

Host::~Host() {
  if (pid_ > 0) kill();
}

std::string Host::environmentText(const Environment& extra) const {
  Environment all = {{"DATASTORE_TYPE", "file"},
                     {"NODENAME", name_},
                     {"MARGAY_DATA_DIR", (directory_ / "data").string()},
                     {"MARGAY_RUN_DIR", runDir().string()},
                     {"FELIX_IPTABLESBACKEND", backend()},
                     {"FELIX_PROMETHEUSMETRICSENABLED", "true"},
                     {"FELIX_HEALTHENABLED", "true"}};
  for (const auto& [key, value] : extra) all[key] = value;
  std::string out = "env";
  for (const auto& [key, value] : all) out += ' ' + key + '=' + quoted(value);
  return out;
}

void Host::start(const Environment& extra) {
  ASSERT_LT(pid_, 0) << name_ << " runs already";
  lastExtra_ = extra;
  const auto command = "exec " + environmentText(extra) + " " MARGAY_NODE " 2>>" +
                       (directory_ / (name_ + ".log")).string();
  const auto entered = ns_->enter();
  pid_ = fork();
  ASSERT_GE(pid_, 0);
  if (pid_ == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
}

ShellResult Host::agent(const std::string& arguments, const Environment& extra) {
  return sh(environmentText(extra) + " " MARGAY_NODE " " + arguments);
}

int Host::stop() {
  if (pid_ <= 0) return -1;
  ::kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Host::kill() {
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string Host::log() const {
  std::ifstream file(directory_ / (name_ + ".log"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

ShellResult Host::ctl(const std::string& arguments, const Environment& extra) const {
  return sh(environmentText(extra) + " " MARGAYCTL " " + arguments);
}

void Host::converge() const {
  ShellResult last;
  const bool done = eventually([&] { return (last = ctl("wait --timeout 20s")).status == 0; },
                               std::chrono::seconds(30));
  EXPECT_TRUE(done) << name_ << " does not converge: " << last.output << "\nlog:\n" << log();
}

nlohmann::json Host::json(const std::string& arguments) const {
  const auto got = sh(environmentText({}) + " " MARGAYCTL " " + arguments + " -o json 2>/dev/null");
  auto parsed = nlohmann::json::parse(got.output, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << arguments << " printed " << got.output;
  return parsed;
}

ShellResult Host::sh(const std::string& command) const {
  return shellIn(*ns_, command);
}

std::string Host::mustSh(const std::string& command) const {
  const auto got = sh(command);
  EXPECT_EQ(got.status, 0) << name_ << "# " << command << "\n" << got.output;
  return got.output;
}

double Host::metric(const std::string& series) const {
  const auto all = metrics();
  const auto at = all.find(series);
  return at == all.end() ? 0 : at->second;
}

std::map<std::string, double> Host::metrics() const {
  std::map<std::string, double> out;
  std::istringstream lines(sh("curl -s --max-time 10 http://127.0.0.1:9091/metrics").output);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string::npos) continue;
    out[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return out;
}

Pod::Pod(Host& host, PodSpec spec)
    : host_(&host),
      spec_(std::move(spec)),
      device_("cali" + sha1Hex(spec_.ns + '.' + spec_.name).substr(0, 11)),
      ns_(mustCreate()) {
  wire();
}

void Pod::unwire() {
  static_cast<void>(host_->mustSh("ip link delete " + device_));
}

void Pod::wire() {
  std::vector<Address> addresses;
  for (const auto& text : spec_.addresses) addresses.push_back(*Address::parse(text));
  const auto entered = host_->ns().enter();
  const auto wired = dataplane::wireWorkload({.netns = ns_.path(),
                                              .hostInterface = device_,
                                              .containerInterface = "eth0",
                                              .addresses = addresses,
                                              .containerMac = macOf(spec_.mac)});
  EXPECT_TRUE(wired) << wired.error().what;
}

Address Pod::address(Family family) const {
  for (const auto& text : spec_.addresses) {
    const auto address = *Address::parse(text);
    if (address.family() == family) return address;
  }
  ADD_FAILURE() << spec_.name << " has no address of that family";
  return {};
}

std::string Pod::endpointManifest() const {
  std::string networks;
  for (const auto& address : spec_.addresses)
    networks +=
        (networks.empty() ? "\"" : ", \"") + Prefix::host(*Address::parse(address)).str() + '"';
  auto labels = spec_.labels;
  labels["projectcalico.org/namespace"] = spec_.ns;
  labels["projectcalico.org/orchestrator"] = "k8s";
  return "apiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\nmetadata: {name: " +
         host_->name() + "-k8s-" + spec_.name + "-eth0, namespace: " + spec_.ns +
         ", labels: " + flow(labels) + "}\nspec: {orchestrator: k8s, node: " + host_->name() +
         ", pod: " + spec_.name + ", endpoint: eth0, interfaceName: " + device_ + ", mac: \"" +
         spec_.mac + "\", ipNetworks: [" + networks + "], profiles: [kns." + spec_.ns + "]}\n";
}

std::string Pod::manifest() const {
  if (!spec_.mac.empty()) return endpointManifest();
  std::string ips;
  for (const auto& address : spec_.addresses)
    ips += (ips.empty() ? "" : ", ") + ("{ip: \"" + address + "\"}");
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + spec_.name +
         "\n  namespace: " + spec_.ns + "\n  labels: " + flow(spec_.labels) +
         (spec_.annotations.empty() ? "" : "\n  annotations: " + spec_.annotations) +
         "\nspec:\n  nodeName: " + host_->name() +
         "\n  serviceAccountName: " + spec_.serviceAccount + "\n  containers: [{name: c, image: i" +
         (spec_.ports.empty() ? "" : ", ports: " + spec_.ports) +
         "}]\nstatus:\n  phase: Running\n  podIPs: [" + ips + "]\n";
}

std::string Pod::manifestFile() const {
  return "pod-" + spec_.ns + "-" + spec_.name + ".yaml";
}
ShellResult Pod::sh(const std::string& command) const {
  return shellIn(ns_, command);
}

Cluster::Cluster() : lan_(mustCreate()) {
  char pattern[] = "/tmp/margay-test-XXXXXX";
  directory_ = mkdtemp(pattern);
  fs::create_directories(dataDir());
  const auto made =
      shellIn(*lan_, "ip link add br0 type bridge forward_delay 0 && ip link set br0 up");
  EXPECT_EQ(made.status, 0) << made.output;
}

Cluster::~Cluster() {
  pods_.clear();
  hosts_.clear();
  fs::remove_all(directory_);
}

Address Cluster::hostAddress(int n, Family family) {
  return *Address::parse(family == Family::V4 ? "172.30.0." + std::to_string(n)
                                              : "fd30::" + std::to_string(n));
}

Host& Cluster::addHost(const std::string& name) {
  auto& host = *hosts_.emplace_back(std::make_unique<Host>(name, directory_));
  const auto n = static_cast<int>(hosts_.size());
  const auto number = std::to_string(n);
  const auto port = "p" + number;
  // The peer is put into the host's namespace by a descriptor of this process, which `ip` sees
  // through /proc.
  const auto made =
      shellIn(*lan_, "ip link add " + port + " type veth peer name eth0 netns " + host.ns().path() +
                         " && ip link set " + port + " master br0 up");
  EXPECT_EQ(made.status, 0) << made.output;
  static_cast<void>(
      host.mustSh("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "
                  "net.ipv6.conf.eth0.accept_dad=0 && ip address add " +
                  hostAddress(n).str() + "/24 dev eth0 && ip address add " +
                  hostAddress(n, Family::V6).str() + "/64 dev eth0 && ip link set eth0 up"));
  apply("node-" + name + ".yaml",
        "apiVersion: v1\nkind: Node\nmetadata: {name: " + name + "}\nspec: {podCIDRs: [10.65." +
            number + ".0/24, \"fd65:0:0:" + number +
            "::/64\"]}\nstatus: {addresses: [{type: InternalIP, address: " + hostAddress(n).str() +
            "}, {type: InternalIP, address: \"" + hostAddress(n, Family::V6).str() + "\"}]}\n");
  return host;
}

Pod& Cluster::addPod(Host& host, PodSpec spec) {
  auto& pod = *pods_.emplace_back(std::make_unique<Pod>(host, std::move(spec)));
  rewrite(pod);
  return pod;
}

void Cluster::removePod(Pod& pod) {
  remove(pod.manifestFile());
  std::erase_if(pods_, [&](const auto& held) { return held.get() == &pod; });
}

void Cluster::rewrite(const Pod& pod) {
  apply(pod.manifestFile(), pod.manifest());
}

void Cluster::addNamespace(const std::string& name,
                           const std::map<std::string, std::string>& labels) {
  apply("namespace-" + name + ".yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name +
                                           ", labels: " + flow(labels) + "}\n");
}

void Cluster::apply(const std::string& file, const std::string& text) {
  const auto temporary = dataDir() / ("." + file + ".new");
  std::ofstream(temporary) << text;
  fs::rename(temporary, dataDir() / file);
}

void Cluster::remove(const std::string& file) {
  EXPECT_TRUE(fs::remove(dataDir() / file)) << file;
}

void Cluster::converge() const {
  for (const auto& host : hosts_) {
    if (host->running()) host->converge();
  }
}

void SystemTest::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "system tests make network namespaces: run them as root";
  cluster_ = std::make_unique<Cluster>();
}

void SystemTest::TearDown() {
  cluster_.reset();
}

}  // namespace margay::system_tests
