#include "dataplane/ipset_driver.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "dataplane/ipset_error.h"

namespace margay::dataplane {
namespace {

constexpr std::size_t kRequestBytes = 256;

Fail misnamed(const char* operation, const SetName& name, const char* problem) {
  return fail(Errc::Invalid, std::string(operation) + " ipset " + name + ": " + problem);
}

/// The socket's error in words of ipset; `Interrupted` and such stay what they are.
Error translated(const Error& error, const std::string& context) {
  if (error.code == Errc::Interrupted || error.sysErrno == 0) return withContext(error, context);
  return ipsetError(error.sysErrno, context);
}

}  // namespace

KernelIpsetDriver::KernelIpsetDriver(NfnetlinkSocket socket)
    : socket_(std::move(socket)), request_(kRequestBytes) {}

Result<std::unique_ptr<KernelIpsetDriver>> KernelIpsetDriver::open() {
  auto socket = NfnetlinkSocket::open();
  if (!socket) return Fail(withContext(socket.error(), "open ipset"));
  return std::unique_ptr<KernelIpsetDriver>(new KernelIpsetDriver(std::move(*socket)));
}

Result<KernelIpsetDriver::Names> KernelIpsetDriver::names() {
  request_.clear();
  request_.begin(IPSET_CMD_LIST, NLM_F_DUMP, socket_.sequences());
  request_.putNetU32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_SETNAME);
  request_.end();
  Names out;
  const auto dumped = socket_.dump(request_.view(), [&](const nlmsghdr& part) {
    const auto name = listedName(part);
    if (name.starts_with(kSetPrefix)) {
      out.ours.emplace_back(name);
    } else {
      out.others = true;
    }
  });
  if (!dumped) return Fail(translated(dumped.error(), "list ipsets"));
  return out;
}

Result<std::map<SetName, SetHeader>> KernelIpsetDriver::headersOfAll() {
  request_.clear();
  request_.begin(IPSET_CMD_LIST, NLM_F_DUMP, socket_.sequences());
  request_.putNetU32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_HEADER);
  request_.end();
  std::map<SetName, SetHeader> out;
  const auto dumped = socket_.dump(request_.view(), [&](const nlmsghdr& part) {
    if (!listedName(part).starts_with(kSetPrefix)) {
      others_ = true;
    } else if (auto found = listedHeader(part)) {
      out.insert_or_assign(found->spec.name, std::move(*found));
    }
  });
  if (!dumped) return Fail(translated(dumped.error(), "list ipsets"));
  return out;
}

Result<SetHeader> KernelIpsetDriver::header(const SetName& name) {
  request_.clear();
  request_.begin(IPSET_CMD_LIST, NLM_F_DUMP, socket_.sequences());
  request_.putString(IPSET_ATTR_SETNAME, name);
  request_.putNetU32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_HEADER);
  request_.end();
  std::optional<SetHeader> found;
  const auto dumped = socket_.dump(request_.view(), [&](const nlmsghdr& part) {
    if (!found) found = listedHeader(part);
  });
  const std::string context = "read header of ipset " + name;
  if (!dumped) return Fail(translated(dumped.error(), context));
  if (!found) return fail(Errc::NotFound, context + ": the kernel gave none");
  return *found;
}

Result<std::map<SetName, SetHeader>> KernelIpsetDriver::list() {
  // One dump of headers takes the fewest system calls, but makes the kernel count the elements of
  // others too: with others around, names first.
  if (!others_) return headersOfAll();
  const auto present = names();
  if (!present) return Fail(present.error());
  others_ = present->others;
  std::map<SetName, SetHeader> out;
  for (const auto& name : present->ours) {
    auto found = header(name);
    if (found) {
      out.insert_or_assign(name, std::move(*found));
    } else if (found.error().code != Errc::NotFound) {  // destroyed since: it is just not there
      return Fail(found.error());
    }
  }
  return out;
}

Result<SetShape> KernelIpsetDriver::shape(const SetName& name) {
  request_.clear();
  request_.begin(IPSET_CMD_HEADER, NLM_F_ACK, socket_.sequences());
  request_.putString(IPSET_ATTR_SETNAME, name);
  request_.end();
  std::optional<SetShape> found;
  const auto asked = socket_.request(request_.view(),
                                     [&](const nlmsghdr& answer) { found = listedShape(answer); });
  const std::string context = "read type of ipset " + name;
  if (!asked) return Fail(translated(asked.error(), context));
  if (!found) return fail(Errc::Invalid, context + ": it is of a type that we do not make");
  return *found;
}

