// Two sessions of one model in two threads, each with its own executor, share nothing that changes:
// their texts are those of one alone, and ThreadSanitizer (preset tsan) finds no race.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "kedge/draft/lookup.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {
namespace {

std::vector<std::int32_t> text(std::shared_ptr<const Model> model, Executor* executor,
                               std::int32_t seed, bool drafts) {
  Session::Options options;
  options.executor = executor;
  options.context = 128;
  auto session = Session::create(std::move(model), options);
  if (!session) return {};
  if (drafts) {
    auto lookup = draft::Lookup::create({});
    if (!lookup) return {};
    auto drafter = draft::AnyDrafter::make(*std::move(lookup));
    if (!drafter) return {};
    session->set_drafter(*std::move(drafter));
  }
  const std::int32_t prompt[] = {seed, 2, 3, seed, 2, 3, seed};
  const auto first = session->begin(prompt);
  if (!first) return {};
  std::vector<std::int32_t> tokens = {*first};
  while (tokens.size() < 64) {
    const auto round = session->round(64 - static_cast<std::int64_t>(tokens.size()));
    if (!round) return {};
    tokens.insert(tokens.end(), round->tokens.begin(), round->tokens.end());
  }
  return tokens;
}

TEST(TwoSessions, InTwoThreadsAreAsAlone) {
  auto loaded = Model::load(KEDGE_GOLDEN_DIR "/tiny/grouped.gguf", {});
  ASSERT_TRUE(loaded);
  const std::shared_ptr<const Model> model = *loaded;
  for (int run = 0; run < 3; ++run) {
    std::vector<std::int32_t> tokens[2];
    {
      std::thread other([&] {
        auto pool = make_pool_executor(2);
        if (pool) tokens[1] = text(model, pool->get(), 9, true);
      });
      auto pool = make_pool_executor(2);
      ASSERT_TRUE(pool);
      tokens[0] = text(model, pool->get(), 5, true);
      other.join();
    }
    EXPECT_EQ(tokens[0], text(model, nullptr, 5, false));
    EXPECT_EQ(tokens[1], text(model, nullptr, 9, false));
    EXPECT_EQ(tokens[0].size(), 64u);
  }
}

}  // namespace
}  // namespace kedge::tests
