// Sessions that draw, for tests that compare plain with speculative texts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exact/decode.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/scripted.hpp"
#include "support/json_shape.hpp"

namespace kedge::tests {

// How a text is made.
struct Style {
  const char* name;
  SamplingOptions sampling;
  bool json = false;  // under the rules of JsonShape
};

inline std::vector<Style> styles() {
  static const LogitBias bias[] = {{3, 2.5f}, {40, -INFINITY}, {41, 1.0f}};
  SamplingOptions greedy, penalized, plain{.temperature = 1, .seed = 5}, top = plain, all = plain;
  penalized.repetition_penalty = 1.3;
  penalized.logit_bias = bias;
  top.top_k = 20;
  all.temperature = 0.8;
  all.top_k = 100;
  all.top_p = 0.95;
  all.min_p = 0.01;
  all.repetition_penalty = 1.1;
  all.frequency_penalty = 0.2;
  all.presence_penalty = 0.1;
  all.penalty_window = 30;
  all.logit_bias = bias;
  return {{"greedy", greedy},
          {"greedy, penalties", penalized},
          {"temperature 1", plain},
          {"temperature 1, top 20", top},
          {"everything", all},
          {"greedy, JSON", greedy, true},
          {"temperature 1, JSON", plain, true}};
}

// Token t is the byte t; the few beyond ASCII stand for pieces of JSON.
inline JsonShape json_of(std::int64_t vocabulary) {
  static const char* pieces[] = {"\":", "\",\"", "},{\"", "[[", "]]", "null"};
  std::vector<std::string> tokens;
  for (std::int64_t t = 0; t < vocabulary; ++t)
    tokens.push_back(t < 128   ? std::string(1, static_cast<char>(t))
                     : t < 134 ? pieces[t - 128]
                               : "");
  return JsonShape(std::move(tokens));
}

inline void set_style(Session& session, const Style& style) {
  const Status set = session.set_sampling(style.sampling);
  EXPECT_TRUE(set) << show(set.error());
  if (!style.json) return session.set_constraint({});
  auto rules = Constraint::make(json_of(session.model().config().vocabulary));
  EXPECT_TRUE(rules);
  if (rules) session.set_constraint(*std::move(rules));
}

inline Session make_session(const std::shared_ptr<const Model>& model, const Style& style,
                            const Session::Options& options = {}) {
  auto session = Session::create(model, options);
  EXPECT_TRUE(session) << show(session.error());
  if (!session) return {};
  set_style(*session, style);
  return *std::move(session);
}

inline draft::AnyDrafter script(const std::vector<std::int32_t>& truth,
                                std::vector<draft::Scripted::Step> steps, std::int64_t vocabulary) {
  auto drafter = draft::AnyDrafter::make(
      draft::Scripted(truth, std::move(steps), static_cast<std::int32_t>(vocabulary)));
  EXPECT_TRUE(drafter);
  return drafter ? *std::move(drafter) : draft::AnyDrafter();
}

inline draft::AnyDrafter lookup(std::int64_t min_match = 2) {
  draft::Lookup::Options options;
  options.min_match = min_match;
  auto made = draft::Lookup::create(options);
  EXPECT_TRUE(made);
  auto drafter = draft::AnyDrafter::make(*std::move(made));
  EXPECT_TRUE(drafter);
  return drafter ? *std::move(drafter) : draft::AnyDrafter();
}

// `count` more tokens of a session that has begun, with the logits of the positions they took.
inline Decoded go_on(Session& session, std::int64_t count) {
  Decoded d;
  session.set_least_need(Need::logits);
  d.logits = Logits(session.model().config().vocabulary);
  while (static_cast<std::int64_t>(d.tokens.size()) < count) {
    const std::int64_t length = session.length();
    const auto round = session.round(count - static_cast<std::int64_t>(d.tokens.size()));
    EXPECT_TRUE(round) << show(round.error());
    if (!round || round->tokens.empty()) break;
    d.tokens.insert(d.tokens.end(), round->tokens.begin(), round->tokens.end());
    for (std::int64_t i = 0; i < session.length() - length; ++i)
      d.logits.set(length + i, session.forward().logits(i));
  }
  d.stats = session.stats();
  return d;
}

}  // namespace kedge::tests
