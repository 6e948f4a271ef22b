// Golden drafts (tests/golden/dspark.py): loading them, and driving a drafter through their rounds.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kedge/draft/dspark.hpp"
#include "kedge/io/safetensors.hpp"
#include "support/show.hpp"

namespace kedge::tests {

inline std::string golden_draft(const std::string& name) {
  return std::string(KEDGE_GOLDEN_DIR "/dspark/") + name;
}

struct Golden {
  template <class T>
  static std::vector<T> values(const io::Safetensors& file, const char* name) {
    const io::SafeTensor* entry = file.tensor(name);
    if (entry == nullptr) return {};
    auto bytes = file.read(*entry);
    EXPECT_TRUE(bytes);
    std::vector<T> result(bytes->size / sizeof(T));
    std::memcpy(result.data(), bytes->data, bytes->size);
    return result;
  }

  explicit Golden(const std::string& name) {
    auto file = io::Safetensors::open(golden_draft(name + ".safetensors").c_str());
    EXPECT_TRUE(file) << show(file.error());
    if (!file) return;
    tokens = values<std::int32_t>(*file, "tokens");
    features = values<float>(*file, "features");
    anchors = values<std::int32_t>(*file, "anchors");
    drafts = values<std::int32_t>(*file, "drafts");
    logits = values<float>(*file, "logits");
    confidences = values<float>(*file, "confidences");
    rounds = anchors.size();
    length = drafts.size() / rounds;
    vocabulary = logits.size() / drafts.size();
    width = features.size() / tokens.size();
  }

  Tensor rows(std::int64_t first, std::int64_t end) const {
    return tensor(features.data() + static_cast<std::size_t>(first) * width, Element::f32,
                  end - first, static_cast<std::int64_t>(width));
  }
  std::span<const std::int32_t> text(std::int64_t first, std::int64_t end) const {
    return std::span(tokens).subspan(static_cast<std::size_t>(first),
                                     static_cast<std::size_t>(end - first));
  }

  std::vector<std::int32_t> tokens, anchors, drafts;
  std::vector<float> features, logits, confidences;
  std::size_t rounds = 0, length = 0, vocabulary = 0, width = 0;
};

inline Result<std::shared_ptr<const draft::DsparkModel>> load_draft(
    const std::string& name, const Model::Options& options = {}) {
  KEDGE_TRY(const ModelFiles files, ModelFiles::open(golden_draft(name).c_str()));
  return draft::DsparkModel::load(files, options);
}

// A text whose newest token is the round's anchor: what a session tells a drafter. `chunk` rows of
// hidden states come at a time.
template <class D>
void go_to_round(D& drafter, const Golden& golden, std::size_t round, std::int64_t chunk) {
  const std::int64_t anchor = golden.anchors[round];
  const std::int64_t before = round == 0 ? -1 : golden.anchors[round - 1];
  std::int64_t known = std::max<std::int64_t>(before, 0);
  if (round == 0) {
    ASSERT_TRUE(drafter.begin(golden.text(0, anchor + 1)));
  } else if (anchor < before) {
    // Cut one token before, so that the state of all that is left of the text stays known.
    ASSERT_TRUE(drafter.truncate(anchor));
    ASSERT_TRUE(drafter.append(golden.text(anchor, anchor + 1)));
    known = anchor;
  } else {
    ASSERT_TRUE(drafter.append(golden.text(before + 1, anchor + 1)));
  }
  for (; known < anchor; known += chunk) {
    const Status status =
        drafter.evaluated(known, golden.rows(known, std::min(anchor, known + chunk)));
    ASSERT_TRUE(status) << show(status.error());
  }
}

inline const SamplingOptions greedy;

inline draft::Dspark make_dspark(const std::string& name, cpu::Isa isa = cpu::Isa::best,
                                 std::int64_t pending = 256, bool logits = true) {
  auto model = load_draft(name);
  EXPECT_TRUE(model) << show(model.error());
  draft::Dspark::Options options;
  options.positions = 256;
  options.pending = pending;
  options.cache = Element::f32;
  options.logits = logits;
  auto drafter = draft::Dspark::create(*model, *Cpu::create({isa, nullptr}), options);
  EXPECT_TRUE(drafter) << show(drafter.error());
  return *std::move(drafter);
}

inline draft::Ask ask_behind(const Golden& golden, std::size_t round, std::int64_t count,
                             const SamplingOptions& sampling = greedy) {
  draft::Ask ask;
  ask.count = count;
  ask.position = golden.anchors[round] + 1;
  ask.sampling = &sampling;
  return ask;
}

}  // namespace kedge::tests
