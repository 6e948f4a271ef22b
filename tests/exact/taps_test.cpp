// Hidden states that a forward keeps: what the layers before a tap make of the text, equal however
// the text is split, and nothing else changes because of them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "exact/errors.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::tests {
namespace {

using Floats = std::vector<float>;

struct Evaluated {
  Floats features, logits;  // of all rows
};

Evaluated evaluate(const std::shared_ptr<const Model>& model, std::span<const std::int32_t> text,
                   std::vector<std::int32_t> taps, std::int64_t chunk) {
  const ModelConfig& c = model->config();
  auto cache = KvCache::create(c.attention_layers(), c.kv_heads, c.head_dim,
                               {.element = Element::f32, .positions = 256});
  EXPECT_TRUE(cache);
  Forward::Options options;
  options.max_outputs = 256;
  options.taps = taps;
  auto forward = Forward::create(model, *Cpu::create({}), *cache, options);
  EXPECT_TRUE(forward) << show(forward.error());
  taps.clear();  // the forward has a copy
  auto sequence = Sequence::create(*cache);
  Evaluated e;
  const auto size = static_cast<std::int64_t>(text.size());
  for (std::int64_t first = 0; first < size; first += chunk) {
    const std::int64_t count = std::min(chunk, size - first);
    std::vector<Row> rows;
    for (std::int64_t i = first; i < first + count; ++i)
      rows.push_back({text[static_cast<std::size_t>(i)], static_cast<std::int32_t>(i),
                      sequence->index(), Need::logits});
    auto transaction = sequence->begin(count);
    EXPECT_TRUE(forward->run(rows));
    EXPECT_TRUE(transaction->commit(count));
    const Tensor f = forward->features();
    for (std::int64_t i = 0; i < count; ++i) {
      if (!f.empty())
        e.features.insert(e.features.end(), f.row<float>(i), f.row<float>(i) + f.width());
      const auto logits = forward->logits(i);
      e.logits.insert(e.logits.end(), logits.begin(), logits.end());
    }
  }
  return e;
}

TEST(Taps, AreTheResidualStreamBetweenTheLayers) {
  TinySpec spec = tiny_spec({Element::f32}, 4);
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  const ModelConfig& c = model->config();
  const auto layers = static_cast<std::int32_t>(c.layers);
  const auto text = random_tokens(1, 71, spec.vocabulary);
  const auto width = static_cast<std::size_t>(c.width);
  const std::vector<std::int32_t> taps = {layers, 0, tap_normed, 1, 0};
  const Evaluated plain = evaluate(model, text, {}, 16), e = evaluate(model, text, taps, 16);
  EXPECT_TRUE(plain.features.empty());
  ASSERT_EQ(e.features.size(), text.size() * taps.size() * width);
  EXPECT_EQ(0, std::memcmp(plain.logits.data(), e.logits.data(), 4 * e.logits.size()));
  for (const std::int64_t chunk : {1, 3, 71}) {
    const Evaluated other = evaluate(model, text, taps, chunk);
    EXPECT_EQ(0, std::memcmp(other.features.data(), e.features.data(), 4 * e.features.size()))
        << chunk;
  }
  const Tensor& norm = model->weights().output_norm;
  for (std::size_t r = 0; r < text.size(); ++r) {
    const float* row = e.features.data() + r * taps.size() * width;
    // What enters layer 0 is the embedding, the same for equal tokens, and here twice.
    EXPECT_EQ(0, std::memcmp(row + width, row + 4 * width, 4 * width));
    for (std::size_t other = 0; other < r; ++other)
      EXPECT_EQ(text[r] == text[other],
                0 == std::memcmp(row + width, e.features.data() + (other * taps.size() + 1) * width,
                                 4 * width));
    EXPECT_NE(0, std::memcmp(row + 3 * width, row + width, 4 * width)) << "layer 0 did something";
    EXPECT_NE(0, std::memcmp(row + 3 * width, row, 4 * width)) << "so did the others";
    // The normed one is the norm of what leaves the last layer.
    double square = 0;
    for (std::size_t i = 0; i < width; ++i) square += double(row[i]) * row[i];
    const double scale = 1 / std::sqrt(square / double(width) + double(c.norm_eps));
    for (std::size_t i = 0; i < width; ++i)
      EXPECT_NEAR(row[2 * width + i], row[i] * scale * double(norm.row<float>(0)[i]),
                  1e-5 * (1 + std::abs(row[2 * width + i])));
  }
}

TEST(Taps, OfLayersThatDoNotExistAreErrors) {
  const auto model = load_tiny(tiny_spec({Element::f32}, 4));
  const ModelConfig& c = model->config();
  auto cache = KvCache::create(c.layers, c.kv_heads, c.head_dim, {.positions = 64});
  for (const std::int32_t wrong : {-2, static_cast<std::int32_t>(c.layers) + 1}) {
    Forward::Options options;
    options.taps = {&wrong, 1};
    const auto forward = Forward::create(model, *Cpu::create({}), *cache, options);
    EXPECT_TRUE(
        fails_with(forward, Code::invalid_argument, {"taps", std::to_string(wrong).c_str()}));
  }
}

}  // namespace
}  // namespace kedge::tests
