#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/codec/kubernetes_pools.h"
#include "api/etcd/answer_reader.h"
#include "api/etcd/stored_object.h"
#include "api/model/object.h"
#include "base/shared_string.h"

namespace margay::api {

/// Which objects etcd has at which revision, and what each change of them means for the store. The
/// values themselves are not kept, only the texts of their names, which they share: about 80 bytes
/// an object. One thread.
class ObjectTable {
 public:
  /// Endpoints of other nodes than `node` come without what only their own node needs of them
  /// (interface, MAC, source prefixes). With no node all are whole.
  explicit ObjectTable(std::string node = {}) : node_(std::move(node)) {}
  /// What the change says for the store; older news than what is known says nothing.
  void apply(const EtcdEvent& event, std::vector<Update>& updates);
  /// What is known may be of other data: the next list counts even where revisions are equal.
  void distrust();
  /// A list begins: objects that it does not have when it ends are gone. What it says counts, even
  /// where it is older than what is known (a backup was restored).
  void beginList() { ++list_; }
  void listed(const EtcdKeyValue& kv, std::vector<Update>& updates);
  void endList(std::vector<Update>& updates);

  [[nodiscard]] std::vector<InvalidObject> invalid() const;  ///< sorted
  [[nodiscard]] std::vector<std::string> warnings() const;
  /// Changes whenever `invalid` or `warnings` may have.
  [[nodiscard]] std::uint64_t notesVersion() const { return notesVersion_; }
  [[nodiscard]] std::size_t size() const { return objects_.size(); }

 private:
  /// As in the stored key.
  struct Place {
    const StoredKind* kind = nullptr;
    SharedString ns;
    SharedString name;
    auto operator<=>(const Place&) const = default;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const noexcept {
      const std::hash<SharedString> hash;
      return hash(place.name) * 31 + hash(place.ns) * 7 +
             static_cast<std::size_t>(place.kind->kind);
    }
  };
  struct Known {
    std::int64_t revision = 0;
    std::uint32_t list = 0;  // the last that had it
    bool inStore = false;
    bool noted = false;
  };
  struct Notes {
    std::vector<InvalidObject> invalid;
    std::vector<std::string> warnings;
  };

  using Objects = std::unordered_map<Place, Known, PlaceHash>;

  /// Null pointer where the key is of nothing that counts here.
  Objects::value_type* entryOf(const EtcdKeyValue& kv);
  void put(const EtcdKeyValue& kv, Objects::value_type& entry, std::vector<Update>& updates);
  void remove(const Objects::value_type& entry, std::vector<Update>& updates);
  void note(const Place& place, Known& known, const Decoded& decoded);

  const std::string node_;
  Objects objects_;
  std::map<Place, Notes> notes_;
  EndpointPools pools_;
  std::uint64_t notesVersion_ = 0;
  std::uint32_t list_ = 0;
};

}  // namespace margay::api
