// A model as the command line names it: a file, a folder, or a package (a folder with
// model-package.json, or that file), which may declare a draft.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/drafter.hpp"
#include "common/window.hpp"
#include "kedge/io/package.hpp"
#include "kedge/spec/plan.hpp"

namespace kedge::tools {

struct PackageOptions {
  std::string strategy, draft_backend, draft_cache, hub_cache;
  std::vector<std::string> model_dirs;
  std::int64_t draft_threads = 0;
  bool no_draft = false, verify = false;

  void add(CLI::App& app);
};

struct NamedModel {
  std::string path;                    // of the model itself
  std::optional<io::Package> package;  // when it is one
};

// The manifest's path when `path` is a package; empty otherwise.
std::string manifest_path(const std::string& path);
// Reads the manifest and looks whether the files have the sizes that it says; `verify`: their
// SHA-256 as well, which reads them whole.
NamedModel open_model(const std::string& path, bool verify);

// What --draft and --window would say: the package's draft where they are silent. A draft that
// cannot be had is a warning on stderr and no draft.
struct DraftPlan {
  std::string draft, window, from, warning;
};
DraftPlan plan_draft(const NamedModel& model, const PackageOptions& options,
                     const std::string& draft, const std::string& window);

// "owner/repo:QUANT" in the model folders, then in the hub's local cache. Never the network.
Result<std::string> find_locally(const PackageOptions& options,
                                 const io::DraftReference& reference);

}  // namespace kedge::tools
