#include "kedge/io/package.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "kedge/io/sha256.hpp"
#include "kedge/spec/plan.hpp"

namespace kedge::tests {
namespace {

using io::DraftStrategy;
using io::Package;
using spec::SpeculationPlan;
using spec::SpeculationSources;
using Mode = spec::SpeculationWish::Mode;

std::string golden() {
  std::ifstream file(KEDGE_GOLDEN_DIR "/packages/draft.json");
  EXPECT_TRUE(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
Result<Package> parse(const std::string& text) {
  return Package::parse(io::Source::memory(std::as_bytes(std::span(text)), "model-package.json"));
}
Package package() { return *parse(golden()); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

TEST(Sha256, KnownAnswers) {
  const auto hash = [](const std::string& text, std::size_t step) {
    io::Sha256 sha;
    for (std::size_t i = 0; i < text.size(); i += step)
      sha.add(std::as_bytes(std::span(text)).subspan(i, std::min(step, text.size() - i)));
    return std::string(sha.hex().data());
  };
  EXPECT_EQ(hash("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  for (const std::size_t step : {std::size_t{1000000}, std::size_t{997}})
    EXPECT_EQ(hash(million, step),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Package, ReadsWhatIsDeclared) {
  const Package p = package();
  EXPECT_EQ(p.model_id(), "example/anchor-70b");
  EXPECT_EQ(p.model().path, "anchor-70b.Q4_K.gguf");
  ASSERT_EQ(p.files().size(), 1u);
  EXPECT_EQ(p.files()[0].size, 3u);
  ASSERT_EQ(p.strategies().size(), 2u);
  const DraftStrategy* s = p.default_strategy();
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(s->name, "small");
  EXPECT_EQ(s->draft_model, "example/anchor-1b:Q4_K");
  ASSERT_TRUE(s->window);
  EXPECT_EQ(s->window->kind, io::WindowPolicy::Kind::adaptive);
  const auto b = s->window->bounds();
  EXPECT_EQ(b.initial, 8);
  EXPECT_EQ(b.min, 2);
  EXPECT_EQ(b.max, 16);
  EXPECT_EQ(b.fixed, 6);
  EXPECT_EQ((*p.strategy("copy"))->type, DraftStrategy::Type::ngram);
  EXPECT_EQ(*p.strategy("default"), s);
  const auto none = p.strategy("large");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::not_found);
}

// Every mistake is refused with the name of its field.
TEST(Package, MistakesNameTheirField) {
  const std::string base = "generation.speculative_decoding";
  const struct {
    const char *from, *to;
    std::string field;
  } mistakes[] = {
      {"\"schema_version\": 1", "\"schema_version\": 2", "schema_version"},
      {"\"schema_version\": 1", "\"schema_version\": \"1\"", "schema_version"},
      {"\"schema_version\": 1,", "", "schema_version"},
      {"\"model_id\": \"example/anchor-70b\"", "\"model_id\": 7", "model_id"},
      {"\"default\": \"small\"", "\"default\": \"large\"", base + ".default"},
      {"\"default\": \"small\"", "\"default\": 1", base + ".default"},
      {"\"copy\": {", "\"\": {", base + ".strategies"},
      {"\"type\": \"ngram\"", "\"type\": \"native-mtp\"", base + ".strategies.copy.type"},
      {"\"type\": \"ngram\", ", "", base + ".strategies.copy.type"},
      {"\"draft_model\": \"example/anchor-1b:Q4_K\",", "", base + ".strategies.small.draft_model"},
      {"\"example/anchor-1b:Q4_K\"", "[]", base + ".strategies.small.draft_model"},
      {"\"default\": \"adaptive\"", "\"default\": \"clever\"", ".window_policy.default"},
      {"\"min_window\": 2", "\"min_window\": 0", ".window_policy.min_window"},
      {"\"min_window\": 2", "\"min_window\": -2", ".window_policy.min_window"},
      {"\"min_window\": 2", "\"min_window\": 2.5", ".window_policy.min_window"},
      {"\"min_window\": 2", "\"min_window\": 9", ".window_policy.min_window"},
      {"\"min_window\": 2", "\"min_window\": 17", ".window_policy.min_window"},
      {"\"max_window\": 16", "\"max_window\": 4", ".window_policy.initial_window"},
      {"\"supported\": true", "\"supported\": false", ".adaptive.supported"},
      {"\"supported\": true", "\"supported\": \"yes\"", ".adaptive.supported"},
      {"\"BA7816BF", "\"CA7816BF", ".identity.source_model_sha256"},
      {"\"BA7816BF", "\"XA7816BF", ".identity.source_model_sha256"},
      {"\"sha256\": \"ba", "\"sha256\": \"b", "source_model.sha256"},
      {"\"size_bytes\": 3", "\"size_bytes\": \"3\"", "source_model.files[0].size_bytes"},
      {"{\"path\": \"anchor-70b.Q4_K.gguf\", ", "{", "source_model.files[0].path"},
      {"\"path\": \"anchor-70b.Q4_K.gguf\"", "\"path\": \"../../etc/passwd\"", "source_model.path"},
      {"\"path\": \"anchor-70b.Q4_K.gguf\"", "\"path\": \"/etc/passwd\"", "source_model.path"},
  };
  for (const auto& m : mistakes) {
    const auto found = parse(replaced(golden(), m.from, m.to));
    ASSERT_FALSE(found) << m.to;
    EXPECT_NE(std::string(found.error().reason).find(m.field), std::string::npos)
        << m.to << ": " << found.error().reason;
    EXPECT_STREQ(found.error().place, "model-package.json") << m.to;
  }
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("[]"));
  EXPECT_TRUE(parse("{\"schema_version\": 1}")) << "declares nothing";
}

TEST(Package, FilesAreCompared) {
  const Package p = package();
  const auto check = [&](const std::string& bytes) {
    return io::check_file(io::Source::memory(std::as_bytes(std::span(bytes)), "file"), p.files()[0],
                          "source_model.files[0]");
  };
  EXPECT_TRUE(check("abc"));
  const Status longer = check("abcd"), other = check("abd");
  ASSERT_FALSE(longer);
  EXPECT_NE(std::string(longer.error().reason).find("files[0].size_bytes"), std::string::npos);
  ASSERT_FALSE(other);
  EXPECT_NE(std::string(other.error().reason).find("files[0].sha256"), std::string::npos);
}

TEST(Package, References) {
  const auto r = io::DraftReference::parse("owner/repo:Q4_K_M");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->owner, "owner");
  EXPECT_EQ(r->repository, "repo");
  EXPECT_EQ(r->quantization, "Q4_K_M");
  EXPECT_EQ(io::DraftReference::parse("owner/repo")->quantization, "");
  for (const char* path : {"model.gguf", "./a/b", "a/b/c", "/a", "a/", "folder/model.gguf"})
    EXPECT_FALSE(io::DraftReference::parse(path)) << path;
}

TEST(Plan, CallThenModelThenDefaultsThenPackage) {
  const Package p = package();
  SpeculationSources s;
  s.package = &p;
  auto plan = spec::plan_speculation(s);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->kind, SpeculationPlan::Kind::draft_model);
  EXPECT_EQ(plan->draft_model, "example/anchor-1b:Q4_K");
  EXPECT_EQ(plan->strategy, "small");
  EXPECT_STREQ(plan->from, "package");
  ASSERT_TRUE(plan->window);
  EXPECT_EQ(plan->window->max, 16);

  s.defaults.mode = Mode::ngram;
  EXPECT_STREQ(spec::plan_speculation(s)->from, "defaults");
  s.model.draft_model = "model.gguf";
  plan = spec::plan_speculation(s);
  EXPECT_EQ(plan->draft_model, "model.gguf");
  EXPECT_STREQ(plan->from, "model");
  s.call.mode = Mode::disabled;
  plan = spec::plan_speculation(s);
  EXPECT_EQ(plan->kind, SpeculationPlan::Kind::none);
  EXPECT_STREQ(plan->from, "call");
}

TEST(Plan, NoDraftTurnsEverythingOff) {
  const Package p = package();
  SpeculationSources s;
  s.package = &p;
  s.no_draft = true;
  s.model.draft_model = "model.gguf";
  EXPECT_EQ(spec::plan_speculation(s)->kind, SpeculationPlan::Kind::none);
}

TEST(Plan, NamedStrategiesMustExist) {
  const Package p = package();
  SpeculationSources s;
  s.package = &p;
  s.call.package_strategy = "copy";
  auto plan = spec::plan_speculation(s);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->kind, SpeculationPlan::Kind::ngram);
  // Named by the call, it stands before what is configured.
  s.model.draft_model = "model.gguf";
  EXPECT_EQ(spec::plan_speculation(s)->strategy, "copy");
  s.call.package_strategy = "large";
  ASSERT_FALSE(spec::plan_speculation(s));
  EXPECT_EQ(spec::plan_speculation(s).error().code, Code::not_found);
  s.package = nullptr;
  EXPECT_FALSE(spec::plan_speculation(s)) << "no package at all";
  s.call = {};
  s.model = {};
  EXPECT_EQ(spec::plan_speculation(s)->kind, SpeculationPlan::Kind::none);
}

// What a draft runs on, and how long it may be, switches no strategy off.
TEST(Plan, SettingsAreNoChoice) {
  const Package p = package();
  SpeculationSources s;
  s.package = &p;
  s.call.max_draft = 3;
  s.model.max_draft = 9;
  s.model.threads = 2;
  s.defaults.cache = "q8_0";
  const auto plan = spec::plan_speculation(s);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->strategy, "small");
  EXPECT_EQ(plan->max_draft, 3);
  EXPECT_EQ(plan->threads, 2);
  EXPECT_EQ(plan->cache, "q8_0");
}

TEST(Plan, AModeWithoutAModelIsAnError) {
  SpeculationSources s;
  s.call.mode = Mode::draft_model;
  ASSERT_FALSE(spec::plan_speculation(s));
  s.defaults.draft_model = "model.gguf";
  ASSERT_TRUE(spec::plan_speculation(s));
  EXPECT_EQ(spec::plan_speculation(s)->draft_model, "model.gguf");
}

TEST(Plan, DraftsAreFoundByTheHost) {
  EXPECT_EQ(*spec::find_draft("folder/model.gguf", {}), "folder/model.gguf");
  const auto nobody = spec::find_draft("owner/repo:Q8_0", {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Code::not_found);
  const spec::DraftLookup host{
      nullptr, [](void*, const io::DraftReference& r) {
        return Result<std::string>("/models/" + r.repository + "." + r.quantization);
      }};
  EXPECT_EQ(*spec::find_draft("owner/repo:Q8_0", host), "/models/repo.Q8_0");
}

}  // namespace
}  // namespace kedge::tests
