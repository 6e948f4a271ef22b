// DsparkConfig: the shape of a DFlash or DSpark draft model, read from its files' metadata, with
// what the formats say differently made equal. Plain data.
//
// DFlash (Chen, Liang, Liu 2026, arXiv 2602.06036): a few transformer layers guess a block of
// tokens at once. Slot 0 is the newest token, the others a mask token; all see the context, whose
// keys and values are made of hidden states of the target. DSpark (Cheng et al. 2026, arXiv
// 2607.05147) adds a Markov head, which corrects each slot's logits by the token before, and a
// confidence head.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kedge/model/config.hpp"
#include "kedge/op/markov_bias.hpp"

namespace kedge::inline KEDGE_ABI::draft {

struct DsparkConfig {
  std::string format;                 // "speculators", "DeepSpec", "z-lab", "SpecForge",
                                      // "Model Optimizer" or "GGUF"
  ModelConfig backbone;               // its layers; `vocabulary` is the target's
  std::int64_t draft_vocabulary = 0;  // rows of the head; less than the target's: a map says which
  std::int64_t target_width = 0;      // of one hidden state of the target
  std::int64_t block = 0;             // slots, as many as in training
  std::int32_t mask_token = 0;

  // Which token a slot guesses. True: slot k of a block at position a guesses a + k + 1, so all
  // slots do ("anchor-first"). False: slot k guesses its own position a + k, and slot 0 nothing
  // ("1+N"). Formats differ in what they mean by saying nothing; `layout` says how it was decided.
  bool sample_from_anchor = false;
  std::string layout;
  std::int64_t first_slot() const noexcept { return sample_from_anchor ? 0 : 1; }
  std::int64_t drafts() const noexcept { return block - first_slot(); }

  // Hidden states of the target that the context is made of, as Forward::Options::taps counts them:
  // k is what enters layer k. (z-lab and DeepSpec write the layer that it leaves, one less.) Empty:
  // speculators' default for the target's number of layers.
  std::vector<std::int32_t> taps;

  // What the slots of a layer see. Of the context: all, or the last `window` positions before the
  // block, the same for all slots. Of the block: all of it, or up to themselves.
  struct Layer {
    std::int64_t window = 0;  // 0: all
    bool causal = false;
  };
  std::vector<Layer> layers;

  std::int64_t rank = 0;  // of the Markov head; 0: there is none (DFlash)
  op::MarkovBias::Head head = op::MarkovBias::vanilla;
  bool confidence = false;              // there may be such a head
  bool confidence_with_markov = false;  // it also reads the Markov embedding

  bool absolute_map = false;       // d2t holds target ids (GGUF); else what is to be added
  std::vector<std::string> notes;  // what was assumed or left aside, a sentence each

  const char* kind() const noexcept { return rank > 0 ? "DSpark" : "DFlash"; }
};

// Whether the files say that they are such a model.
KEDGE_API bool is_dspark(const ModelFiles& files) noexcept;
// Errors name the file and the key.
KEDGE_API Result<DsparkConfig> read_dspark_config(const ModelFiles& files) noexcept;

// For people: one "name: value" per line, the layout and why, taps, windows, heads, notes.
KEDGE_API Result<std::string> describe(const DsparkConfig& config) noexcept;

}  // namespace kedge::inline KEDGE_ABI::draft
