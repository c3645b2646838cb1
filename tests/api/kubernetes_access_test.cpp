#include "api/kubernetes/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "api/codec/base64.h"
#include "api/kubernetes/credentials.h"
#include "api/kubernetes/exec_credential.h"

namespace margay::api {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Environment = std::map<std::string, std::string>;

class KubernetesAccessTest : public ::testing::Test {
 protected:
  KubernetesAccessTest() {
    char pattern[] = "/tmp/margay-kubeconfig-XXXXXX";
    directory_ = ::mkdtemp(pattern);
  }
  ~KubernetesAccessTest() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }
  /// A kubeconfig of one user and one cluster with these fields.
  std::string config(const std::string& user,
                     const std::string& cluster = "server: https://10.0.0.1:6443") const {
    return write("config",
                 "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                 "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                 "clusters: [{name: k, cluster: {" +
                     cluster +
                     "}}]\n"
                     "users: [{name: u, user: {" +
                     user + "}}]\n");
  }
  Result<KubernetesAccess> read(const std::string& paths) const {
    return kubernetesAccess({{"KUBECONFIG", paths}}, directory_);
  }
  std::string errorOf(const std::string& paths) const {
    const auto access = read(paths);
    EXPECT_FALSE(access);
    if (access) return {};
    EXPECT_EQ(access.error().code, Errc::Invalid);
    EXPECT_THAT(access.error().what, Not(HasSubstr("\n")));
    return access.error().what;
  }
  /// A program for `exec`.
  ExecCommand program(const std::string& script) const {
    const auto path = write("program", "#!/bin/sh\n" + script);
    ::chmod(path.c_str(), 0700);
    ExecCommand out;
    out.command = path;
    out.apiVersion = "client.authentication.k8s.io/v1";
    return out;
  }

  std::string directory_;
};

TEST_F(KubernetesAccessTest, InAPodIsThatOfItsServiceAccount) {
  write("ca.crt", "ca");
  write("token", "secret");
  const auto access = kubernetesAccess(
      {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "6443"}}, directory_);
  ASSERT_TRUE(access) << access.error().what;
  EXPECT_EQ(access->url, "https://10.96.0.1:6443");
  EXPECT_EQ(access->tls.ca.file, directory_ + "/ca.crt");
  EXPECT_TRUE(access->tls.verify);
  EXPECT_EQ(access->tokenFile, directory_ + "/token");
  const auto six = kubernetesAccess({{"KUBERNETES_SERVICE_HOST", "fd00::1"}}, directory_);
  ASSERT_TRUE(six);
  EXPECT_EQ(six->url, "https://[fd00::1]:443");
}

TEST_F(KubernetesAccessTest, NamesWhatAPodLacks) {
  const auto access = kubernetesAccess({{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}}, directory_);
  ASSERT_FALSE(access);
  EXPECT_THAT(access.error().what, HasSubstr(directory_ + "/ca.crt is not there"));
  const auto nothing = kubernetesAccess({}, directory_);
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error().what, HasSubstr("set KUBECONFIG"));
}

TEST_F(KubernetesAccessTest, ReadsTheTokenFileAgainForEveryCall) {
  KubernetesAccess access;
  access.tokenFile = write("token", "first\n");
  const auto provider = tokenProvider(access);
  EXPECT_EQ(*provider(Token::Kept, {}), "Bearer first");
  write("token", "second\n");
  EXPECT_EQ(*provider(Token::Kept, {}), "Bearer second");
  fs::remove(access.tokenFile);
  const auto gone = provider(Token::Kept, {});
  ASSERT_FALSE(gone);
  EXPECT_THAT(gone.error().what, HasSubstr(access.tokenFile));
}

