#include "kedge/sample/sampler.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"
#include "kedge/sample/softmax.hpp"
#include "unit/sample_reference.hpp"

namespace kedge::tests {
namespace {

std::vector<cpu::Isa> isas() {
  std::vector<cpu::Isa> list;
  for (const cpu::Isa isa : {cpu::Isa::scalar, cpu::Isa::avx2, cpu::Isa::avx512})
    if (cpu::isa_available(isa)) list.push_back(isa);
  return list;
}

std::vector<float> random_logits(std::mt19937_64& rng, std::size_t count, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> x(count);
  for (float& v : x) v = normal(rng);
  if (rng() % 2 == 0)  // equal values, also at the top
    for (float& v : x) v = static_cast<float>(static_cast<int>(v));
  return x;
}

std::vector<std::int32_t> random_text(std::mt19937_64& rng, std::size_t count, std::size_t words) {
  std::vector<std::int32_t> text(count);
  for (auto& t : text) t = static_cast<std::int32_t>(rng() % words);
  return text;
}

// Any combination of everything, each step on or off.
SamplingOptions random_options(std::mt19937_64& rng, std::size_t vocabulary,
                               std::vector<LogitBias>& bias) {
  const auto on = [&] { return rng() % 3 == 0; };
  const auto unit = [&] { return std::uniform_real_distribution<double>(0.01, 0.99)(rng); };
  SamplingOptions o;
  o.seed = rng();
  o.temperature = rng() % 6 == 0 ? 0 : 0.2 + 2 * unit();
  if (on()) o.top_k = static_cast<std::int32_t>(1 + rng() % (2 * vocabulary));
  if (on()) o.top_p = unit();
  if (on()) o.min_p = 0.3 * unit() * unit();
  if (on()) o.repetition_penalty = 0.5 + 2 * unit();
  if (on()) o.frequency_penalty = 2 * unit() - 0.5;
  if (on()) o.presence_penalty = 2 * unit() - 0.5;
  o.penalty_window = static_cast<std::int64_t>(rng() % 4) * 20 - 1;
  if (o.penalty_window < 0 && rng() % 2 == 0) o.penalty_window = 0;
  bias.clear();
  if (on())
    for (int i = 0; i < 5; ++i)
      bias.push_back({static_cast<std::int32_t>(rng() % vocabulary),
                      i == 0 ? -INFINITY : static_cast<float>(6 * unit() - 3)});
  o.logit_bias = bias;
  return o;
}

TEST(Sampler, EqualsTheReferenceOnEveryIsa) {
  int sampled = 0, greedy = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 rng(seed);
    const std::size_t vocabulary = 1 + rng() % (seed % 10 == 0 ? 3000 : 260);
    std::vector<LogitBias> bias;
    const SamplingOptions options = random_options(rng, vocabulary, bias);
    const auto logits = random_logits(rng, vocabulary, static_cast<float>(1 + rng() % 5));
    const auto text = random_text(rng, rng() % 60, vocabulary);
    const auto drafts = random_text(rng, rng() % 5, vocabulary);
    std::vector<std::uint32_t> allowed;
    if (rng() % 3 == 0) {
      allowed.resize((vocabulary + 31) / 32);
      for (auto& word : allowed) word = static_cast<std::uint32_t>(rng() | rng());
    }
    for (const cpu::Isa isa : isas()) {
      auto sampler = Sampler::create(isa, static_cast<std::int64_t>(vocabulary), options);
      ASSERT_TRUE(sampler) << sampler.error().reason;
      for (std::int64_t position = 0; position < 20; ++position) {
        Sampler::Draw draw;
        draw.logits = logits;
        draw.position = position * 1000003;
        draw.text = text;
        draw.drafts = drafts;
        draw.allowed = allowed;
        const std::int32_t expected = choose_reference(draw, options);
        const auto found = sampler->choose(draw);
        if (expected < 0) {
          ASSERT_FALSE(found);
          EXPECT_EQ(found.error().code, Code::invalid_argument);
          continue;
        }
        ASSERT_TRUE(found) << found.error().reason;
        ASSERT_EQ(*found, expected)
            << "seed " << seed << ", " << to_string(isa) << ", position " << position << ", T "
            << options.temperature << ", top_k " << options.top_k << ", top_p " << options.top_p
            << ", min_p " << options.min_p;
        ++(options.temperature > 0 ? sampled : greedy);
      }
    }
  }
  EXPECT_GT(sampled, 3000);
  EXPECT_GT(greedy, 500);
}

// What a pass may say beside the logits changes no token.
TEST(Sampler, KnownLargestAndTopChangeNothing) {
  std::mt19937_64 rng(5);
  const std::size_t vocabulary = 500;
  for (int trial = 0; trial < 50; ++trial) {
    const auto logits = random_logits(rng, vocabulary, 3);
    SamplingOptions options;
    options.temperature = 0.9;
    options.seed = rng();
    if (trial % 2 == 0) options.top_k = 1 + trial;
    if (trial % 3 == 0) options.top_p = 0.8;
    auto sampler = Sampler::create(cpu::best_isa(), vocabulary, options);
    ASSERT_TRUE(sampler);
    EXPECT_EQ(sampler->needs_top(), options.top_k);
    Sampler::Draw draw;
    draw.logits = logits;
    draw.position = trial;
    const auto expected = sampler->choose(draw);
    std::vector<Alternative> best(60);
    log_probability(cpu::best_isa(), logits, 0, best);
    std::vector<std::int32_t> ids;
    std::vector<float> values;
    for (const Alternative& a : best) {
      ids.push_back(a.id);
      values.push_back(logits[static_cast<std::size_t>(a.id)]);
    }
    draw.largest = ids[0];
    EXPECT_EQ(*sampler->choose(draw), *expected);
    if (options.top_k > 0) {
      draw.top_ids = ids;
      draw.top_logits = values;
      draw.logits = {};
      EXPECT_EQ(*sampler->choose(draw), *expected);
    }
  }
}

// Pearson's test with the 0.9999 quantile of chi-square (Wilson and Hilferty's formula); seeds are
// fixed, so it passes always or never.
void expect_distribution(const Sampler::Draw& row, const SamplingOptions& options) {
  const auto expected = candidates_reference(row, options);
  auto sampler =
      Sampler::create(cpu::best_isa(), static_cast<std::int64_t>(row.logits.size()), options);
  ASSERT_TRUE(sampler);
  const int draws = 10000;
  std::map<std::int32_t, int> seen;
  for (int i = 0; i < draws; ++i) {
    Sampler::Draw draw = row;
    draw.position = i;
    ++seen[*sampler->choose(draw)];
  }
  double statistic = 0, rest = 0;
  int rest_seen = draws, cells = 0;
  for (const Candidate& c : expected) {
    const double mean = static_cast<double>(c.probability) * draws;
    if (mean < 8) continue;
    statistic += (seen[c.id] - mean) * (seen[c.id] - mean) / mean;
    rest += mean;
    rest_seen -= seen[c.id];
    ++cells;
  }
  rest = draws - rest;
  if (rest > 8) {
    statistic += (rest_seen - rest) * (rest_seen - rest) / rest;
    ++cells;
  }
  ASSERT_GT(cells, 3);
  const double k = cells - 1, a = 2 / (9 * k);
  const double quantile = k * std::pow(1 - a + 3.719 * std::sqrt(a), 3);
  EXPECT_LT(statistic, quantile) << cells << " cells, T " << options.temperature << ", seed "
                                 << options.seed;
  for (const auto& [token, count] : seen)
    EXPECT_TRUE(std::any_of(expected.begin(), expected.end(),
                            [t = token](const Candidate& c) { return c.id == t; }))
        << token << " was drawn " << count << " times";
}

TEST(Sampler, DrawsFromTheDistribution) {
  std::mt19937_64 rng(3);
  const auto few = random_logits(rng, 9, 1), many = random_logits(rng, 700, 2);
  for (const std::vector<float>* logits : {&few, &many})
    for (const std::uint64_t seed : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{1} << 40}) {
      Sampler::Draw row;
      row.logits = *logits;
      SamplingOptions options;
      options.seed = seed;
      options.temperature = 1;
      expect_distribution(row, options);
      options.temperature = 0.6;
      expect_distribution(row, options);
      options.temperature = 1.5;
      options.top_k = 7;
      expect_distribution(row, options);
      options.top_k = 0;
      options.top_p = 0.8;
      expect_distribution(row, options);
    }
}

