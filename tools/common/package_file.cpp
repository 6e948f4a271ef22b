#include "common/package_file.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "common/failure.hpp"
#include "common/tokens.hpp"
#include "kedge/io/source.hpp"

namespace kedge::tools {

namespace {

namespace fs = std::filesystem;
constexpr const char* manifest_name = "model-package.json";

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

// GGUF files of the quantization below a folder, not the later shards of one model; sorted, so that
// the same folder always gives the same file.
std::vector<fs::path> gguf_files(const fs::path& folder, const std::string& quantization) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = lower(it->path().filename().string());
    if (it.depth() > 3 || !name.ends_with(".gguf")) continue;
    const std::size_t shard = name.find("-of-");
    if (shard != name.npos && name.find("-00001-of-") == name.npos) continue;
    if (name.find(lower(quantization)) != name.npos) found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Where the hub's own tools keep what they have fetched.
std::string hub_folder(const PackageOptions& options) {
  if (!options.hub_cache.empty()) return options.hub_cache;
  if (const char* cache = std::getenv("HF_HUB_CACHE")) return cache;
  if (const char* home = std::getenv("HF_HOME")) return std::string(home) + "/hub";
  if (const char* home = std::getenv("HOME")) return std::string(home) + "/.cache/huggingface/hub";
  return {};
}

std::string window_text(const io::WindowPolicy& policy) {
  const io::WindowPolicy::Bounds b = policy.bounds();
  switch (policy.kind) {
    case io::WindowPolicy::Kind::best:
      return "best";
    case io::WindowPolicy::Kind::fixed:
      return fmt::format("fixed:{}", b.fixed);
    case io::WindowPolicy::Kind::adaptive:
      break;
  }
  return fmt::format("adaptive:initial={},min={},max={}", b.initial, b.min, b.max);
}

}  // namespace

void PackageOptions::add(CLI::App& app) {
  app.add_option("--package-strategy", strategy, "Strategy of the package; its default otherwise");
  app.add_flag("--no-draft", no_draft, "Plain decoding, whatever the package declares");
  app.add_option("--model-dir", model_dirs, "Folder to look for draft models in; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--hub-cache", hub_cache,
                 "Local cache of a model hub (models--owner--repo); HF_HUB_CACHE otherwise");
  app.add_option("--draft-backend", draft_backend, "Of a declared draft model: cpu");
  app.add_option("--draft-threads", draft_threads, "Of a declared draft model; 0: the target's")
      ->check(CLI::Range(0, 1024));
  app.add_option("--draft-cache", draft_cache, "Of a declared draft model: f32, f16, bf16 or q8_0");
  app.add_flag("--verify-hashes", verify, "Compare the package's files with their SHA-256");
}

std::string manifest_path(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const fs::path inside = fs::path(path) / manifest_name;
    return fs::is_regular_file(inside, error) ? inside.string() : "";
  }
  return path.ends_with(".json") ? path : "";
}

NamedModel open_model(const std::string& path, bool verify) {
  const std::string manifest = manifest_path(path);
  if (manifest.empty()) return {path, {}};
  NamedModel model;
  model.package = must(io::Package::parse(must(io::Source::open(manifest.c_str()))));
  const fs::path folder = fs::path(manifest).parent_path();
  const io::PackageFile& file = model.package->model();
  if (file.path.empty())
    fail_with(Code::malformed, manifest,
              "source_model.path: expected the model's file, it is missing");
  model.path = (folder / file.path).string();
  if (!fs::exists(model.path))
    fail_with(Code::not_found, manifest, "source_model.path: there is no {}{}", model.path,
              model.package->format() == "layer-package"
                  ? " (a package of single layers has to be put together first)"
                  : "");
  const auto check = [&](io::PackageFile expected, const std::string& field) {
    const std::string full = (folder / expected.path).string();
    if (!verify) expected.sha256.clear();
    if (fs::is_directory(full)) return;
    must(io::check_file(must(io::Source::open(full.c_str())), expected, field.c_str()));
  };
  check(file, "source_model");
  for (std::size_t i = 0; i < model.package->files().size(); ++i)
    check(model.package->files()[i], fmt::format("source_model.files[{}]", i));
  return model;
}

