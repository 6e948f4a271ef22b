// ModelConfig: the shape of a model, read from a file's metadata and checked once. Plain data.
#pragma once

#include <cstdint>
#include <string>

#include "kedge/core/result.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/model/rope_table.hpp"

namespace kedge::inline KEDGE_ABI {

struct ModelConfig {
  std::string architecture;  // "llama"
  std::string name;          // general.name, may be empty
  std::int64_t vocabulary = 0;
  std::int64_t layers = 0;
  std::int64_t width = 0;         // of the residual stream
  std::int64_t feed_forward = 0;  // hidden width of the gated unit
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t rotary_dims = 0;
  std::int64_t context = 0;  // positions that the model was trained for
  double rope_base = 10000;
  RopeScaling rope_scaling;
  bool rope_interleaved = true;
  float norm_eps = 1e-5f;
  bool tied_output = false;  // the output head is the embedding
};

// Code::unsupported names an architecture that Kedge does not know; Code::malformed a key whose
// value cannot be (zero heads, a head size that does not divide the width, ...).
KEDGE_API Result<ModelConfig> read_config(const io::Gguf& file) noexcept;

}  // namespace kedge::inline KEDGE_ABI
