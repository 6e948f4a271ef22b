// ModelConfig: the shape of a model, read from its files' metadata and checked once. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kedge/core/result.hpp"
#include "kedge/model/files.hpp"
#include "kedge/model/rope_table.hpp"
#include "kedge/state/recurrent_shape.hpp"

namespace kedge::inline KEDGE_ABI {

// What mixes the tokens of a layer.
enum class Mixer : std::uint8_t {
  attention,
  delta,  // a convolution and a gated delta rule, whose state does not grow (op/gated_delta.hpp)
};

struct ModelConfig {
  std::string architecture;  // "llama", "qwen2", "qwen3", ...
  std::string name;          // general.name of a GGUF file, may be empty
  std::int64_t vocabulary = 0;
  std::int64_t layers = 0;
  std::int64_t width = 0;         // of the residual stream
  std::int64_t feed_forward = 0;  // hidden width of the gated unit
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t rotary_dims = 0;
  std::vector<Mixer> mixers;    // of every layer; empty: attention everywhere
  RecurrentShape recurrent;     // of the delta mixers
  std::int64_t mtp_layers = 0;  // layers behind the others that predict further tokens, not loaded
  std::int64_t context = 0;     // positions that the model was trained for
  double rope_base = 10000;
  RopeScaling rope_scaling;
  bool rope_interleaved = true;  // pairs (2i, 2i+1); else (i, i + rotary_dims / 2)
  float norm_eps = 1e-5f;
  bool tied_output = false;            // the output head is the embedding
  bool qk_norm = false;                // queries and keys are normalised head by head
  bool qkv_bias = false;               // added to queries, keys and values
  bool attention_output_bias = false;  // added behind the attention's output matrix
  bool feed_forward_bias = false;      // added behind all three matrices of the gated unit
  bool attention_gated = false;        // the attention's output is multiplied by a sigmoid

  Mixer mixer(std::int64_t layer) const noexcept {
    return mixers.empty() ? Mixer::attention : mixers[static_cast<std::size_t>(layer)];
  }
  // Those that have keys and values in a cache.
  std::int64_t attention_layers() const noexcept { return layers - recurrent.layers; }
};

// Code::unsupported names an architecture or a feature that Kedge does not know; Code::malformed a
// key whose value cannot be (zero heads, key/value heads that do not divide the heads, ...).
KEDGE_API Result<ModelConfig> read_config(const ModelFiles& files) noexcept;
KEDGE_API Result<ModelConfig> read_config(const io::Gguf& file) noexcept;

}  // namespace kedge::inline KEDGE_ABI