Result<std::vector<SetMember>> KernelIpsetDriver::members(const SetName& name) {
  if (const char* problem = setNameProblem(name)) return misnamed("list", name, problem);
  request_.clear();
  request_.begin(IPSET_CMD_LIST, NLM_F_DUMP, socket_.sequences());
  request_.putString(IPSET_ATTR_SETNAME, name);
  request_.end();
  std::optional<SetShape> known;
  bool strange = false;
  std::vector<SetMember> out;
  const auto dumped = socket_.dump(request_.view(), [&](const nlmsghdr& part) {
    if (!known && !strange) {
      known = listedShape(part);  // only the first part has the header
      strange = !known;
      if (const auto head = listedHeader(part)) out.reserve(head->entries);
    }
    if (known) listedMembers(part, *known, out);
  });
  const std::string context = "list members of ipset " + name;
  if (!dumped) return Fail(translated(dumped.error(), context));
  if (strange) return fail(Errc::Invalid, context + ": it is of a type that we do not make");
  return out;
}

Result<void> KernelIpsetDriver::create(const SetSpec& spec) {
  if (const char* problem = setNameProblem(spec.name))
    return misnamed("create", spec.name, problem);
  if (spec.maxElements == 0) return misnamed("create", spec.name, "it must have room for a member");
  const auto made = library_.create(spec);
  if (made) return {};
  // libipset gives words only: look at what is there.
  const std::string context = "create ipset " + spec.name;
  const auto found = header(spec.name);
  if (found) return fail(Errc::Stale, context + ": it exists already", EEXIST);
  if (found.error().code != Errc::NotFound) return Fail(withContext(found.error(), context));
  request_.clear();
  request_.begin(IPSET_CMD_TYPE, NLM_F_ACK, socket_.sequences());
  request_.putString(IPSET_ATTR_TYPENAME, kernelTypeName(spec.type));
  request_.putU8(IPSET_ATTR_FAMILY, static_cast<std::uint8_t>(afOf(spec.family)));
  request_.end();
  const auto type = socket_.request(request_.view());
  if (!type)
    return Fail(translated(type.error(), context + " of type " + kernelTypeName(spec.type)));
  return Fail(withContext(made.error(), context));
}

Result<void> KernelIpsetDriver::swap(const SetName& a, const SetName& b) {
  for (const auto* name : {&a, &b}) {
    if (const char* problem = setNameProblem(*name)) return misnamed("swap", *name, problem);
  }
  const auto swapped = library_.swap(a, b);
  if (swapped) return {};
  const std::string context = "swap ipsets " + a + " and " + b;
  const auto first = header(a);
  if (!first) return Fail(withContext(first.error(), context));
  const auto second = header(b);
  if (!second) return Fail(withContext(second.error(), context));
  const auto shapeA = shape(a);
  const auto shapeB = shape(b);
  if (!shapeA || !shapeB || !(*shapeA == *shapeB)) {
    return fail(Errc::Invalid, context + ": they differ in type or family");
  }
  return Fail(withContext(swapped.error(), context));
}

Result<void> KernelIpsetDriver::destroy(const SetName& name) {
  if (const char* problem = setNameProblem(name)) return misnamed("destroy", name, problem);
  const auto destroyed = library_.destroy(name);
  if (destroyed) return {};
  const std::string context = "destroy ipset " + name;
  const auto left = header(name);
  if (!left && left.error().code == Errc::NotFound) return {};
  if (!left) return Fail(withContext(left.error(), context));
  if (left->references > 0) {
    return fail(Errc::Transient,
                context + ": " + std::to_string(left->references) + " rules or sets refer to it",
                EBUSY);
  }
  return Fail(withContext(destroyed.error(), context));
}

std::vector<Result<void>> KernelIpsetDriver::apply(const SetName& name,
                                                   std::span<const Change<SetMember>> changes) {
  std::vector<Result<void>> results(changes.size());
  if (changes.empty()) return results;
  const char* problem = setNameProblem(name);
  const Result<SetShape> known =
      problem != nullptr ? Result<SetShape>(misnamed("change", name, problem)) : shape(name);
  if (!known) {
    results.assign(changes.size(), Fail(withContext(known.error(), "change members")));
    return results;
  }
  std::vector<bool> skip(changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (const char* wrong = memberProblem(*known, changes[i].value)) {
      skip[i] = true;
      results[i] = fail(Errc::Invalid, changes[i].value.str() + " in ipset " + name + ": " + wrong);
    }
  }
  batch_.apply(socket_, name, changes, skip, [&](std::size_t index, int number) {
    results[index] =
        Fail(number == IpsetBatch::kAnswerLost
                 ? Error{Errc::Transient, ENOBUFS,
                         changeText(name, changes[index]) + ": the kernel's answer was lost"}
                 : ipsetError(number, changeText(name, changes[index])));
  });
  explainFull(name, changes, results);
  return results;
}

void KernelIpsetDriver::explainFull(const SetName& name, std::span<const Change<SetMember>> changes,
                                    std::vector<Result<void>>& results) {
  const auto full = [](const Result<void>& result) {
    return !result && isFull(result.error().sysErrno);
  };
  if (std::none_of(results.begin(), results.end(), full)) return;
  const auto now = header(name);
  if (!now) return;  // the plain words will do
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (full(results[i])) results[i] = Fail(fullError(*now, changes[i]));
  }
}

}  // namespace margay::dataplane
