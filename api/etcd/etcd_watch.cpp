#include "api/etcd/etcd_watch.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace margay::api {
namespace {

class GatewayWatch final : public EtcdWatch {
 public:
  GatewayWatch(std::unique_ptr<HttpBody> body, const EtcdPosition& start, std::string endpoint,
               std::function<Error(const EtcdAnswer&)> errorOf)
      : body_(std::move(body)),
        revision_(start.revision),
        heardOf_(start.revision),
        clusterId_(start.clusterId),
        endpoint_(std::move(endpoint)),
        errorOf_(std::move(errorOf)),
        reader_([this](EtcdEvent& event) { take(event); },
                [this](EtcdAnswer& answer) { take(answer); }) {}

  Result<Heard> next(const AnswerReader::OnEvent& onEvent, std::chrono::milliseconds timeout,
                     const std::stop_token& stop) override {
    const auto read = body_->read(piece_, timeout, stop);
    if (!read) return Fail(withContext(read.error(), endpoint_));
    if (*read == HttpBody::Read::Idle) return Heard::Nothing;
    if (*read == HttpBody::Read::End)
      return fail(Errc::Transient, endpoint_ + ": the watch was ended");
    onEvent_ = &onEvent;
    auto fed = reader_.feed(piece_);
    onEvent_ = nullptr;
    if (!fed) return Fail(withContext(fed.error(), endpoint_));
    if (error_) return Fail(withContext(*error_, endpoint_));
    return Heard::Something;
  }
  [[nodiscard]] std::int64_t revision() const override { return revision_; }
  [[nodiscard]] std::int64_t heardOf() const override { return heardOf_; }
  [[nodiscard]] bool otherHistory() const override { return otherHistory_; }

 private:
  void take(EtcdEvent& event) {
    if (error_) return;  // of another history, in the answer that says so
    newest_ = std::max(newest_, event.kv.modRevision);
    sawEvents_ = true;
    (*onEvent_)(event);
  }

  void take(EtcdAnswer& answer) {
    heardOf_ = std::max(heardOf_, answer.revision);
    if (answer.compactRevision != 0) {
      error_ = Error{Errc::Stale, 0, "the watch begins before the last compaction"};
    } else if (answer.canceled || answer.grpcCode != 0 || !answer.error.empty()) {
      if (answer.error.empty()) answer.error = answer.reason;
      error_ = errorOf_(answer);
    } else if (answer.created && answer.clusterId != clusterId_) {
      otherHistory_ = true;
      error_ = Error{Errc::Stale, 0, "another cluster answers"};
    } else if (answer.created && answer.revision < revision_) {
      otherHistory_ = true;
      error_ = Error{Errc::Stale, 0, "the data is older than what was read: it was restored"};
    } else if (!answer.created && !sawEvents_) {
      revision_ = std::max(revision_, answer.revision);  // a note of progress
    }
    revision_ = std::max(revision_, newest_);
    sawEvents_ = false;
  }

  std::unique_ptr<HttpBody> body_;
  std::int64_t revision_;
  std::int64_t heardOf_;
  std::int64_t newest_ = 0;
  bool sawEvents_ = false;
  const std::uint64_t clusterId_;
  bool otherHistory_ = false;
  const std::string endpoint_;
  const std::function<Error(const EtcdAnswer&)> errorOf_;
  const AnswerReader::OnEvent* onEvent_ = nullptr;
  std::optional<Error> error_;
  std::string piece_;
  AnswerReader reader_;
};

}  // namespace

std::unique_ptr<EtcdWatch> makeEtcdWatch(std::unique_ptr<HttpBody> body, const EtcdPosition& start,
                                         std::string endpoint,
                                         std::function<Error(const EtcdAnswer&)> errorOf) {
  return std::make_unique<GatewayWatch>(std::move(body), start, std::move(endpoint),
                                        std::move(errorOf));
}

}  // namespace margay::api
