#pragma once

#include <functional>
#include <memory>

#include "api/store/mailbox.h"
#include "base/result.h"
#include "cmd/agent/settings.h"
#include "controllers/node/node_controller.h"

namespace margay::agent {

/// Makes the source, once, for the mailbox that it will post to.
using SourceMaker = std::function<std::unique_ptr<api::Source>(api::Mailbox&)>;

/// The source that DATASTORE_TYPE names: "file", "etcdv3" or "kubernetes". `Errc::Invalid` with one
/// line where its settings or certificates cannot be used; whether it answers shows only when it is
/// started.
Result<SourceMaker> sourceMaker(const Settings& settings, const controllers::NodeOptions& options);

}  // namespace margay::agent