TEST_F(KubernetesAccessTest, OfAKubeconfigIsItsCurrentContext) {
  const auto path = write("config", R"(
current-context: right
contexts:
- {name: wrong, context: {cluster: other, user: other}}
- {name: right, context: {cluster: k, user: u, namespace: here}}
clusters:
- {name: other, cluster: {server: "https://10.0.0.9:6443"}}
- {name: k, cluster: {server: "https://10.0.0.1:6443/", certificate-authority: pki/ca.pem}}
users:
- {name: other, user: {token: wrong}}
- {name: u, user: {token: secret, client-certificate: /etc/c.pem, client-key: c.key}}
)");
  const auto access = read(path);
  ASSERT_TRUE(access) << access.error().what;
  EXPECT_EQ(access->url, "https://10.0.0.1:6443");
  EXPECT_EQ(access->tls.ca.file, directory_ + "/pki/ca.pem");
  EXPECT_EQ(access->tls.certificate.file, "/etc/c.pem");
  EXPECT_EQ(access->tls.key.file, directory_ + "/c.key");
  EXPECT_EQ(access->token, "secret");
  EXPECT_EQ(access->user, "user 'u' of " + path);
}

TEST_F(KubernetesAccessTest, TakesCertificatesThatAreInTheKubeconfig) {
  const auto access =
      read(config("client-certificate-data: " + base64Encode("CERT") +
                      ", client-key-data: " + base64Encode("KEY") + ", client-key: /not/this",
                  "server: \"https://a:1\", certificate-authority-data: " + base64Encode("CA")));
  ASSERT_TRUE(access) << access.error().what;
  EXPECT_EQ(access->tls.ca.text, "CA");
  EXPECT_EQ(access->tls.certificate.text, "CERT");
  EXPECT_EQ(access->tls.key.text, "KEY");
  EXPECT_EQ(access->tls.key.file, "");
}

TEST_F(KubernetesAccessTest, OfAnotherContextOrGivenAsText) {
  const std::string text =
      "current-context: a\n"
      "contexts: [{name: a, context: {cluster: k, user: u}}, {name: b, context: {cluster: k, user: "
      "w}}]\n"
      "clusters: [{name: k, cluster: {server: \"https://10.0.0.1:6443\"}}]\n"
      "users: [{name: u, user: {token: first}}, {name: w, user: {token: second}}]\n";
  const auto path = write("config", text);
  const auto other = kubernetesAccess({{"KUBECONFIG", path}, {"K8S_CURRENT_CONTEXT", "b"}});
  ASSERT_TRUE(other) << other.error().what;
  EXPECT_EQ(other->token, "second");
  const auto unknown = kubernetesAccess({{"KUBECONFIG", path}, {"K8S_CURRENT_CONTEXT", "c"}});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().what, AllOf(HasSubstr("K8S_CURRENT_CONTEXT"), HasSubstr("'c'")));
  const auto inlined =
      kubernetesAccess({{"KUBECONFIG_INLINE", text}, {"KUBECONFIG", config("token: third")}});
  ASSERT_TRUE(inlined) << inlined.error().what;
  EXPECT_EQ(inlined->token, "first");
  const auto broken = kubernetesAccess({{"KUBECONFIG_INLINE", "[1]"}});
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().what, HasSubstr("KUBECONFIG_INLINE"));
  const auto alone = kubernetesAccess({{"K8S_CURRENT_CONTEXT", "b"}}, directory_);
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().what, HasSubstr("set KUBECONFIG"));
}

TEST_F(KubernetesAccessTest, VariablesGoBeforeTheKubeconfigOrStandAlone) {
  const Environment variables = {{"K8S_API_ENDPOINT", "https://10.0.0.2:6443/"},
                                 {"K8S_CA_FILE", "/ca.pem"},
                                 {"K8S_CERT_FILE", "/c.pem"},
                                 {"K8S_KEY_FILE", "/c.key"},
                                 {"K8S_API_TOKEN", "fourth"}};
  auto with = variables;
  with["KUBECONFIG"] = config("tokenFile: t");
  for (const auto& environment : {variables, with}) {
    const auto access = kubernetesAccess(environment, directory_);
    ASSERT_TRUE(access) << access.error().what;
    EXPECT_EQ(access->url, "https://10.0.0.2:6443");
    EXPECT_EQ(access->tls.ca.file, "/ca.pem");
    EXPECT_EQ(access->tls.certificate.file, "/c.pem");
    EXPECT_EQ(access->tls.key.file, "/c.key");
    EXPECT_EQ(access->token, "fourth");
    EXPECT_EQ(access->tokenFile, "");
  }
  with["K8S_INSECURE_SKIP_TLS_VERIFY"] = "true";
  const auto insecure = kubernetesAccess(with, directory_);
  ASSERT_FALSE(insecure);
  EXPECT_THAT(insecure.error().what, HasSubstr("K8S_CA_FILE"));
}