// What distribution() says is what the reference keeps, whether the row is known whole or only its
// largest logits, and the same on every ISA.
TEST(Sampler, ItsDistributionEqualsTheReference) {
  int sparse = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 rng(seed);
    const std::size_t vocabulary = 1 + rng() % 400;
    std::vector<LogitBias> bias;
    const SamplingOptions options = random_options(rng, vocabulary, bias);
    const auto logits = random_logits(rng, vocabulary, static_cast<float>(1 + rng() % 5));
    const auto text = random_text(rng, rng() % 60, vocabulary);
    std::vector<std::uint32_t> allowed;
    if (rng() % 3 == 0) {
      allowed.resize((vocabulary + 31) / 32);
      for (auto& word : allowed) word = static_cast<std::uint32_t>(rng() | rng());
    }
    Sampler::Draw draw;
    draw.logits = logits;
    draw.text = text;
    draw.allowed = allowed;
    const auto expected = candidates_reference(draw, options);
    std::vector<float> first;
    for (const cpu::Isa isa : isas()) {
      auto sampler = Sampler::create(isa, static_cast<std::int64_t>(vocabulary), options);
      ASSERT_TRUE(sampler) << sampler.error().reason;
      std::vector<std::int32_t> tokens(static_cast<std::size_t>(sampler->most_tokens()));
      std::vector<float> probabilities(tokens.size());
      const auto found = sampler->distribution(draw, tokens, probabilities);
      if (expected.empty()) {
        EXPECT_FALSE(found);
        continue;
      }
      ASSERT_TRUE(found) << found.error().reason;
      if (options.truncates()) ++sparse;
      EXPECT_NEAR(found->sum(), 1, 1e-5) << "seed " << seed;
      for (const Candidate& c : expected)
        ASSERT_NEAR(found->of(c.id), static_cast<double>(c.probability),
                    1e-6 * static_cast<double>(c.probability) + 1e-30)
            << "seed " << seed << ", token " << c.id;
      ASSERT_LE(found->tokens.size(), expected.size()) << "seed " << seed;
      const std::vector<float> values(found->probabilities.begin(), found->probabilities.end());
      if (first.empty()) first = values;
      EXPECT_EQ(values, first) << "seed " << seed << ", " << to_string(isa);
      const auto short_room = std::span(tokens).first(tokens.size() - 1);
      EXPECT_FALSE(sampler->distribution(draw, short_room, probabilities));
    }
  }
  EXPECT_GT(sparse, 100);
}

