#include "api/kubernetes/exec_credential.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "api/codec/json_reader.h"

extern char** environ;

namespace margay::api {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kLook{100};  // how soon a stop is noticed
constexpr std::size_t kMaxOutput = 1U << 20U;

/// RFC 3339 in UTC, as Kubernetes writes it.
std::optional<std::chrono::sys_seconds> parseTime(const std::string& text) {
  std::tm time{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (rest == nullptr || text.back() != 'Z') return std::nullopt;
  return std::chrono::sys_seconds(std::chrono::seconds(timegm(&time)));
}

std::string infoFor(const ExecCommand& command) {
  json spec = {{"interactive", false}};
  if (!command.clusterInfo.empty()) spec["cluster"] = json::parse(command.clusterInfo);
  return json{{"apiVersion", command.apiVersion}, {"kind", "ExecCredential"}, {"spec", spec}}
      .dump();
}

/// "NAME=value" of this process's environment with the command's own.
std::vector<std::string> environmentOf(const ExecCommand& command) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string::npos) all[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : command.env) all[name] = value;
  all["KUBERNETES_EXEC_INFO"] = infoFor(command);
  std::vector<std::string> out;
  out.reserve(all.size());
  for (const auto& [name, value] : all) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// The two ends of a pipe, closed at the end.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() { static_cast<void>(pipe2(ends.data(), O_CLOEXEC)); }
  ~Pipe() {
    closeEnd(0);
    closeEnd(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void closeEnd(std::size_t end) {
    if (ends[end] >= 0) close(std::exchange(ends[end], -1));
  }
};

/// A running program, which is killed if it has not ended by itself.
class Program {
 public:
  Program() = default;
  ~Program() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// The errno of what failed, or 0.
  int start(const ExecCommand& command) {
    std::vector<std::string> arguments{command.command};
    arguments.insert(arguments.end(), command.args.begin(), command.args.end());
    auto environment = environmentOf(command);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err.ends[1], STDERR_FILENO);
    // The agent blocks the signals that it waits for; a program must not inherit that.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const int failed = posix_spawnp(&pid_, command.command.c_str(), &actions, &attributes,
                                    pointers(arguments).data(), pointers(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) pid_ = -1;
    out.closeEnd(1);
    err.closeEnd(1);
    return failed;
  }
  /// Its exit status; it must have closed its output.
  int wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }

  Pipe out;
  Pipe err;

 private:
  pid_t pid_ = -1;
};

/// Reads both pipes to their ends.
Result<void> readAll(Program& program, std::string& output, std::string& errors,
                     const std::stop_token& stop) {
  const auto deadline = Clock::now() + kPatience;
  std::array<std::string*, 2> texts{&output, &errors};
  std::array<pollfd, 2> polled{
      {{program.out.ends[0], POLLIN, 0}, {program.err.ends[0], POLLIN, 0}}};
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (stop.stop_requested()) return fail(Errc::Interrupted, "asked to stop");
    if (Clock::now() > deadline) return fail(Errc::Transient, "has not ended after 30 s");
    ::poll(polled.data(), polled.size(), static_cast<int>(kLook.count()));
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      std::array<char, 4096> piece{};
      const auto count = ::read(polled[i].fd, piece.data(), piece.size());
      if (count <= 0) polled[i].fd = -1;
      if (count > 0) texts[i]->append(piece.data(), static_cast<std::size_t>(count));
      if (texts[i]->size() > kMaxOutput) return fail(Errc::Invalid, "prints without end");
    }
  }
  return {};
}

std::string lastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto newline = text.rfind('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

std::string title(const ExecCommand& command) {
  return "the credential program " + command.command;
}

}  // namespace

Result<ExecCredential> parseExecCredential(const ExecCommand& command, std::string_view output) {
  const auto document = json::parse(output.begin(), output.end(), nullptr, false);
  std::vector<FieldError> errors;
  ExecCredential out;
  const JsonReader top(document, errors);
  const auto version = top.stringOr("apiVersion", "");
  if (top.stringOr("kind", "") != "ExecCredential") top.error("kind", "must be ExecCredential");
  if (version != command.apiVersion)
    top.error("apiVersion",
              "is '" + version + "', and the kubeconfig asks for " + command.apiVersion);
  if (const auto status = top.object("status")) {
    out.token = status->stringOr("token", "");
    out.certificate = status->stringOr("clientCertificateData", "");
    out.key = status->stringOr("clientKeyData", "");
    if (const auto time = status->string("expirationTimestamp"); time && !time->empty()) {
      out.expires = parseTime(*time);
      if (!out.expires) status->error("expirationTimestamp", "'" + *time + "' is no time in UTC");
    }
  }
  if (errors.empty() && out.token.empty() && (out.certificate.empty() || out.key.empty()))
    top.error("status", "has neither a token nor a certificate with its key");
  if (errors.empty()) return out;
  const std::string field = errors.front().field.empty() ? "output" : errors.front().field;
  return fail(Errc::Invalid,
              title(command) + " prints no credential: " + field + ": " + errors.front().reason);
}

Result<ExecCredential> runCredentialProgram(const ExecCommand& command,
                                            const std::stop_token& stop) {
  Program program;
  if (const int failed = program.start(command); failed != 0)
    return Fail(Error{Errc::Invalid, failed,
                      title(command) + " cannot be started: " + systemError(failed, "exec").what +
                          (command.hint.empty() ? "" : "; " + command.hint)});
  std::string output;
  std::string errors;
  if (auto read = readAll(program, output, errors, stop); !read)
    return Fail(withContext(read.error(), title(command)));
  if (const int status = program.wait(); status != 0)
    return fail(Errc::Invalid, title(command) + " fails with status " + std::to_string(status) +
                                   ": " + lastLine(errors));
  return parseExecCredential(command, output);
}

}  // namespace margay::api
