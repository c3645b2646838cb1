#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "dataplane/model/ipset.h"
#include "dataplane/netlink_batch.h"

struct nlattr;

/// Elements of nf_tables sets. HashNet is a set of intervals, whose ends are elements of their own;
/// all others are hashes of exact keys. No I/O.
namespace margay::dataplane {

/// The attributes NFTA_SET_FLAGS, _KEY_TYPE, _KEY_LEN and, of maps, _DATA_TYPE and _DATA_LEN.
struct NftSetLayout {
  std::uint32_t flags = 0;
  std::uint32_t keyType = 0;
  std::uint32_t keyLength = 0;
  std::uint32_t dataType = 0;  ///< 0: no map
  std::uint32_t dataLength = 0;
  bool operator==(const NftSetLayout&) const = default;
};
[[nodiscard]] NftSetLayout nftLayout(SetType type, Family family);

/// Why no set of this kind can hold the member; nullptr if it can.
[[nodiscard]] const char* nftMemberProblem(const SetSpec& spec, const SetMember& member);

/// Writes the member as one or two list elements. No more than kMaxElementBytes. With
/// `Form::Key` a map's data is left out, as for a removal.
enum class NftElementForm : bool { Key, Whole };
void putNftElement(NetlinkBatch& out, const SetSpec& spec, const SetMember& member,
                   NftElementForm form);
inline constexpr std::size_t kMaxNftElementBytes = 160;

/// Takes the parts of a listing and gives the members. Intervals that are no prefix, which only
/// somebody else can have made, come as the prefix of their first address with `target` "-LAST";
/// such a member can be removed.
class NftElementReader {
 public:
  explicit NftElementReader(SetSpec spec) : spec_(std::move(spec)) {}
  /// One list element.
  void take(const nlattr& element);
  [[nodiscard]] std::vector<SetMember> finish();

 private:
  struct Edge {
    Address at;
    bool isEnd = false;
  };
  SetSpec spec_;
  std::vector<SetMember> members_;
  std::vector<Edge> edges_;
};

}  // namespace margay::dataplane
