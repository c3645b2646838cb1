#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/change.h"
#include "base/result.h"
#include "dataplane/drivers.h"
#include "dataplane/ipset_batch.h"
#include "dataplane/ipset_library.h"
#include "dataplane/ipset_message.h"
#include "dataplane/model/ipset.h"
#include "dataplane/nfnetlink_socket.h"

namespace margay::dataplane {

/// IpsetDriver on the kernel, in the network namespace of the thread that opens it. Sets are made,
/// swapped and destroyed by libipset; headers and members go over nfnetlink directly, because
/// libipset's listing parses the sets of all owners and fails on a type or revision that it does
/// not know, and its writing of members is eight times slower. One thread; no two of them on
/// different threads of a process.
///
/// What a caller may rely on beyond IpsetDriver:
///   create   `Errc::Stale` if the name is taken, `Errc::Unsupported` if the kernel lacks the type.
///   swap     `Errc::NotFound` if one is missing, `Errc::Invalid` if types or families differ.
///   destroy  `Errc::Transient` while a rule refers to the set; a set that is gone is success.
///   members  `Errc::NotFound`; `Errc::Interrupted` if the dump was torn; `Errc::Invalid` if the
///   set is
///            of a type that we do not make.
///   apply    `Errc::NotFound` for every change if there is no such set; `Errc::Invalid` for a
///   member
///            that the set cannot hold or that finds it full.
/// Names without kSetPrefix are `Errc::Invalid` everywhere.
///
/// Cost: `list` is one system call pair a set of ours, and in the kernel a walk over the hash table
/// of each (it counts the elements anew); sets of others cost their name. `members` and `apply` are
/// linear.
class KernelIpsetDriver final : public IpsetDriver {
 public:
  /// `Errc::Unsupported` if the kernel has no nfnetlink. `probeIpset` says more.
  static Result<std::unique_ptr<KernelIpsetDriver>> open();

  struct Names {
    std::vector<SetName> ours;
    bool others = false;  ///< there are sets of others
  };
  /// For these the kernel counts no elements.
  Result<Names> names();
  Result<std::map<SetName, SetHeader>> list() override;
  Result<std::vector<SetMember>> members(const SetName& name) override;
  Result<void> create(const SetSpec& spec) override;
  Result<void> swap(const SetName& a, const SetName& b) override;
  Result<void> destroy(const SetName& name) override;
  std::vector<Result<void>> apply(const SetName& name,
                                  std::span<const Change<SetMember>> changes) override;

 private:
  explicit KernelIpsetDriver(NfnetlinkSocket socket);
  Result<std::map<SetName, SetHeader>> headersOfAll();
  Result<SetHeader> header(const SetName& name);
  Result<SetShape> shape(const SetName& name);
  void explainFull(const SetName& name, std::span<const Change<SetMember>> changes,
                   std::vector<Result<void>>& results);

  NfnetlinkSocket socket_;
  IpsetMessages request_;
  IpsetBatch batch_;
  IpsetLibrary library_;
  bool others_ = false;  // sets of others were there at the last list
};

}  // namespace margay::dataplane
