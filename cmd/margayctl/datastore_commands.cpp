#include "cmd/margayctl/datastore_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/codec/document_reader.h"
#include "api/etcd/stored_object.h"
#include "cmd/margayctl/commands.h"
#include "cmd/margayctl/datastore_tables.h"
#include "cmd/margayctl/get_format.h"
#include "cmd/margayctl/object_output.h"
#include "cmd/margayctl/value_store.h"

namespace margay::ctl {
namespace {

namespace fs = std::filesystem;
using api::ObjectStore;
using api::StoredKind;
using Json = nlohmann::json;

struct Arguments {
  std::string kind;
  std::vector<std::string> names;
  std::string file;
  std::string ns;  // empty: none was given
  GetFormat format;
  std::string config = kDefaultConfigFile;
  std::string context;
  bool recursive = false;
  bool skipEmpty = false;
  bool allNamespaces = false;
  bool exportForm = false;
  bool skipExists = false;
  bool skipNotExists = false;
};

std::string namespaceOf(const Arguments& arguments) {
  return arguments.ns.empty() ? "default" : arguments.ns;
}

/// An object that is asked for.
struct Named {
  std::string ns;
  std::string name;
};

Result<std::unique_ptr<ObjectStore>> openObjects(const Arguments& arguments) {
  const auto variables = datastoreVariables(arguments.config, arguments.context);
  if (!variables) return Fail(variables.error());
  return openObjectStore(*variables);
}

enum class Verb { Create, Apply, Replace, Delete };

/// What was done before the first failure is said with the failure.
struct Tally {
  std::size_t done = 0;
  std::size_t wanted = 0;
  std::string kindName;  // of all objects; empty if they differ
  std::vector<std::string> failures;
};

Result<std::vector<Json>> documentsIn(const std::string& text, const std::string& file) {
  std::vector<Json> out;
  const auto problem = api::readDocuments(text, {}, [&](const api::DocumentPlace&, Json& document) {
    out.push_back(std::move(document));
  });
  if (problem) return fail(Errc::Invalid, file + ": " + problem->str());
  return out;
}

/// Sorted, if `path` is a directory.
std::vector<std::string> filesOf(const std::string& path, bool recursive) {
  std::vector<std::string> out;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {path};
  for (auto entry = fs::recursive_directory_iterator(path, ignored);
       entry != fs::recursive_directory_iterator(); entry.increment(ignored)) {
    if (entry->is_directory(ignored) && !recursive) entry.disable_recursion_pending();
    const auto extension = entry->path().extension();
    if (extension == ".yaml" || extension == ".yml" || extension == ".json")
      out.push_back(entry->path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::vector<Json>> readObjects(const Arguments& arguments) {
  std::vector<Json> out;
  for (const auto& path : filesOf(arguments.file, arguments.recursive)) {
    std::string text;
    if (path == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      std::ifstream in(path);
      if (!in) return fail(Errc::NotFound, "cannot read " + path + ": does it exist?");
      text.assign(std::istreambuf_iterator<char>(in), {});
    }
    auto documents = documentsIn(text, path);
    if (!documents) return Fail(documents.error());
    std::move(documents->begin(), documents->end(), std::back_inserter(out));
  }
  if (out.empty() && !arguments.skipEmpty)
    return fail(Errc::Invalid, arguments.file + " has no objects in it");
  return out;
}

std::string textAt(const Json& object, const char* field) {
  if (!object.is_object() || !object.contains(field) || !object[field].is_string()) return {};
  return object[field].get<std::string>();
}

/// The namespace of -n for objects that say none.
void giveNamespace(Json& document, const std::string& ns) {
  const auto* kind = api::storedKindNamed(textAt(document, "kind"));
  if (kind == nullptr || !kind->namespaced || !document.contains("metadata")) return;
  Json& metadata = document["metadata"];
  if (metadata.is_object() && textAt(metadata, "namespace").empty()) metadata["namespace"] = ns;
}

Result<void> removeObject(const ObjectStore& objects, const Json& document) {
  const auto* kind = api::storedKindNamed(textAt(document, "kind"));
  if (kind == nullptr || !document.contains("metadata"))
    return fail(Errc::Invalid, "an object without a known kind and metadata");
  const auto& metadata = document["metadata"];
  return objects.remove(*kind, textAt(metadata, "namespace"), textAt(metadata, "name"));
}

Result<void> perform(const ObjectStore& objects, Verb verb, const Json& document) {
  const auto outcome = [](const Result<Json>& result) -> Result<void> {
    if (!result) return Fail(result.error());
    return {};
  };
  switch (verb) {
    case Verb::Create:
      return outcome(objects.create(document));
    case Verb::Apply:
      return outcome(objects.apply(document));
    case Verb::Replace:
      return outcome(objects.replace(document));
    case Verb::Delete:
      return removeObject(objects, document);
  }
  return {};
}

bool skipped(const Arguments& arguments, Verb verb, const Error& error) {
  if (verb == Verb::Create && arguments.skipExists)
    return error.code == Errc::Stale && error.what.find("already exists") != std::string::npos;
  return verb == Verb::Delete && arguments.skipNotExists && error.code == Errc::NotFound;
}

int report(Verb verb, const Tally& tally) {
  const std::map<Verb, std::pair<std::string, std::string>> words = {
      {Verb::Create, {"created", "create"}},
      {Verb::Apply, {"applied", "apply"}},
      {Verb::Replace, {"replaced", "replace"}},
      {Verb::Delete, {"deleted", "delete"}}};
  const auto& [past, infinitive] = words.at(verb);
  const std::string kind = tally.kindName.empty() ? "" : "'" + tally.kindName + "' ";
  if (tally.done > 0 && tally.failures.empty())
    std::cout << "Successfully " << past << ' ' << tally.done << ' ' << kind << "resource(s)\n";
  else if (tally.done > 0)
    std::cout << "Partial success: " << past << ' ' << tally.done << " out of " << tally.wanted
              << ' ' << kind << "resources\n";
  else if (tally.failures.empty())
    std::cout << "No resources " << past << '\n';
  for (const auto& failure : tally.failures) failed("cannot " + infinitive + ": " + failure);
  return tally.failures.empty() ? kDone : kFailed;
}

int runOnObjects(const Arguments& arguments, Verb verb, std::vector<Json> documents) {
  const auto objects = openObjects(arguments);
  if (!objects) return failed(objects.error().what);
  Tally tally;
  tally.wanted = documents.size();
  if (!documents.empty()) tally.kindName = textAt(documents.front(), "kind");
  for (auto& document : documents) {
    if (textAt(document, "kind") != tally.kindName) tally.kindName.clear();
    giveNamespace(document, namespaceOf(arguments));
    const auto done = perform(**objects, verb, document);
    if (done || skipped(arguments, verb, done.error()))
      ++tally.done;
    else
      tally.failures.push_back(done.error().what);
  }
  return report(verb, tally);
}

int runOnFile(const Arguments& arguments, Verb verb) {
  auto documents = readObjects(arguments);
  if (!documents) return failed(documents.error().what);
  return runOnObjects(arguments, verb, std::move(*documents));
}

int unknownKind(const std::string& verb, const std::string& word) {
  if (word.empty()) return wrongUsage(verb + ": give a kind, or -f FILE");
  std::cerr << "margayctl: '" << word << "' is no kind: use one of";
  const char* before = " ";
  for (const auto& kind : api::storedKinds()) {
    std::cerr << before << kind.kindName;
    before = ", ";
  }
  std::cerr << '\n';
  return kUsage;
}

int runDelete(const Arguments& arguments) {
  if (!arguments.file.empty()) return runOnFile(arguments, Verb::Delete);
  const auto* kind = kindOfWord(arguments.kind);
  if (kind == nullptr) return unknownKind("delete", arguments.kind);
  if (arguments.names.empty())
    return wrongUsage("say which: margayctl delete " + arguments.kind + " NAME");
  std::vector<Json> documents;
  for (const auto& name : arguments.names)
    documents.push_back({{"kind", kind->kindName}, {"metadata", {{"name", name}}}});
  return runOnObjects(arguments, Verb::Delete, std::move(documents));
}

/// Those of `which`, or all.
Result<std::vector<Json>> wanted(const ObjectStore& objects, const StoredKind& kind,
                                 const Arguments& arguments, const std::vector<Named>& which) {
  if (which.empty())
    return arguments.allNamespaces ? objects.list(kind, std::nullopt)
                                   : objects.list(kind, namespaceOf(arguments));
  std::vector<Json> out;
  for (const auto& [ns, name] : which) {
    auto found = objects.get(kind, ns, name);
    if (!found) return Fail(found.error());
    out.push_back(std::move(*found));
  }
  return out;
}

/// What the cluster has for nodes that have none of their own.
std::string asNumberOf(const ObjectStore& objects) {
  const auto found = objects.get(*api::storedKindNamed("BGPConfiguration"), "", "default");
  if (!found || !found->contains(Json::json_pointer("/spec/asNumber"))) return "64512";
  const auto& number = (*found)["spec"]["asNumber"];
  return number.is_string() ? number.get<std::string>() : number.dump();
}

int printTableOf(const ObjectStore& objects, const StoredKind& kind, const std::vector<Json>& found,
                 std::vector<std::string> titles) {
  TableOf table{.kind = kind, .titles = std::move(titles)};
  const bool numbers =
      std::find(table.titles.begin(), table.titles.end(), "ASN") != table.titles.end();
  if (numbers && kind.kindName == "Node") table.asNumber = asNumberOf(objects);
  printTable(objectTable(table, found));
  return kDone;
}

int getThem(const Arguments& arguments, const std::string& word, const std::vector<Named>& which) {
  const auto* kind = kindOfWord(word);
  if (kind == nullptr) return unknownKind("get", word);
  if (arguments.allNamespaces && kind->namespaced && !which.empty())
    return wrongUsage("get: --all-namespaces is for lists; for one object give its --namespace");
  auto titles =
      tableTitles(*kind, arguments.format, arguments.allNamespaces || !arguments.ns.empty());
  if (!titles) return wrongUsage("get: --output: " + titles.error().what);
  const auto objects = openObjects(arguments);
  if (!objects) return failed(objects.error().what);
  auto found = wanted(**objects, *kind, arguments, which);
  if (!found) return failed(found.error().what);
  if (arguments.format.isTable()) return printTableOf(**objects, *kind, *found, std::move(*titles));
  const bool alone = which.size() == 1;
  const bool bare = arguments.exportForm && !which.empty();
  printObjects({.kind = *kind, .form = arguments.format.form, .alone = alone, .bare = bare},
               std::move(*found));
  return kDone;
}

int runGet(const Arguments& arguments) {
  std::vector<Named> which;
  if (arguments.file.empty()) {
    for (const auto& name : arguments.names) which.push_back({namespaceOf(arguments), name});
    return getThem(arguments, arguments.kind, which);
  }
  auto documents = readObjects(arguments);
  if (!documents) return failed(documents.error().what);
  if (documents->empty()) return kDone;
  const auto kind = textAt(documents->front(), "kind");
  for (auto& document : *documents) {
    if (textAt(document, "kind") != kind)
      return failed(arguments.file + " has objects of several kinds: get them kind by kind");
    giveNamespace(document, namespaceOf(arguments));
    const auto metadata = document.value("metadata", Json::object());
    which.push_back({textAt(metadata, "namespace"), textAt(metadata, "name")});
  }
  return getThem(arguments, kind, which);
}

CLI::Option* fileOption(CLI::App* command, Arguments& arguments) {
  command->add_option("-n,--namespace", arguments.ns, "of objects that say none (default)");
  command->add_flag("-R,--recursive", arguments.recursive, "a directory's directories, too");
  command->add_flag("--skip-empty", arguments.skipEmpty, "files without objects are no failure");
  command->add_option("-c,--config", arguments.config,
                      "CalicoAPIConfig that says where the datastore is (" +
                          std::string(kDefaultConfigFile) + ", and without it the environment)");
  command->add_option("--context", arguments.context, "of the kubeconfig");
  // calicoctl's programs pass it; there is nothing to compare with.
  command->add_flag("--allow-version-mismatch")->group("");
  return command->add_option("-f,--filename", arguments.file,
                             "file, directory, or - for standard input");
}

}  // namespace

void addDatastoreCommands(CLI::App& app, int& code) {
  const auto arguments = std::make_shared<Arguments>();
  auto* get = app.add_subcommand("get", "Objects in the datastore");
  get->add_option("kind", arguments->kind, "such as networkpolicy, node or np");
  get->add_option("names", arguments->names);
  fileOption(get, *arguments);
  get->add_flag("-A,-a,--all-namespaces", arguments->allNamespaces);
  get->add_flag("--export", arguments->exportForm, "without what belongs to this cluster only");
  get->add_option_function<std::string>(
         "-o,--output",
         [arguments](const std::string& text) {
           auto format = parseGetFormat(text);
           if (!format) throw CLI::ValidationError("--output", format.error().what);
           arguments->format = std::move(*format);
         },
         "ps (the default), wide, custom-columns=NAME,..., yaml, json or name")
      ->type_name("FORMAT");
  get->callback([arguments, &code] { code = runGet(*arguments); });

  const auto onFile = [&](const char* name, const char* help, Verb verb) {
    auto* command = app.add_subcommand(name, help);
    fileOption(command, *arguments)->required();
    command->callback([arguments, &code, verb] { code = runOnFile(*arguments, verb); });
    return command;
  };
  onFile("apply", "Creates objects in the datastore, or takes the place of those that are there",
         Verb::Apply);
  onFile("replace", "Takes the place of objects in the datastore", Verb::Replace);
  onFile("create", "Creates objects in the datastore", Verb::Create)
      ->add_flag("--skip-exists", arguments->skipExists, "what exists is no failure");

  auto* remove = app.add_subcommand("delete", "Deletes objects in the datastore");
  remove->add_option("kind", arguments->kind, "such as networkpolicy, node or np");
  remove->add_option("names", arguments->names);
  fileOption(remove, *arguments);
  remove->add_flag("-s,--skip-not-exists", arguments->skipNotExists, "what is gone is no failure");
  remove->callback([arguments, &code] { code = runDelete(*arguments); });
}

}  // namespace margay::ctl
