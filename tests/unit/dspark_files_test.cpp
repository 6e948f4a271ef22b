// Draft models' files: what a format means by what it says and by what it does not, and what is
// wrong with files that are.
#include <fstream>
#include <sstream>

#include "unit/dspark_golden.hpp"

namespace kedge::tests {
namespace {

using draft::DsparkConfig;
using draft::DsparkModel;

std::string config_text(const std::string& name) {
  std::ifstream file(golden_draft(name + "/config.json"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A folder of this config.json and the tensors of a golden draft.
Result<ModelFiles> files_of(const std::string& config, const std::string& tensors) {
  io::Source source = io::Source::memory(std::as_bytes(std::span(config)), "config.json");
  KEDGE_TRY(io::Source weights,
            io::Source::open(golden_draft(tensors + "/model.safetensors").c_str()));
  std::vector<io::Source> list;
  list.push_back(std::move(weights));
  return ModelFiles::from_folder(std::move(source), std::move(list));
}

Result<DsparkConfig> read(const std::string& config, const std::string& tensors) {
  KEDGE_TRY(const ModelFiles files, files_of(config, tensors));
  return draft::read_dspark_config(files);
}

void expect_error(const std::string& config, const std::string& tensors, const char* text) {
  const auto files = files_of(config, tensors);
  ASSERT_TRUE(files) << show(files.error());
  const auto model = DsparkModel::load(*files, {});
  ASSERT_FALSE(model) << text;
  EXPECT_NE(show(model.error()).find(text), std::string::npos) << show(model.error());
}

TEST(DsparkFiles, LayoutIsSaidAndDecided) {
  struct Expected {
    const char* name;
    bool from_anchor;
    const char* why;
  };
  for (const Expected& e :
       {Expected{"first", true, "sample_from_anchor says so"},
        Expected{"bonus", false, "speculative_tokens 5 of block_size 6"},
        Expected{"bonus_rnn", false, "says so"}, Expected{"dflash", false, "says so"},
        Expected{"deepspec", true, "DSpark of this format"},
        Expected{"model_optimizer", true, "shift_label says so"}, Expected{"zlab", false, "DFlash"},
        Expected{"first.gguf", true, "dflash.sample_from_anchor says so"},
        Expected{"bonus.gguf", false, "dflash.sample_from_anchor says so"}}) {
    const auto files = ModelFiles::open(golden_draft(e.name).c_str());
    ASSERT_TRUE(files);
    EXPECT_TRUE(draft::is_dspark(*files)) << e.name;
    const auto c = draft::read_dspark_config(*files);
    ASSERT_TRUE(c) << show(c.error());
    EXPECT_EQ(c->sample_from_anchor, e.from_anchor) << e.name;
    EXPECT_EQ(c->drafts(), c->block - (e.from_anchor ? 0 : 1)) << e.name;
    EXPECT_NE(c->layout.find(e.why), std::string::npos) << e.name << ": " << c->layout;
    const auto text = draft::describe(*c);
    ASSERT_TRUE(text);
    EXPECT_NE(text->find(e.from_anchor ? "anchor-first" : "1+N"), std::string::npos) << *text;
  }
  // A speculators file without the key whose tokens are those of a block is anchor-first.
  const auto c =
      read(replaced(config_text("bonus"), "\"speculative_tokens\": 5", "\"speculative_tokens\": 6"),
           "bonus");
  ASSERT_TRUE(c) << show(c.error());
  EXPECT_TRUE(c->sample_from_anchor);
  // One that says both: the key decides, and the contradiction is noted.
  const auto both = read(replaced(config_text("bonus"), "\"block_size\"",
                                  "\"sample_from_anchor\": true, \"block_size\""),
                         "bonus");
  ASSERT_TRUE(both) << show(both.error());
  EXPECT_TRUE(both->sample_from_anchor);
  ASSERT_EQ(both->notes.size(), 1u);
  EXPECT_NE(both->notes[0].find("does not fit"), std::string::npos) << both->notes[0];
}

TEST(DsparkFiles, LayersAreNumberedByWhatEntersThem) {
  const std::vector<std::int32_t> expected = {1, 3, 6};
  for (const char* name : {"first", "deepspec", "model_optimizer", "zlab", "first.gguf"}) {
    const auto files = ModelFiles::open(golden_draft(name).c_str());
    const auto c = draft::read_dspark_config(*files);
    ASSERT_TRUE(c) << show(c.error());
    EXPECT_EQ(c->taps, expected) << name;
  }
  // What leaves the last of 8 layers is what transformers gives behind the final norm.
  const auto c =
      read(replaced(config_text("zlab"), "\"num_target_layers\": 8", "\"num_target_layers\": 6"),
           "zlab");
  ASSERT_TRUE(c) << show(c.error());
  EXPECT_EQ(c->taps, (std::vector<std::int32_t>{1, 3, -1}));
  EXPECT_FALSE(c->notes.empty());
}

TEST(DsparkFiles, WhatSlotsSee) {
  const auto layers = [](const char* name) {
    const auto files = ModelFiles::open(golden_draft(name).c_str());
    return draft::read_dspark_config(*files)->layers;
  };
  EXPECT_EQ(layers("first")[0].window, 0);
  EXPECT_FALSE(layers("first")[0].causal);
  EXPECT_EQ(layers("gated")[0].window, 9);
  EXPECT_TRUE(layers("gated")[0].causal);  // a sliding layer that does not say otherwise
  EXPECT_FALSE(layers("gated")[1].causal);
  EXPECT_FALSE(layers("rnn")[0].causal);  // sliding_window_non_causal
  const auto swa = read(replaced(config_text("zlab"), "\"target_layer_ids\"",
                                 "\"use_swa\": true, \"swa_window_size\": 5, \"causal\": false, "
                                 "\"target_layer_ids\""),
                        "zlab");
  ASSERT_TRUE(swa) << show(swa.error());
  for (const auto& l : swa->layers) EXPECT_TRUE(l.window == 5 && !l.causal);
  const auto turned = read(replaced(config_text("zlab"), "\"hidden_size\"",
                                    "\"rope_is_neox_style\": false, \"hidden_size\""),
                           "zlab");
  ASSERT_TRUE(turned) << show(turned.error());
  EXPECT_TRUE(turned->backbone.rope_interleaved);
}

// Offsets in safetensors, ids in GGUF.
TEST(DsparkFiles, MapsOfBothKindsAreTheSame) {
  const auto folder = load_draft("bonus"), gguf = load_draft("bonus.gguf");
  ASSERT_TRUE(folder) << show(folder.error());
  ASSERT_TRUE(gguf) << show(gguf.error());
  ASSERT_EQ((*folder)->config().draft_vocabulary, 48);
  bool moved = false;
  for (std::int32_t i = 0; i < 48; ++i) {
    EXPECT_EQ((*folder)->target_token(i), (*gguf)->target_token(i));
    moved = moved || (*folder)->target_token(i) != i;
  }
  EXPECT_TRUE(moved);
}

TEST(DsparkFiles, QuantizedWhileLoadingTheyStillDraft) {
  Model::Options options;
  options.quantize = Element::q8_0;
  // Rows of 16 and 48 are no whole blocks of 32: the error says so.
  const auto model = load_draft("first", options);
  ASSERT_FALSE(model);
  EXPECT_NE(show(model.error()).find("divisible by 32"), std::string::npos) << show(model.error());
}

TEST(DsparkFiles, ErrorsNameTheField) {
  const std::string first = config_text("first"), zlab = config_text("zlab");
  expect_error(replaced(first, "\"dspark\"", "\"eagle3\""), "first", "speculators_model_type");
  expect_error(replaced(first, "\"mask_token_id\": 129", "\"mask_token_id\": 131"), "first",
               "mask_token_id: expected less than vocab_size 131, found 131");
  expect_error(replaced(first, "\"mask_token_id\": 129", "\"mask_token_id\": null"), "first",
               "mask_token_id: expected a token, found none");
  expect_error(replaced(first, "\"vanilla\"", "\"cubic\""), "first", "markov_head_type");
  expect_error(replaced(first, "\"markov_rank\": 16", "\"markov_rank\": 8"), "first",
               "markov_head.markov_w1.weight: expected 131 x 8");
  expect_error(replaced(first, "\"block_size\": 6", "\"block_size\": 0"), "first", "block_size");
  expect_error(replaced(first, "\"hidden_size\": 32", "\"hidden_size\": 64"), "first",
               "fc.weight: expected 64 x 192");
  expect_error(replaced(first, "\"draft_vocab_size\": 131", "\"draft_vocab_size\": 48"), "first",
               "lm_head.weight: expected 48 x 32");
  expect_error(replaced(first, "\"model_type\": \"qwen3\"", "\"model_type\": \"llama\""), "first",
               "transformer_layer_config.model_type");
  expect_error(
      replaced(first, "\"enable_confidence_head\": true", "\"enable_confidence_head\": false"),
      "first", "no use for tensor confidence_head.proj");
  expect_error(replaced(zlab, "\"target_layer_ids\"",
                        "\"attention_sink_bias\": true, "
                        "\"target_layer_ids\""),
               "zlab", "attention_sink_bias");
  expect_error(replaced(zlab, "DFlashDraftModel", "Eagle"), "zlab", "architectures");
  expect_error(replaced(config_text("gated"), "\"sliding_window\": 9", "\"sliding_window\": null"),
               "gated", "sliding_window: expected a value");
}

// A draft of another width or vocabulary, or of layers that the target does not have.
TEST(DsparkFiles, TheTargetMustFit) {
  auto target = Model::load(KEDGE_GOLDEN_DIR "/hybrid/three.gguf", {});
  ASSERT_TRUE(target) << show(target.error());
  const auto model = DsparkModel::load(golden_draft("first").c_str(), *target, {});
  ASSERT_FALSE(model);
  EXPECT_NE(show(model.error()).find("expects a width of 32, the target has 24"), std::string::npos)
      << show(model.error());
}

}  // namespace
}  // namespace kedge::tests
