// kedge package: writes a model-package.json beside a model, and looks whether one is right.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/output.hpp"
#include "common/package_file.hpp"
#include "kedge/io/sha256.hpp"

namespace kedge::tools {

namespace {

namespace fs = std::filesystem;

struct PackageArguments {
  std::string model, check, out, id, type = "draft-model", draft_model, family, strategy = "draft",
                                     policy = "adaptive";
  std::int64_t initial = 8, min = 1, max = 16, fixed = 0;
};

std::string hash_of(const io::Source& file) {
  io::Sha256 hash;
  std::vector<std::byte> part(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < file.size(); at += part.size()) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), file.size() - at));
    must(file.read(at, {part.data(), count}));
    hash.add({part.data(), count});
  }
  return hash.hex().data();
}

int check(const std::string& path) {
  const NamedModel model = open_model(path, true);
  if (!model.package)
    fail_with(Code::not_found, path, "no package: expected a folder with model-package.json");
  Table table = Table::of_pairs();
  table.row({"model", model.package->model_id()});
  table.row({"file", model.path});
  table.row({"files with hashes", std::to_string(model.package->files().size() +
                                                 (model.package->model().sha256.empty() ? 0 : 1))});
  const io::DraftStrategy* chosen = model.package->default_strategy();
  for (const io::DraftStrategy& s : model.package->strategies())
    table.row(
        {fmt::format("strategy {}", s.name),
         fmt::format("{}{}{}", s.type == io::DraftStrategy::Type::ngram ? "ngram" : s.draft_model,
                     s.window ? fmt::format(", up to {} guesses", s.window->bounds().max) : "",
                     &s == chosen ? ", the default" : "")});
  table.print();
  return 0;
}

int write(const PackageArguments& o) {
  const fs::path model = o.model;
  if (!fs::is_regular_file(model)) bad_usage("--model", "expected a file, found \"{}\"", o.model);
  if (o.type == "draft-model" && o.draft_model.empty())
    bad_usage("--draft-model", "needed for a strategy of type draft-model");
  const fs::path out = o.out.empty() ? model.parent_path() / "model-package.json" : fs::path(o.out);
  const std::string relative =
      fs::absolute(model).lexically_relative(fs::absolute(out).parent_path()).generic_string();
  const io::Source file = must(io::Source::open(o.model.c_str()));
  const std::string hash = hash_of(file);
  nlohmann::json policy = {{"default", o.policy}};
  if (o.policy == "fixed") policy["fixed_default_window"] = o.fixed > 0 ? o.fixed : o.initial;
  if (o.policy == "adaptive")
    policy.update({{"initial_window", o.initial}, {"min_window", o.min}, {"max_window", o.max}});
  nlohmann::json strategy = {
      {"type", o.type}, {"window_policy", policy}, {"identity", {{"source_model_sha256", hash}}}};
  if (!o.draft_model.empty()) strategy["draft_model"] = o.draft_model;
  if (!o.family.empty()) strategy["model_family"] = o.family;
  const nlohmann::json manifest = {
      {"schema_version", 1},
      {"model_id", o.id.empty() ? model.stem().string() : o.id},
      {"format", "gguf"},
      {"source_model",
       {{"path", relative},
        {"sha256", hash},
        {"files", {{{"path", relative}, {"size_bytes", file.size()}, {"sha256", hash}}}}}},
      {"generation",
       {{"speculative_decoding",
         {{"default", o.strategy}, {"strategies", {{o.strategy, strategy}}}}}}}};
  // Nothing is written that would not be read.
  const std::string text = manifest.dump(2);
  must(io::Package::parse(
      io::Source::memory(std::as_bytes(std::span(text)), "the manifest to be written")));
  write_json(out.string(), manifest);
  fmt::print("{}\n", out.string());
  return 0;
}

}  // namespace

void add_package(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand(
      "package", "Write a model-package.json that declares a model's draft, or check one");
  const auto o = std::make_shared<PackageArguments>();
  CLI::Option* checked = app->add_option("--check", o->check, "Package to check, hashes included");
  app->add_option("--model", o->model, "GGUF file that the package is of")->excludes(checked);
  app->add_option("--out", o->out, "File to write; model-package.json beside the model otherwise");
  app->add_option("--id", o->id, "Name of the model; its file's otherwise");
  app->add_option("--type", o->type, "draft-model or ngram")
      ->check(CLI::IsMember({"draft-model", "ngram"}));
  app->add_option("--draft-model", o->draft_model, "owner/repo:QUANT, or a path");
  app->add_option("--family", o->family, "Family that the draft model is of");
  app->add_option("--strategy", o->strategy, "Name of the strategy, which is the default");
  app->add_option("--policy", o->policy, "Window: adaptive, fixed or best")
      ->check(CLI::IsMember({"adaptive", "fixed", "best"}));
  app->add_option("--initial-window", o->initial, "Of an adaptive window");
  app->add_option("--min-window", o->min, "Of an adaptive window");
  app->add_option("--max-window", o->max, "Of an adaptive window");
  app->add_option("--fixed-window", o->fixed, "Of a fixed window");
  commands.push_back({app, [o] {
                        if (!o->check.empty()) return check(o->check);
                        if (o->model.empty()) bad_usage("usage", "--model or --check is required");
                        return write(*o);
                      }});
}

}  // namespace kedge::tools
