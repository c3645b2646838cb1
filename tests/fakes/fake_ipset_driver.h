#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/drivers.h"
#include "dataplane/ipset_error.h"
#include "dataplane/ipset_library.h"
#include "dataplane/ipset_message.h"

namespace margay::testing {

/// Ipsets in memory, with the rules of the kernel's that callers can notice. The contract tests run
/// on it and on the kernel. A call is one call of the interface; an `apply` is one call.
class FakeIpsetDriver final : public dataplane::IpsetDriver {
 public:
  using SetName = dataplane::SetName;
  using SetMember = dataplane::SetMember;
  using SetSpec = dataplane::SetSpec;
  using SetHeader = dataplane::SetHeader;

  struct Set {
    SetSpec spec;
    std::set<SetMember> members;
    std::uint32_t references = 0;
    bool operator==(const Set&) const = default;
  };

  /// What the kernel would hold; tests tamper with it at will, also under names of others.
  std::map<SetName, Set> sets;
  /// Every change that was done, in order: "create mgy4-a", "add 10.0.0.1 to ipset mgy4-a", "swap a
  /// b".
  std::vector<std::string> log;
  /// Adding or removing these fails; the rest of the batch goes on.
  std::map<SetMember, Error> failingMembers;

  /// The n-th call from now on (1 is the next) fails with `error` and changes nothing.
  void failCall(std::size_t n, Error error = {Errc::Transient, EBUSY, "injected"}) {
    failAt_ = calls_ + n;
    failure_ = std::move(error);
  }
  [[nodiscard]] std::size_t calls() const { return calls_; }

  Result<std::map<SetName, SetHeader>> list() override {
    if (auto failed = failing()) return Fail(*failed);
    std::map<SetName, SetHeader> out;
    for (const auto& [name, set] : sets) {
      if (name.starts_with(dataplane::kSetPrefix)) out.emplace(name, header(set));
    }
    return out;
  }

  Result<std::vector<SetMember>> members(const SetName& name) override {
    if (auto failed = failing()) return Fail(*failed);
    if (auto wrong = misnamed(name)) return Fail(*wrong);
    const auto found = sets.find(name);
    if (found == sets.end()) return fail(Errc::NotFound, "list members of ipset " + name, ENOENT);
    return std::vector<SetMember>(found->second.members.begin(), found->second.members.end());
  }

  Result<void> create(const SetSpec& spec) override {
    if (auto failed = failing()) return Fail(*failed);
    if (auto wrong = misnamed(spec.name)) return Fail(*wrong);
    if (spec.maxElements == 0) return fail(Errc::Invalid, "create ipset " + spec.name);
    if (!sets.emplace(spec.name, Set{.spec = spec}).second) {
      return fail(Errc::Stale, "create ipset " + spec.name + ": it exists already", EEXIST);
    }
    log.push_back("create " + spec.name);
    return {};
  }

  Result<void> swap(const SetName& a, const SetName& b) override {
    if (auto failed = failing()) return Fail(*failed);
    for (const auto* name : {&a, &b}) {
      if (auto wrong = misnamed(*name)) return Fail(*wrong);
      if (!sets.contains(*name)) return fail(Errc::NotFound, "swap ipset " + *name, ENOENT);
    }
    auto& first = sets.at(a);
    auto& second = sets.at(b);
    if (!(shape(first) == shape(second)))
      return fail(Errc::Invalid, "swap ipsets " + a + " and " + b);
    std::swap(first, second);
    std::swap(first.spec.name, second.spec.name);
    std::swap(first.references, second.references);
    log.push_back("swap " + a + " " + b);
    return {};
  }

  Result<void> destroy(const SetName& name) override {
    if (auto failed = failing()) return Fail(*failed);
    if (auto wrong = misnamed(name)) return Fail(*wrong);
    const auto found = sets.find(name);
    if (found == sets.end()) return {};
    if (found->second.references > 0) return fail(Errc::Transient, "destroy ipset " + name, EBUSY);
    sets.erase(found);
    log.push_back("destroy " + name);
    return {};
  }

  std::vector<Result<void>> apply(const SetName& name,
                                  std::span<const Change<SetMember>> changes) override {
    if (auto failed = failing()) return {changes.size(), Fail(*failed)};
    if (auto wrong = misnamed(name)) return {changes.size(), Fail(*wrong)};
    const auto found = sets.find(name);
    if (found == sets.end()) {
      return {changes.size(), fail(Errc::NotFound, "change members of ipset " + name, ENOENT)};
    }
    std::vector<Result<void>> results;
    results.reserve(changes.size());
    for (const auto& change : changes) results.push_back(applyOne(found->second, change));
    return results;
  }

 private:
  static constexpr std::ptrdiff_t kInterfacesPerPrefix = 64;

  static dataplane::SetShape shape(const Set& set) { return {set.spec.type, set.spec.family}; }
  static SetHeader header(const Set& set) {
    return {set.spec, static_cast<std::uint32_t>(set.members.size()), set.references};
  }
  static std::optional<Error> misnamed(const SetName& name) {
    if (dataplane::setNameProblem(name) == nullptr) return std::nullopt;
    return Error{Errc::Invalid, 0, "ipset " + name + ": " + dataplane::setNameProblem(name)};
  }

  std::optional<Error> failing() {
    return ++calls_ == failAt_ ? std::optional<Error>(failure_) : std::nullopt;
  }

  Result<void> applyOne(Set& set, const Change<SetMember>& change) {
    const auto& member = change.value;
    if (const char* wrong = dataplane::memberProblem(shape(set), member)) {
      return fail(Errc::Invalid, member.str() + ": " + wrong);
    }
    if (const auto injected = failingMembers.find(member); injected != failingMembers.end()) {
      return Fail(injected->second);
    }
    if (change.op == Op::Remove) {
      set.members.erase(member);
    } else if (!set.members.contains(member)) {
      if (!hasRoom(set, member)) return Fail(dataplane::fullError(header(set), change));
      set.members.insert(member);
    }
    log.push_back(dataplane::changeText(set.spec.name, change));
    return {};
  }

  static bool hasRoom(const Set& set, const SetMember& member) {
    if (set.members.size() >= set.spec.maxElements) return false;
    if (set.spec.type != dataplane::SetType::HashNetIface) return true;
    const auto first = set.members.lower_bound(SetMember{.net = member.net});
    const auto past = std::find_if(first, set.members.end(),
                                   [&](const SetMember& other) { return other.net != member.net; });
    return std::distance(first, past) < kInterfacesPerPrefix;
  }

  std::size_t calls_ = 0;
  std::size_t failAt_ = 0;
  Error failure_;
};

}  // namespace margay::testing
