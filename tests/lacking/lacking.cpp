#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

/// lacking FEATURE COMMAND...: runs the command on a kernel that answers as one that was built
/// without the feature, with the command's exit code. Only the answers to this command change.
///   legacy-tables   the socket options of ip_tables and ip6_tables: ENOPROTOOPT
///   ipset           messages to that subsystem of nfnetlink: EINVAL; its socket option:
///   ENOPROTOOPT nf-tables       messages to that subsystem: EINVAL
namespace {

constexpr int kFirstTableOption = 64;  // IPT_BASE_CTL, IP6T_BASE_CTL
constexpr int kLastTableOption = 69;
constexpr int kIpsetOption = 83;  // SO_IP_SET
constexpr int kFailed = 125;

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(offset));
}
sock_filter answer(__u32 action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}
constexpr std::size_t kNumber = offsetof(seccomp_data, nr);
constexpr std::size_t argument(std::size_t n) {
  return offsetof(seccomp_data, args) + n * sizeof(__u64);
}
constexpr __u32 errnoAction(int number) {
  return SECCOMP_RET_ERRNO | static_cast<__u32>(number);
}

/// Of the socket options from `first` to `last` at the levels of IPv4 and IPv6.
std::vector<sock_filter> withoutOptions(int first, int last) {
  return {load(kNumber),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getsockopt, 1, 0),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_setsockopt, 0, 7),
          load(argument(1)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IP, 1, 0),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPV6, 0, 4),
          load(argument(2)),
          BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, static_cast<__u32>(first), 0, 2),
          BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, static_cast<__u32>(last), 1, 0),
          answer(errnoAction(ENOPROTOOPT)),
          answer(SECCOMP_RET_ALLOW)};
}

/// What is sent is asked about: a filter sees no messages.
std::vector<sock_filter> askingAboutMessages() {
  return {load(kNumber), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendto, 1, 0),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendmsg, 0, 1), answer(SECCOMP_RET_USER_NOTIF),
          answer(SECCOMP_RET_ALLOW)};
}

/// The descriptor that tells of notifications, if `flags` ask for one; else 0; below 0: it failed.
int install(std::vector<sock_filter> filter, unsigned flags) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

bool readFrom(pid_t process, __u64 address, void* out, std::size_t size) {
  const iovec local{out, size};
  const iovec remote{reinterpret_cast<void*>(address), size};
  return process_vm_readv(process, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

/// The first header of what is being sent; none if it is too short for one.
bool headerOf(const seccomp_notif& call, nlmsghdr& header) {
  auto address = call.data.args[1];
  auto size = call.data.args[2];
  const auto process = static_cast<pid_t>(call.pid);
  if (call.data.nr == __NR_sendmsg) {
    msghdr message{};
    iovec part{};
    if (!readFrom(process, address, &message, sizeof message) || message.msg_iovlen == 0 ||
        !readFrom(process, reinterpret_cast<__u64>(message.msg_iov), &part, sizeof part))
      return false;
    address = reinterpret_cast<__u64>(part.iov_base);
    size = part.iov_len;
  }
  return size >= sizeof header && readFrom(process, address, &header, sizeof header);
}

/// nf_tables' messages come in a batch whose begin names the subsystem in `res_id`; here its own
/// requests alone are looked at, which is what finds out whether the kernel has it.
bool isFor(unsigned subsystem, const seccomp_notif& call) {
  nlmsghdr header{};
  return headerOf(call, header) && header.nlmsg_len >= sizeof header &&
         NFNL_SUBSYS_ID(header.nlmsg_type) == subsystem;
}

void answerCalls(int listener, unsigned subsystem) {
  seccomp_notif call{};
  while (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0 || errno == EINTR ||
         errno == ENOENT) {
    seccomp_notif_resp response{};
    response.id = call.id;
    if (isFor(subsystem, call)) {
      response.error = -EINVAL;
    } else {
      response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    call = {};
  }
}

int failed(const char* what) {
  std::perror(what);
  return kFailed;
}

/// Waits for `child`; its exit code as a shell says it.
int codeOf(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A process of its own answers while the command, which the caller waits for, is this one.
int runWithoutSubsystem(unsigned subsystem, char** command) {
  const int listener = install(askingAboutMessages(), SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (listener < 0) return failed("seccomp");
  const pid_t child = fork();
  if (child < 0) return failed("fork");
  if (child == 0) {
    close(listener);
    execvp(command[0], command);
    _exit(failed(command[0]));
  }
  const pid_t answering = fork();
  if (answering == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    answerCalls(listener, subsystem);
    _exit(0);
  }
  close(listener);
  return codeOf(child);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view feature = argc > 2 ? argv[1] : "";
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (feature == "legacy-tables") {
    if (install(withoutOptions(kFirstTableOption, kLastTableOption), 0) < 0)
      return failed("seccomp");
    execvp(argv[2], argv + 2);
    return failed(argv[2]);
  }
  if (feature == "ipset") {
    if (install(withoutOptions(kIpsetOption, kIpsetOption), 0) < 0) return failed("seccomp");
    return runWithoutSubsystem(NFNL_SUBSYS_IPSET, argv + 2);
  }
  if (feature == "nf-tables") return runWithoutSubsystem(NFNL_SUBSYS_NFTABLES, argv + 2);
  std::fputs("usage: lacking legacy-tables|ipset|nf-tables COMMAND...\n", stderr);
  return 2;
}
