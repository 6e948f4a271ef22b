#include "kedge/spec/plan.hpp"

#include <algorithm>
#include <new>

namespace kedge::inline KEDGE_ABI::spec {

namespace {

using Mode = SpeculationWish::Mode;
using Kind = SpeculationPlan::Kind;

struct Level {
  const SpeculationWish* wish;
  const char* name;
};

}  // namespace

Result<SpeculationPlan> plan_speculation(const SpeculationSources& sources) noexcept try {
  const Level levels[] = {
      {&sources.call, "call"}, {&sources.model, "model"}, {&sources.defaults, "defaults"}};
  SpeculationPlan plan;
  if (sources.no_draft) {
    plan.from = "call";
    return plan;
  }
  // How a draft runs and how long it may be says nothing about whether there is one.
  const auto first = [&](auto member) {
    for (const Level& level : levels)
      if (!(level.wish->*member).empty()) return level.wish->*member;
    return std::string();
  };
  plan.backend = first(&SpeculationWish::backend);
  plan.device = first(&SpeculationWish::device);
  plan.cache = first(&SpeculationWish::cache);
  for (const Level& level : levels) {
    if (plan.threads == 0) plan.threads = level.wish->threads;
    if (!plan.window) plan.window = level.wish->window;
  }
  for (const Level& level : levels)
    if (level.wish->max_draft > 0) {
      plan.max_draft = std::min<std::int64_t>(plan.max_draft, level.wish->max_draft);
      break;
    }

  for (const Level& level : levels) {
    const SpeculationWish& wish = *level.wish;
    const Mode mode = wish.mode.value_or(Mode::automatic);
    plan.from = level.name;
    if (mode == Mode::disabled) return plan;
    if (mode == Mode::ngram) {
      plan.kind = Kind::ngram;
      return plan;
    }
    if (mode == Mode::draft_model || !wish.draft_model.empty()) {
      // The mode may stand on one level, and the model on one behind it.
      plan.kind = Kind::draft_model;
      plan.draft_model =
          wish.draft_model.empty() ? first(&SpeculationWish::draft_model) : wish.draft_model;
      if (plan.draft_model.empty())
        return fail(Code::invalid_argument, "speculation",
                    "draft_model: the mode of %s is draft-model, and no model is named",
                    level.name);
      return plan;
    }
    if (!wish.package_strategy.empty()) break;
  }
  plan.from = "nothing said";
  const std::string named = first(&SpeculationWish::package_strategy);
  if (sources.package == nullptr) {
    if (!named.empty() && named != "default")
      return fail(Code::not_found, "speculation",
                  "package_strategy \"%.100s\": the model is no package", named.c_str());
    return plan;
  }
  KEDGE_TRY(const io::DraftStrategy* strategy, sources.package->strategy(named));
  if (strategy == nullptr) return plan;
  plan.from = "package";
  plan.strategy = strategy->name;
  plan.kind = strategy->type == io::DraftStrategy::Type::ngram ? Kind::ngram : Kind::draft_model;
  plan.draft_model = strategy->draft_model;
  if (!plan.window) plan.window = strategy->window;
  return plan;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "speculation", "no memory");
}

Result<std::string> find_draft(const std::string& draft_model, const DraftLookup& host) noexcept
    try {
  const auto reference = io::DraftReference::parse(draft_model);
  if (!reference) return draft_model;
  if (host.find == nullptr)
    return fail(Code::not_found, draft_model.c_str(), "there is nobody to ask where it is");
  return host.find(host.context, *reference);
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "speculation", "no memory");
}

}  // namespace kedge::inline KEDGE_ABI::spec
