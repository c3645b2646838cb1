#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/codec/kubernetes_pools.h"
#include "api/etcd/answer_reader.h"
#include "api/etcd/stored_object.h"
#include "api/model/object.h"

namespace margay::api {

/// Which objects etcd has at which revision, and what each change of them means for the store. The
/// values themselves are not kept. One thread.
class ObjectTable {
 public:
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

  Known* place(const EtcdKeyValue& kv);
  void put(const EtcdKeyValue& kv, Known& known, std::vector<Update>& updates);
  void remove(const std::string& shortKey, const Known& known, std::vector<Update>& updates);
  void note(const std::string& shortKey, Known& known, const Decoded& decoded);

  std::unordered_map<std::string, Known> objects_;  // by the key behind kResourcePrefix
  std::map<std::string, Notes> notes_;              // by the same
  EndpointPools pools_;
  std::uint64_t notesVersion_ = 0;
  std::uint32_t list_ = 0;
};

}  // namespace margay::api
