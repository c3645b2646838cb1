#pragma once

#include "tests/kubernetes/api_server.h"

namespace margay::testing {

/// The server that the tests of a program share, started for the first that asks and ended after
/// the last; null where none was built. It runs and answers, whatever the test before did to it.
/// What earlier tests left on it is the caller's to remove.
ApiServer* sharedApiServer();

/// Removes the objects that agents follow, of every namespace; those of the Calico kinds where they
/// are defined. Definitions, rights and namespaces stay.
void wipeObjects(ApiServer& server);

}  // namespace margay::testing
