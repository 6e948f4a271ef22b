// Every drafter there is, by name, for tests that want all of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "exact/tiny_model.hpp"
#include "kedge/draft/cache.hpp"
#include "kedge/draft/chain.hpp"
#include "kedge/draft/extended.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/map_k.hpp"
#include "kedge/draft/map_k4v.hpp"
#include "kedge/draft/mod.hpp"
#include "kedge/draft/model.hpp"
#include "kedge/draft/suffix.hpp"

namespace kedge::tests {

template <class D>
draft::AnyDrafter any_of(Result<D> drafter) {
  EXPECT_TRUE(drafter) << drafter.error().reason;
  if (!drafter) return {};
  auto any = draft::AnyDrafter::make(*std::move(drafter));
  EXPECT_TRUE(any);
  return *std::move(any);
}

// Those that copy, with keys short enough for small vocabularies.
inline const std::vector<std::string>& drafter_names() {
  static const std::vector<std::string> names = {
      "lookup",      "map-k", "map-k4v",    "mod",          "cache",           "suffix",
      "suffix tree", "model", "model tree", "model>lookup", "mod+suffix+model"};
  return names;
}

// `model` drafts where the name asks for one; texts have at most `capacity` tokens.
inline draft::AnyDrafter make_drafter(const std::string& name,
                                      const std::shared_ptr<const Model>& model,
                                      std::int64_t capacity = 8193) {
  using namespace draft;
  if (name == "lookup")
    return any_of(Lookup::create({.length = 8, .min_match = 1, .capacity = capacity}));
  if (name == "map-k") return any_of(MapK::create({.length = 8, .key = 2, .capacity = capacity}));
  if (name == "map-k4v")
    return any_of(MapK4v::create({.length = 8, .key = 1, .capacity = capacity}));
  if (name == "mod") return any_of(Mod::create({.length = 8, .key = 2, .capacity = capacity}));
  if (name == "cache") return any_of(Cache::create({.length = 8, .capacity = capacity}));
  if (name == "suffix")
    return any_of(Suffix::create({.length = 8, .branches = false, .capacity = capacity}));
  if (name == "suffix tree") return any_of(Suffix::create({.length = 12, .capacity = capacity}));
  if (name == "model")
    return any_of(DraftModel::create(model, {.length = 3, .capacity = capacity}));
  if (name == "model tree")
    return any_of(DraftModel::create(model, {.length = 9, .branches = 3, .capacity = capacity}));
  if (name == "model>lookup")
    return any_of(Extended::create(make_drafter("model", model, capacity),
                                   make_drafter("lookup", model, capacity)));
  EXPECT_EQ(name, "mod+suffix+model");
  AnyDrafter members[] = {make_drafter("mod", model, capacity),
                          make_drafter("suffix", model, capacity),
                          make_drafter("model", model, capacity)};
  return any_of(Chain::create(members));
}

}  // namespace kedge::tests
