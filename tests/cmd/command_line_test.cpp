#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cmd/program.h"

/// What users and scripts meet when a command line is wrong, and when there is no agent.
namespace margay::cmd_tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

MATCHER_P(IsOneLineOf, program, "one line that begins with the program's name") {
  return arg.starts_with(std::string(program) + ": ") &&
         std::count(arg.begin(), arg.end(), '\n') == 1 && arg.back() == '\n';
}

ProgramResult ctl(const Words& words) {
  return runProgram(MARGAYCTL, words, {{"MARGAY_RUN_DIR", "/nonexistent"}});
}

struct WrongLine {
  Words words;
  std::string says;
};

class WrongLines : public ::testing::TestWithParam<WrongLine> {};

TEST_P(WrongLines, AreNamedInOneLineAndExitWith2) {
  const auto got = ctl(GetParam().words);
  EXPECT_EQ(got.code, 2);
  EXPECT_EQ(got.out, "");
  EXPECT_THAT(got.err, AllOf(IsOneLineOf("margayctl"), HasSubstr(GetParam().says)));
}

INSTANTIATE_TEST_SUITE_P(
    Margayctl, WrongLines,
    ::testing::Values(WrongLine{{}, "a command is needed: 'margayctl --help'"},
                      WrongLine{{"frob"}, "no command 'frob': 'margayctl --help'"},
                      WrongLine{{"--frob"}, "no option '--frob'"},
                      WrongLine{{"status", "-o", "xml"}, "'xml' is no format: json, or table"},
                      WrongLine{{"convert", "-f", "-", "-o", "table"},
                                "yaml (the default) or json"},
                      WrongLine{{"status", "extra"}, "'margayctl status --help'"},
                      WrongLine{{"validate"}, "--filename is required"},
                      WrongLine{{"inspect", "rules"}, "endpoints, sets, policies, groups"},
                      WrongLine{{"explain", "--from", "a"}, "--to is required"},
                      WrongLine{{"wait", "--timeout", "soon"}, "'soon' is no duration"},
                      WrongLine{{"wait", "--timeout", "-1s"}, "'-1s' is no duration"},
                      WrongLine{{"selector", "all()", "--labels", "broken"}, "key=value"},
                      WrongLine{{"container", "add"}, "'margayctl container --help'"},
                      WrongLine{{"get", "nodes", "-o", "xml"}, "ps (the default), wide, custom-"},
                      WrongLine{{"get"}, "get: give a kind, or -f FILE"},
                      WrongLine{{"delete", "node"}, "margayctl delete node NAME"},
                      WrongLine{{"profile", "frob"}, "'margayctl profile --help'"},
                      WrongLine{{"endpoint", "x"}, "'margayctl endpoint --help'"}));

TEST(Margayctl, ExitsWith1AndOneLineWithoutAnAgent) {
  for (const Words& words :
       std::vector<Words>{{"status"},
                          {"plan"},
                          {"config"},
                          {"wait", "--timeout", "1ms"},
                          {"inspect", "sets"},
                          {"explain", "--from", "10.0.0.1", "--to", "10.0.0.2"}}) {
    const auto got = ctl(words);
    EXPECT_EQ(got.code, 1) << words[0];
    EXPECT_EQ(got.out, "");
    EXPECT_THAT(got.err, AllOf(IsOneLineOf("margayctl"), HasSubstr("MARGAY_RUN_DIR")));
  }
}

TEST(Margayctl, HelpGoesToStdoutAndIsNoError) {
  for (const Words& words : std::vector<Words>{{"--help"}, {"explain", "--help"}}) {
    const auto got = ctl(words);
    EXPECT_EQ(got.code, 0);
    EXPECT_EQ(got.err, "");
    EXPECT_THAT(got.out, HasSubstr("--help"));
  }
}

TEST(Margayctl, NamesAFileThatItCannotReadAndWhatItTakes) {
  for (const auto* verb : {"validate", "convert"}) {
    const auto got = ctl({verb, "-f", "/nonexistent/x.yaml"});
    EXPECT_EQ(got.code, 1);
    EXPECT_THAT(got.err,
                AllOf(IsOneLineOf("margayctl"), HasSubstr("cannot read /nonexistent/x.yaml"),
                      HasSubstr("No such file"), HasSubstr("or - for standard input")));
  }
}

TEST(MargayNode, NamesAWrongLineInOneLineAndExitsWith2) {
  for (const Words& words : std::vector<Words>{
           {"--nonsense"}, {"extra"}, {"--dry-run"}, {"--once", "--cleanup"}, {"--config"}}) {
    const auto got = runProgram(MARGAY_NODE, words);
    EXPECT_EQ(got.code, 2) << words[0];
    EXPECT_THAT(got.err, AllOf(IsOneLineOf("margay-node"), HasSubstr("'margay-node --help'")));
  }
}

TEST(MargayNode, SaysItsVersion) {
  const auto got = runProgram(MARGAY_NODE, {"--version"});
  EXPECT_EQ(got.code, 0);
  EXPECT_THAT(got.out, StartsWith("margay-node "));
}

}  // namespace
}  // namespace margay::cmd_tests
