#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/codec/decoded.h"
#include "api/model/object.h"
#include "base/shared.h"

namespace margay::api {

/// An object as the server has it.
struct ServerObject {
  std::string_view ns;
  std::string_view name;
  std::string_view version;  ///< metadata.resourceVersion
};

/// Which objects of one kind the server has, and what each change of them means for the store. A
/// change that changes no value says nothing. Of several objects that have one key, as Calico's
/// policies "a" and "default.a" have, the one with the longest name on the server counts, which is
/// how Calico writes it, and the others are invalid, in whichever order they came. A pod costs some
/// 38 bytes besides its value. One thread.
class KnownObjects {
 public:
  /// A list begins: objects that it does not have when it ends are gone.
  void beginList() { ++list_; }
  /// The list has this object; true if it is known at this version, so that it need not be decoded.
  [[nodiscard]] bool listedBefore(const ServerObject& object);
  void put(const ServerObject& object, Decoded decoded, std::vector<Update>& updates);
  void remove(std::string_view ns, std::string_view name, std::vector<Update>& updates);
  void endList(std::vector<Update>& updates);

  [[nodiscard]] std::vector<InvalidObject> invalid() const;
  [[nodiscard]] std::vector<std::string> warnings() const;
  /// Changes whenever `invalid` or `warnings` may have.
  [[nodiscard]] std::uint64_t notesVersion() const { return notesVersion_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Pod = Shared<WorkloadEndpoint>;  // its name says what it is called on the server
  struct Other {
    std::string ns;
    std::string name;
    ObjectKey key;
    Value value;
  };
  struct Entry {
    std::variant<Pod, std::unique_ptr<Other>> object;
    std::uint64_t version = 0;
    std::uint32_t hash = 0;
    std::uint32_t list = 0;  // the last that had it
  };
  using ServerName = std::pair<std::string, std::string>;  // namespace and name
  struct LongestFirst {
    bool operator()(const ServerName& a, const ServerName& b) const {
      return a.second.size() != b.second.size() ? a.second.size() > b.second.size() : a < b;
    }
  };
  using Claims = std::set<ServerName, LongestFirst>;
  struct Notes {
    std::uint32_t list = 0;
    std::vector<InvalidObject> invalid;
    std::vector<std::string> warnings;
  };
  static constexpr std::uint32_t kFree = UINT32_MAX;
  static constexpr std::size_t kNone = SIZE_MAX;

  [[nodiscard]] static bool is(const Entry& entry, std::string_view ns, std::string_view name);
  [[nodiscard]] static ObjectKey keyOf(const Entry& entry);
  [[nodiscard]] static Value valueOf(const Entry& entry);
  [[nodiscard]] std::size_t home(std::uint32_t hash) const;
  [[nodiscard]] std::size_t next(std::size_t at) const;
  [[nodiscard]] std::size_t slotHolding(std::uint32_t index) const;
  [[nodiscard]] std::size_t slotOf(std::uint32_t hash, std::string_view ns,
                                   std::string_view name) const;
  [[nodiscard]] Entry* find(std::string_view ns, std::string_view name);
  void insert(Entry entry);
  void place(std::uint32_t index);
  void erase(std::size_t slot);
  [[nodiscard]] bool claim(const ObjectKey& key, const ServerObject& object);
  void release(const Entry& entry, std::vector<Update>& updates);
  void drop(std::string_view ns, std::string_view name, std::vector<Update>& updates);
  void note(const ServerObject& object, const Decoded& decoded);

  std::deque<Entry> entries_;
  std::vector<std::uint32_t> slots_;    // into entries_; open addressing, linear
  std::map<ObjectKey, Claims> claims_;  // of objects that are no pods
  std::map<std::string, Notes> notes_;  // by "namespace/name"
  std::uint64_t notesVersion_ = 0;
  std::uint32_t list_ = 0;
};

}  // namespace margay::api
