// Taps: the hidden states that drafters read are those that the pass computes, whatever runs beside
// a row, and a pass that has them computes the same logits as one that has none.
#include <gtest/gtest.h>

#include <array>

#include "exact/errors.hpp"
#include "exact/evaluate.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/kernel/cpu/panel.hpp"

namespace kedge::tests {
namespace {

struct Tapped {
  Logits logits;
  std::vector<float> features;  // [length, taps * width]
};

Tapped run(const std::shared_ptr<const Model>& model, std::span<const std::int32_t> text,
           std::span<const std::int64_t> chunks, std::span<const std::int32_t> taps,
           Need need = Need::logits) {
  const ModelConfig& c = model->config();
  Tapped found{Logits(c.vocabulary), {}};
  const Cpu cpu = *Cpu::create({});
  KvCache::Options kv;
  kv.positions = static_cast<std::int64_t>(text.size());
  auto cache = KvCache::create(c.attention_layers(), c.kv_heads, c.head_dim, kv);
  RecurrentState recurrent;
  if (!c.recurrent.empty()) recurrent = *RecurrentState::create(c.recurrent, {});
  Forward::Options options;
  options.max_rows = options.max_outputs = *std::max_element(chunks.begin(), chunks.end());
  options.taps = taps;
  auto forward = Forward::create(model, cpu, *cache, options, recurrent.or_null());
  EXPECT_TRUE(forward) << show(forward.error());
  auto sequence = Sequence::create(*cache, recurrent.or_null());
  for (const std::int64_t count : chunks) {
    auto transaction = sequence->begin(count);
    const std::int64_t first = transaction->first_position();
    std::vector<Row> rows;
    for (std::int64_t p = first; p < first + count; ++p)
      rows.push_back({text[static_cast<std::size_t>(p)], static_cast<std::int32_t>(p),
                      sequence->index(), need});
    EXPECT_TRUE(forward->run(rows));
    const Tensor f = forward->features();
    if (taps.empty()) {
      EXPECT_TRUE(f.empty());
    } else {
      EXPECT_EQ(f.rows(), count);
      EXPECT_EQ(f.width(), static_cast<std::int64_t>(taps.size()) * c.width);
      found.features.insert(found.features.end(), f.as<float>(),
                            f.as<float>() + f.rows() * f.width());
    }
    if (need == Need::logits)
      for (std::int64_t i = 0; i < count; ++i) found.logits.set(first + i, forward->logits(i));
    EXPECT_TRUE(transaction->commit(count));
  }
  return found;
}

constexpr std::int64_t length = 70;

TEST(Taps, ChangeNoLogitAndDoNotDependOnTheSplit) {
  for (const TinyKind kind : {TinyKind(Element::f32), TinyKind(Element::q4_0, "qwen3")}) {
    const auto model = load_tiny(tiny_spec(kind));
    ASSERT_NE(model, nullptr);
    const auto text = random_tokens(3, length, model->config().vocabulary);
    const std::int32_t taps[] = {1, -1, 0, static_cast<std::int32_t>(model->config().layers), 1};
    const Tapped plain = run(model, text, equal_chunks(length, 1), {});
    const Tapped one = run(model, text, equal_chunks(length, 1), taps);
    EXPECT_TRUE(same_bytes(plain.logits, one.logits));
    for (const std::int64_t width : {2, 16, 23, 70}) {
      const Tapped wide = run(model, text, equal_chunks(length, width), taps);
      EXPECT_TRUE(same_bytes(plain.logits, wide.logits)) << width;
      EXPECT_EQ(one.features, wide.features) << width;
    }
    // Rows whose logits nobody wants have them too.
    const Tapped unwanted = run(model, text, equal_chunks(length, 16), taps, Need::none);
    EXPECT_EQ(one.features, unwanted.features);
  }
}

// Tap 0 is the embedding; what enters layer 1 is what leaves a model of one layer; the final norm
// of what leaves the last layer is tap -1; and its product with the head the logits.
TEST(Taps, AreWhatTheListSays) {
  TinySpec spec;
  spec.layers = 2;
  TinyFile file = make_tiny(spec);
  auto loaded = load_bytes(file.write());
  ASSERT_TRUE(loaded);
  TinyFile half = make_tiny(spec);
  half.spec.layers = 1;
  std::erase_if(half.tensors, [](const TinyTensor& t) { return t.name.starts_with("blk.1."); });
  auto first_layer = load_bytes(half.write());
  ASSERT_TRUE(first_layer) << show(first_layer.error());

  const auto text = random_tokens(4, length, spec.vocabulary);
  const std::int32_t taps[] = {0, 1, 2, -1};
  const Tapped found = run(*loaded, text, equal_chunks(length, 16), taps);
  const std::int32_t last[] = {1};
  const Tapped shorter = run(*first_layer, text, equal_chunks(length, 16), last);
  const auto width = static_cast<std::size_t>(spec.width);
  std::vector<float> row(width);
  const ModelWeights& w = (*loaded)->weights();
  for (std::size_t p = 0; p < static_cast<std::size_t>(length); ++p) {
    const float* f = found.features.data() + p * 4 * width;
    cpu::decode_panel_row(w.embedding.element,
                          w.embedding.data + static_cast<std::size_t>(text[p] / 16) *
                                                 cpu::panel_bytes(w.embedding.element, spec.width),
                          text[p] % 16, spec.width, row.data());
    ASSERT_EQ(std::memcmp(f, row.data(), width * 4), 0) << p;
    ASSERT_EQ(std::memcmp(f + width, shorter.features.data() + p * width, width * 4), 0) << p;
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) squares += double{f[2 * width + i]} * f[2 * width + i];
    const double scale =
        1 / std::sqrt(squares / double(spec.width) + double{(*loaded)->config().norm_eps});
    for (std::size_t i = 0; i < width; ++i)
      ASSERT_NEAR(f[3 * width + i], f[2 * width + i] * scale * w.output_norm.as<float>()[i], 1e-5);
    const auto logits = found.logits.row(static_cast<std::int64_t>(p));
    for (const std::int64_t token : {std::int64_t{0}, spec.vocabulary - 1}) {
      cpu::decode_panel_row(w.output.element,
                            w.output.data + static_cast<std::size_t>(token / 16) *
                                                cpu::panel_bytes(w.output.element, spec.width),
                            token % 16, spec.width, row.data());
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) sum += double{row[i]} * f[3 * width + i];
      ASSERT_NEAR(logits[static_cast<std::size_t>(token)], sum, 1e-4) << p;
    }
  }
}