TEST_F(KubernetesAccessTest, PrefersATokenFileToAToken) {
  const auto access = read(config("token: old, tokenFile: t"));
  ASSERT_TRUE(access);
  EXPECT_EQ(access->tokenFile, directory_ + "/t");
  EXPECT_EQ(access->token, "");
}

TEST_F(KubernetesAccessTest, OfSeveralKubeconfigsTheFirstThatSaysAThingWins) {
  const auto first = write("first", "current-context: c\nusers: [{name: u, user: {token: one}}]\n");
  const auto second = config("token: two");
  const auto access = read(directory_ + "/missing:" + first + ":" + second);
  ASSERT_TRUE(access) << access.error().what;
  EXPECT_EQ(access->token, "one");
  EXPECT_EQ(access->url, "https://10.0.0.1:6443");
}

TEST_F(KubernetesAccessTest, NamesFileAndFieldOfWhatIsWrong) {
  EXPECT_THAT(errorOf(directory_ + "/none"), HasSubstr(directory_ + "/none is not there"));
  EXPECT_THAT(errorOf(write("bad", "a: [")), HasSubstr(directory_ + "/bad"));
  EXPECT_THAT(errorOf(write("config", "kind: Config")), HasSubstr("current-context: is missing"));
  EXPECT_THAT(errorOf(write("config", "current-context: x")),
              HasSubstr("current-context names 'x', and no entry of contexts"));
  EXPECT_THAT(errorOf(write("config",
                            "current-context: c\ncontexts: [{name: c, context: {cluster: "
                            "gone}}]")),
              HasSubstr("contexts[c].context.cluster names 'gone'"));
  EXPECT_THAT(errorOf(config("token: t", "server: 10.0.0.1")),
              HasSubstr("clusters[k].cluster.server: '10.0.0.1' is no URL"));
  EXPECT_THAT(errorOf(config("client-certificate: /c.pem")),
              HasSubstr("users[u].user: has a client-certificate and no client-key"));
  EXPECT_THAT(errorOf(config("client-certificate-data: \"*\"")),
              HasSubstr("users[u].user.client-certificate-data: is no base64"));
  EXPECT_THAT(errorOf(config("exec: {apiVersion: client.authentication.k8s.io/v1}")),
              HasSubstr("users[u].user.exec.command: is missing"));
}

TEST_F(KubernetesAccessTest, RefusesWhatItWouldNotFollow) {
  const std::string server = "server: \"https://a:1\", ";
  EXPECT_THAT(errorOf(config("token: t", server + "insecure-skip-tls-verify: true")),
              HasSubstr("insecure-skip-tls-verify"));
  EXPECT_THAT(errorOf(config("token: t", server + "proxy-url: \"http://p\"")),
              HasSubstr("proxy-url"));
  EXPECT_THAT(errorOf(config("username: me")), HasSubstr("username"));
  EXPECT_THAT(errorOf(config("auth-provider: {name: gcp}")), HasSubstr("auth-provider"));
  EXPECT_THAT(errorOf(config("token: t, as: root")), HasSubstr("impersonation"));
  EXPECT_TRUE(read(config("token: t", server + "insecure-skip-tls-verify: false")));
}

