#pragma once

namespace CLI {
class App;
}

namespace margay::ctl {

/// Adds get, apply, create, replace and delete, with calicoctl's flags, on the datastore etcd.
/// `code` gets the exit code of the one that runs; both must outlive the parsing.
void addDatastoreCommands(CLI::App& app, int& code);

}  // namespace margay::ctl