Result<std::string> find_locally(const PackageOptions& options, const io::DraftReference& r) {
  const std::string name =
      r.owner + "/" + r.repository + (r.quantization.empty() ? "" : ":" + r.quantization);
  std::string looked;
  const auto look = [&](const fs::path& folder) -> std::string {
    std::error_code error;
    if (!fs::is_directory(folder, error)) return {};
    looked += (looked.empty() ? "" : ", ") + folder.string();
    const std::vector<fs::path> found = gguf_files(folder, r.quantization);
    return found.empty() ? "" : found.front().string();
  };
  for (const std::string& dir : options.model_dirs) {
    for (const fs::path& folder :
         {fs::path(dir) / r.owner / r.repository, fs::path(dir) / r.repository})
      if (const std::string path = look(folder); !path.empty()) return path;
    // Files side by side, named after the repository.
    std::string stem = lower(r.repository);
    if (stem.ends_with("-gguf")) stem.resize(stem.size() - 5);
    looked += (looked.empty() ? "" : ", ") + dir;
    for (const fs::path& path : gguf_files(dir, r.quantization))
      if (lower(path.filename().string()).starts_with(stem)) return path.string();
  }
  if (const std::string hub = hub_folder(options); !hub.empty()) {
    const fs::path repo = fs::path(hub) / ("models--" + r.owner + "--" + r.repository);
    // refs/main names the revision that was fetched last; else any that is there.
    std::error_code error;
    if (fs::is_regular_file(repo / "refs" / "main", error)) {
      std::string revision = read_text_file((repo / "refs" / "main").string());
      revision.erase(std::remove_if(revision.begin(), revision.end(),
                                    [](char c) { return c == '\n' || c == '\r' || c == '/'; }),
                     revision.end());
      if (const std::string path = look(repo / "snapshots" / revision); !path.empty()) return path;
    }
    if (const std::string path = look(repo / "snapshots"); !path.empty()) return path;
  }
  return fail(Code::not_found, name.c_str(),
              "no such file in %.300s; nothing is fetched from the network",
              looked.empty() ? "any folder that was named (--model-dir)" : looked.c_str());
}

DraftPlan plan_draft(const NamedModel& model, const PackageOptions& options,
                     const std::string& draft, const std::string& window) {
  DraftPlan result{draft, window, "", ""};
  spec::SpeculationSources sources;
  sources.package = model.package ? &*model.package : nullptr;
  sources.no_draft = options.no_draft;
  sources.call.package_strategy = options.strategy;
  sources.call.threads = options.draft_threads;
  sources.call.cache = options.draft_cache;
  sources.call.backend = options.draft_backend;
  if (!draft.empty() && options.strategy.empty() && !options.no_draft) {
    result.from = "--draft";
  } else {
    if (!draft.empty() && !options.strategy.empty())
      bad_usage("--package-strategy", "--draft says something else");
    const spec::SpeculationPlan plan = must(spec::plan_speculation(sources));
    result.from = plan.from;
    result.draft = "none";
    if (plan.kind == spec::SpeculationPlan::Kind::ngram) result.draft = "auto";
    if (plan.kind == spec::SpeculationPlan::Kind::draft_model) {
      struct Context {
        const PackageOptions* options;
      } context{&options};
      const Result<std::string> path = spec::find_draft(
          plan.draft_model, {&context, [](void* c, const io::DraftReference& r) {
                               return find_locally(*static_cast<Context*>(c)->options, r);
                             }});
      if (!plan.backend.empty() && plan.backend != "cpu")
        bad_usage("--draft-backend", "expected cpu, found \"{}\"", plan.backend);
      if (!path) {
        result.warning = fmt::format("strategy {}: draft_model {}: {}", plan.strategy,
                                     path.error().place, path.error().reason);
      } else if (path->find(',') != path->npos) {
        result.warning = fmt::format("strategy {}: the path {} has a comma", plan.strategy, *path);
      } else {
        const std::int64_t most = plan.window ? plan.window->bounds().max : 16;
        result.draft = fmt::format("model:path={},n={}", *path, std::min(plan.max_draft, most));
        if (plan.threads > 0) result.draft += fmt::format(",threads={}", plan.threads);
        if (!plan.cache.empty()) result.draft += ",cache=" + plan.cache;
      }
    }
    if (window.empty() && plan.window) result.window = window_text(*plan.window);
  }
  if (result.window.empty()) result.window = "best";
  return result;
}

}  // namespace kedge::tools