TEST(Sampler, ItsDistributionNeedsTopKLogitsOnly) {
  std::mt19937_64 rng(6);
  const auto logits = random_logits(rng, 500, 3);
  SamplingOptions options;
  options.temperature = 0.8;
  options.top_k = 20;
  options.top_p = 0.9;
  auto sampler = Sampler::create(cpu::best_isa(), 500, options);
  ASSERT_TRUE(sampler);
  std::vector<Alternative> best(30);
  log_probability(cpu::best_isa(), logits, 0, best);
  std::vector<std::int32_t> ids, tokens(20), others(20);
  std::vector<float> values, p(20), q(20);
  for (const Alternative& a : best) {
    ids.push_back(a.id);
    values.push_back(logits[static_cast<std::size_t>(a.id)]);
  }
  Sampler::Draw whole, top;
  whole.logits = logits;
  top.top_ids = ids;
  top.top_logits = values;
  const auto a = sampler->distribution(whole, tokens, p), b = sampler->distribution(top, others, q);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(tokens, others);
  EXPECT_EQ(p, q);
  EXPECT_EQ(a->tokens.size(), b->tokens.size());
}

// Two rows of similar logits that share noise agree far more often than two independent draws.
TEST(Sampler, SharedNoiseCouplesSimilarRows) {
  std::mt19937_64 rng(8);
  const std::size_t vocabulary = 1000;
  auto a = random_logits(rng, vocabulary, 2);
  for (std::size_t i = 0; i < vocabulary; ++i) a[i] += static_cast<float>(i) * 1e-4f;
  auto b = a;
  std::normal_distribution<float> normal(0, 0.2f);
  for (float& v : b) v += normal(rng);
  SamplingOptions options;
  options.temperature = 1;
  auto shared = Sampler::create(cpu::best_isa(), vocabulary, options);
  options.seed = 1;
  auto other = Sampler::create(cpu::best_isa(), vocabulary, options);
  int with = 0, without = 0;
  for (int i = 0; i < 500; ++i) {
    Sampler::Draw target, draft;
    target.logits = a;
    draft.logits = b;
    target.position = draft.position = i;
    const std::int32_t token = *shared->choose(target);
    with += token == *shared->choose(draft) ? 1 : 0;
    without += token == *other->choose(draft) ? 1 : 0;
  }
  EXPECT_GT(with, 400);
  EXPECT_LT(without, 100);
}

