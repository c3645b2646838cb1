#include "tests/cmd/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

extern char** environ;

namespace margay::cmd_tests {
namespace {

std::string contentOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<char*> pointersTo(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

ProgramResult runProgram(const std::string& path, const std::vector<std::string>& arguments,
                         const std::map<std::string, std::string>& environment,
                         const std::string& input) {
  // Files instead of pipes: a program that says much on both never waits for the reader.
  const ScratchDirectory scratch;
  const auto in = scratch.write("in", input);
  const auto out = scratch.write("out", "");
  const auto err = scratch.write("err", "");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY, 0);
  std::vector<std::string> words{path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + '=' + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    if (!environment.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  ProgramResult result;
  pid_t pid = -1;
  const int spawned = posix_spawn(&pid, path.c_str(), &files, nullptr, pointersTo(words).data(),
                                  pointersTo(variables).data());
  posix_spawn_file_actions_destroy(&files);
  if (spawned != 0) return result;
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = contentOf(out);
  result.err = contentOf(err);
  return result;
}

ScratchDirectory::ScratchDirectory()
    : path_((std::filesystem::temp_directory_path() / "margay-cmd-XXXXXX").string()) {
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ScratchDirectory::write(const std::string& file, const std::string& text) const {
  const auto target = std::filesystem::path(path_) / file;
  std::filesystem::create_directories(target.parent_path());
  std::ofstream(target) << text;
  return target.string();
}

}  // namespace margay::cmd_tests
