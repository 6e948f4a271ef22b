// --draft map-k, map-k4v, mod, cache, suffix
#include "common/drafters/kinds.hpp"
#include "common/failure.hpp"
#include "kedge/draft/cache.hpp"
#include "kedge/draft/map_k.hpp"
#include "kedge/draft/map_k4v.hpp"
#include "kedge/draft/mod.hpp"
#include "kedge/draft/suffix.hpp"

namespace kedge::tools {

namespace {

constexpr DraftKey map_k_keys[] = {
    {"n", "16", 1, 31, "tokens at most"},
    {"key", "8", 1, 64, "tokens of the match"},
};
constexpr DraftKey map_k4v_keys[] = {
    {"n", "16", 1, 31, "tokens at most"},
    {"key", "6", 1, 64, "tokens of the match"},
    {"hits", "1", 1, 64, "earlier matches that there must be"},
};
constexpr DraftKey mod_keys[] = {
    {"n", "31", 1, 31, "tokens at most"},
    {"key", "12", 1, 64, "tokens of the match"},
};
constexpr DraftKey cache_keys[] = {
    {"n", "8", 1, 31, "tokens at most"},
    {"dynamic", "", 0, 0, "file of counts of earlier texts"},
    {"static", "", 0, 0, "file of counts of a corpus"},
};
constexpr DraftKey suffix_keys[] = {
    {"n", "16", 1, 31, "tokens at most"},
    {"min", "1", 1, 64, "shortest match"},
    {"depth", "64", 1, 1024, "longest match"},
    {"tree", "1", 0, 1, "0: never a tree"},
};

std::int64_t length(const DraftValues& values) { return values.number("n"); }

template <class D>
draft::AnyDrafter make(typename D::Options options, const DraftValues& values,
                       const DraftRequest& request) {
  options.length = values.number("n");
  options.capacity = request.capacity;
  return must(draft::AnyDrafter::make(must(D::create(options))));
}

// Null where there is no name.
const draft::NgramCounts* counts(const std::string& path, const DraftRequest& request) {
  if (path.empty()) return nullptr;
  return request.shared->get("counts " + path, [&] {
    draft::NgramCounts::LoadOptions options;
    if (request.target != nullptr) options.vocabulary = request.target->model->config().vocabulary;
    const auto source = must(io::Source::open(path.c_str()));
    return std::make_shared<draft::NgramCounts>(must(draft::NgramCounts::load(source, options)));
  });
}

}  // namespace

const DraftKind map_k_kind = {"map-k", "copies what followed the newest match of fixed length",
                              map_k_keys, length,
                              [](const DraftValues& values, const DraftRequest& request) {
                                draft::MapK::Options options;
                                options.key = static_cast<std::int32_t>(values.number("key"));
                                return make<draft::MapK>(options, values, request);
                              }};

const DraftKind map_k4v_kind = {"map-k4v", "copies what mostly followed such matches", map_k4v_keys,
                                length, [](const DraftValues& values, const DraftRequest& request) {
                                  draft::MapK4v::Options options;
                                  options.key = static_cast<std::int32_t>(values.number("key"));
                                  options.hits = values.number("hits");
                                  return make<draft::MapK4v>(options, values, request);
                                }};

const DraftKind mod_kind = {"mod", "looks for a newer match after every guess", mod_keys, length,
                            [](const DraftValues& values, const DraftRequest& request) {
                              draft::Mod::Options options;
                              options.key = static_cast<std::int32_t>(values.number("key"));
                              return make<draft::Mod>(options, values, request);
                            }};

const DraftKind cache_kind = {"cache", "guesses from counts of what followed one to four tokens",
                              cache_keys, length,
                              [](const DraftValues& values, const DraftRequest& request) {
                                draft::Cache::Options options;
                                options.dynamic = counts(values.text("dynamic"), request);
                                options.fixed = counts(values.text("static"), request);
                                return make<draft::Cache>(options, values, request);
                              }};

const DraftKind suffix_kind = {
    "suffix", "guesses from counts of what followed each suffix of the text", suffix_keys, length,
    [](const DraftValues& values, const DraftRequest& request) {
      draft::Suffix::Options options;
      options.min_match = static_cast<std::int32_t>(values.number("min"));
      options.depth = static_cast<std::int32_t>(values.number("depth"));
      options.branches = values.number("tree") == 1;
      if (options.depth < options.min_match)
        bad_usage("--draft", "suffix: depth {} is below min {}", options.depth, options.min_match);
      return make<draft::Suffix>(options, values, request);
    }};

}  // namespace kedge::tools