TEST(Sampler, OptionsAreChecked) {
  const auto refused = [](auto change, const char* word) {
    SamplingOptions options;
    change(options);
    const auto sampler = Sampler::create(cpu::best_isa(), 10, options);
    return !sampler && sampler.error().code == Code::invalid_argument &&
           std::string(sampler.error().reason).find(word) != std::string::npos;
  };
  EXPECT_TRUE(refused([](auto& o) { o.temperature = -1; }, "temperature"));
  EXPECT_TRUE(refused([](auto& o) { o.temperature = NAN; }, "temperature"));
  EXPECT_TRUE(refused([](auto& o) { o.temperature = 1e-9; }, "temperature"));
  EXPECT_TRUE(refused([](auto& o) { o.top_k = -1; }, "top_k"));
  EXPECT_TRUE(refused([](auto& o) { o.top_p = 0; }, "top_p"));
  EXPECT_TRUE(refused([](auto& o) { o.top_p = 1.1; }, "top_p"));
  EXPECT_TRUE(refused([](auto& o) { o.min_p = NAN; }, "min_p"));
  EXPECT_TRUE(refused([](auto& o) { o.repetition_penalty = 0; }, "repetition_penalty"));
  EXPECT_TRUE(refused([](auto& o) { o.frequency_penalty = INFINITY; }, "frequency_penalty"));
  EXPECT_TRUE(refused([](auto& o) { o.presence_penalty = NAN; }, "presence_penalty"));
  EXPECT_TRUE(refused([](auto& o) { o.penalty_window = -2; }, "penalty_window"));
  const LogitBias outside{10, 1}, infinite{1, INFINITY}, nan{1, NAN};
  for (const LogitBias* b : {&outside, &infinite, &nan})
    EXPECT_TRUE(refused([b](auto& o) { o.logit_bias = {b, 1}; }, "logit_bias"));
}

TEST(LogProbability, EqualsTheReferenceAndIsTheSameOnEveryIsa) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 rng(seed);
    const auto logits = random_logits(rng, 1 + rng() % 400, 4);
    const auto token = static_cast<std::int32_t>(rng() % logits.size());
    long double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<long double>(x));
    const auto logprob = [&](std::int32_t id) {
      return static_cast<double>(static_cast<long double>(logits[static_cast<std::size_t>(id)]) -
                                 std::log(sum));
    };
    Sampler::Draw draw;
    draw.logits = logits;
    const auto sorted = candidates_reference(draw, {.temperature = 1});
    std::vector<Alternative> best(std::min<std::size_t>(logits.size(), 6)), first;
    for (const cpu::Isa isa : isas()) {
      const float found = log_probability(isa, logits, token, best);
      EXPECT_NEAR(found, logprob(token), 1e-5) << "seed " << seed;
      if (first.empty()) first = best;
      for (std::size_t i = 0; i < best.size(); ++i) {
        EXPECT_EQ(best[i].id, sorted[i].id) << "seed " << seed;
        EXPECT_NEAR(best[i].logprob, logprob(best[i].id), 1e-5) << "seed " << seed;
        EXPECT_EQ(best[i].logprob, first[i].logprob) << to_string(isa);
      }
    }
  }
}

// How sure a drafter is: near the exact sum, and of the same bytes everywhere.
TEST(SampleRow, QuickSumsAreNearTheExactOnes) {
  std::mt19937_64 rng(7);
  for (const std::size_t count : {1u, 31u, 32u, 33u, 1000u, 50001u})
    for (const float spread : {0.01f, 1.0f, 10.0f, 500.0f}) {
      std::vector<float> x = random_logits(rng, count, spread);
      x[count / 2] = -std::numeric_limits<float>::infinity();
      x[0] = 3 * spread;
      const float top = *std::max_element(x.begin(), x.end());
      const auto n = static_cast<std::int64_t>(count);
      std::vector<float> sums;
      for (const cpu::Isa isa : isas()) {
        const cpu::SampleRowUnit& unit = cpu::sample_row_unit(isa);
        sums.push_back(unit.quick_sum_of_exponentials(x.data(), n, top, 0.7f));
        const double exact = unit.sum_of_exponentials(x.data(), n, top, 0.7);
        EXPECT_NEAR(sums.back() / exact, 1, 2e-5) << count << " values, spread " << spread;
        EXPECT_EQ(std::memcmp(&sums.back(), &sums[0], sizeof(float)), 0) << to_string(isa);
      }
    }
}

}  // namespace
}  // namespace kedge::tests