TEST_F(KubernetesAccessTest, ReadsWhatAProgramNeeds) {
  const auto access = read(config(
      "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./get-token, args: [-a, "
      "b], env: [{name: X, value: y}], provideClusterInfo: true, installHint: install it}"));
  ASSERT_TRUE(access) << access.error().what;
  ASSERT_TRUE(access->exec);
  EXPECT_EQ(access->exec->command, directory_ + "/get-token");
  EXPECT_THAT(access->exec->args, ElementsAre("-a", "b"));
  EXPECT_EQ(access->exec->env.at("X"), "y");
  EXPECT_EQ(access->exec->clusterInfo, R"({"server":"https://10.0.0.1:6443"})");
  EXPECT_EQ(access->exec->hint, "install it");
}

const std::string kCredential =
    R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":)";

TEST_F(KubernetesAccessTest, RunsTheProgramWithItsEnvironmentAndArguments) {
  auto command = program("echo '" + kCredential +
                         "{\"token\":\"'$1-$NAME'\"}}'\n"
                         "echo \"$KUBERNETES_EXEC_INFO\" > " +
                         directory_ + "/info\n");
  command.args = {"arg"};
  command.env["NAME"] = "env";
  const auto credential = runCredentialProgram(command, {});
  ASSERT_TRUE(credential) << credential.error().what;
  EXPECT_EQ(credential->token, "arg-env");
  EXPECT_FALSE(credential->expires);
  std::string info;
  std::getline(std::ifstream(directory_ + "/info") >> std::ws, info);
  EXPECT_THAT(info,
              AllOf(HasSubstr(R"("kind":"ExecCredential")"), HasSubstr(R"("interactive":false)")));
}

TEST_F(KubernetesAccessTest, AsksTheProgramAgainWhenItsTokenHasExpiredOrIsRefused) {
  const auto counting = [&](const std::string& expires) {
    auto command = program("echo x >> " + directory_ + "/runs\necho '" + kCredential +
                           "{\"token\":\"t'$(wc -l < " + directory_ +
                           "/runs)'\",\"expirationTimestamp\":\"" + expires + "\"}}'\n");
    return tokenProvider({}, std::make_shared<ExecCredentials>(std::move(command)));
  };
  const auto lasting = counting("2999-01-01T00:00:00Z");
  EXPECT_EQ(*lasting(Token::Kept, {}), "Bearer t1");
  EXPECT_EQ(*lasting(Token::Kept, {}), "Bearer t1");
  EXPECT_EQ(*lasting(Token::Renewed, {}), "Bearer t2");
  const auto expired = counting("2001-01-01T00:00:00Z");
  EXPECT_EQ(*expired(Token::Kept, {}), "Bearer t3");
  EXPECT_EQ(*expired(Token::Kept, {}), "Bearer t4");
}

TEST_F(KubernetesAccessTest, NamesTheProgramThatGivesNoCredential) {
  const auto errorOfRun = [](const ExecCommand& command) {
    const auto run = runCredentialProgram(command, {});
    EXPECT_FALSE(run);
    EXPECT_THAT(run.error().what, AllOf(HasSubstr(command.command), Not(HasSubstr("\n"))));
    return run.error().what;
  };
  ExecCommand missing;
  missing.command = directory_ + "/none";
  missing.hint = "install it with apt";
  EXPECT_THAT(errorOfRun(missing),
              AllOf(HasSubstr("No such file"), HasSubstr("install it with apt")));
  EXPECT_THAT(errorOfRun(program("echo first >&2; echo 'not logged in' >&2; exit 3")),
              AllOf(HasSubstr("status 3"), HasSubstr("not logged in")));
  EXPECT_THAT(errorOfRun(program("echo hello")), HasSubstr("prints no credential"));
  EXPECT_THAT(errorOfRun(program("echo '" + kCredential + "{}}'")),
              HasSubstr("status: has neither a token nor a certificate"));
  EXPECT_THAT(errorOfRun(program("echo '" + kCredential +
                                 "{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}}'")),
              HasSubstr("status.expirationTimestamp: 'soon'"));
}

TEST_F(KubernetesAccessTest, EndsAProgramThatTakesTooLongWhenAskedToStop) {
  std::stop_source stop;
  stop.request_stop();
  const auto run = runCredentialProgram(program("exec sleep 60"), stop.get_token());
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, Errc::Interrupted);
}

}  // namespace
}  // namespace margay::api
