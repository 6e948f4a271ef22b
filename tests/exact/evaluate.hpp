// Texts through a Forward in chosen chunks, with the logits of every position.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "exact/compare.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/sequence.hpp"
#include "support/show.hpp"

namespace kedge::tests {

struct EvaluateOptions {
  cpu::Isa isa = cpu::Isa::best;
  Executor* executor = nullptr;
  Element cache = Element::f16;
  RecurrentPolicy policy = {};
};

// Chunk sizes that sum to `total`: all `width`, the last one maybe smaller.
inline std::vector<std::int64_t> equal_chunks(std::int64_t total, std::int64_t width) {
  std::vector<std::int64_t> chunks;
  for (std::int64_t done = 0; done < total; done += chunks.back())
    chunks.push_back(std::min(width, total - done));
  return chunks;
}
// Chunks of 1 to `most`, small ones as often as large ones.
inline std::vector<std::int64_t> random_chunks(std::uint64_t seed, std::int64_t total,
                                               std::int64_t most) {
  std::mt19937_64 rng(seed);
  std::vector<std::int64_t> chunks;
  for (std::int64_t done = 0; done < total; done += chunks.back()) {
    const std::int64_t bound = rng() % 2 == 0 ? std::min<std::int64_t>(17, most) : most;
    const auto size = 1 + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(bound));
    chunks.push_back(std::min(size, total - done));
  }
  return chunks;
}

inline Result<Logits> evaluate(const std::shared_ptr<const Model>& model,
                               const EvaluateOptions& options, std::span<const std::int32_t> tokens,
                               std::span<const std::int64_t> chunks) {
  const ModelConfig& config = model->config();
  const auto total = static_cast<std::int64_t>(tokens.size());
  KEDGE_TRY(const Cpu cpu, Cpu::create({options.isa, options.executor}));
  KvCache::Options kv;
  kv.element = options.cache;
  kv.positions = total;
  kv.storage = model->state_storage();
  KEDGE_TRY(KvCache cache,
            KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv));
  RecurrentState recurrent;
  if (!config.recurrent.empty()) {
    KEDGE_TRY(recurrent, RecurrentState::create(config.recurrent,
                                                {.policy = options.policy, .storage = kv.storage}));
  }
  Forward::Options room;
  room.max_rows = room.max_outputs = *std::max_element(chunks.begin(), chunks.end());
  KEDGE_TRY(Forward forward, Forward::create(model, cpu, cache, room, recurrent.or_null()));
  KEDGE_TRY(Sequence sequence, Sequence::create(cache, recurrent.or_null()));
  Logits logits(config.vocabulary);
  std::vector<Row> rows;
  for (const std::int64_t count : chunks) {
    KEDGE_TRY(Transaction transaction, sequence.begin(count));
    const std::int64_t first = transaction.first_position();
    rows.clear();
    for (std::int64_t p = first; p < first + count; ++p)
      rows.push_back({tokens[static_cast<std::size_t>(p)], static_cast<std::int32_t>(p),
                      sequence.index(), Need::logits});
    KEDGE_CHECK(forward.run(rows));
    for (std::int64_t i = 0; i < count; ++i) logits.set(first + i, forward.logits(i));
    KEDGE_CHECK(transaction.commit(count));
  }
  return logits;
}

// evaluate() that fails the test instead of returning an error; empty logits then.
inline Logits must_evaluate(const std::shared_ptr<const Model>& model,
                            const EvaluateOptions& options, std::span<const std::int32_t> tokens,
                            std::span<const std::int64_t> chunks) {
  auto result = evaluate(model, options, tokens, chunks);
  EXPECT_TRUE(result) << show(result.error());
  return result ? *std::move(result) : Logits();
}

}  // namespace kedge::tests