TEST(Taps, OfHybridModels) {
  auto model = Model::load(KEDGE_GOLDEN_DIR "/hybrid/three.gguf", {});
  ASSERT_TRUE(model) << show(model.error());
  const auto layers = static_cast<std::int32_t>((*model)->config().layers);
  const auto text = random_tokens(3, length, (*model)->config().vocabulary);
  const std::int32_t taps[] = {-1, layers, 2};
  const Tapped plain = run(*model, text, equal_chunks(length, 16), {});
  const Tapped found = run(*model, text, equal_chunks(length, 16), taps);
  const Tapped one = run(*model, text, equal_chunks(length, 1), taps);
  EXPECT_TRUE(same_bytes(plain.logits, found.logits));
  EXPECT_EQ(one.features, found.features);
}

TEST(Taps, OutsideTheModelAreErrors) {
  const auto model = load_tiny(tiny_spec(TinyKind(Element::f32)));
  KvCache::Options kv;
  kv.positions = 64;
  const ModelConfig& c = model->config();
  auto cache = KvCache::create(c.layers, c.kv_heads, c.head_dim, kv);
  for (const std::int32_t tap : {-2, static_cast<std::int32_t>(c.layers) + 1}) {
    Forward::Options options;
    options.taps = {&tap, 1};
    const auto forward = Forward::create(model, *Cpu::create({}), *cache, options);
    ASSERT_FALSE(forward);
    EXPECT_NE(std::strstr(forward.error().reason, "taps"), nullptr) << show(forward.error());
  }
}

}  // namespace
}  // namespace kedge::tests
