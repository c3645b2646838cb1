#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/store/mailbox.h"

namespace margay::api {

/// How it is with one kind.
struct KindState {
  bool listed = false;     ///< once at least, or the server has no such kind
  bool connected = false;  ///< followed now, or there is nothing to follow
  std::string error;       ///< why not; one line
  bool mustAct = false;    ///< the error does not mend itself
  std::uint64_t lists = 0;
  std::vector<InvalidObject> invalid;
  std::vector<std::string> warnings;
  bool operator==(const KindState&) const = default;
};

/// Puts together what the threads of the kinds know into the state of one source. Any thread.
class SourceBoard {
 public:
  SourceBoard(std::string source, std::size_t kinds, Mailbox& mailbox)
      : source_(std::move(source)), mailbox_(mailbox), kinds_(kinds) {}

  /// The new state of a kind and its updates, in one step. Nothing new is not posted.
  void post(std::size_t kind, const KindState& state, std::vector<Update> updates);
  /// `barrier` is posted as soon as every kind has listed for it.
  void ask(std::uint64_t barrier);
  void answered(std::size_t kind, const std::vector<std::uint64_t>& barriers);

 private:
  [[nodiscard]] SourceState combined() const;
  void tell(const SourceState& before, const SourceState& now);

  const std::string source_;
  Mailbox& mailbox_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<KindState> kinds_;
  std::map<Kind, std::uint64_t> events_;
  SourceState published_;
  bool everPublished_ = false;
  bool everSynced_ = false;
  std::set<std::string> told_;                              // errors that somebody must act on
  std::map<std::uint64_t, std::set<std::size_t>> waiting_;  // barrier -> kinds that have listed
};

}  // namespace margay::api
