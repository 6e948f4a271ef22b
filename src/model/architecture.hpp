// What tells the dense transformers apart, as rows of a table: one assembler and one loader serve
// them all. A new one of this family is a row here. Private to the compiled library.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kedge/model/config.hpp"
#include "kedge/model/model.hpp"

namespace kedge::inline KEDGE_ABI {

// Whether products have a bias. stated: the tensors of a GGUF file say so, and attention_bias or
// mlp_bias of a config.json.
enum class Biases : std::uint8_t { never, always, stated };

struct Architecture {
  const char* name;        // general.architecture of GGUF, model_type of config.json
  const char* class_name;  // in `architectures` of config.json
  bool gguf;               // whether GGUF has it under this name
  bool gguf_interleaved;   // GGUF's conversion permutes q and k for pairs (2i, 2i+1)
  bool qk_norm;
  Biases qkv, attention_output, feed_forward;
  std::int64_t folder_head_dim;  // where config.json has none; 0: width / heads
};

std::span<const Architecture> architectures() noexcept;
const Architecture* find_architecture(std::string_view name, bool gguf) noexcept;
// "llama, qwen2, qwen3"
std::string architecture_names(bool gguf);

// An extent of a tensor, from the configuration; one: it is a vector.
enum class Size : std::uint8_t { one, width, q, kv, head_dim, feed_forward };
std::int64_t size_of(Size size, const ModelConfig& config) noexcept;

// A tensor of every layer, in the order in which a step reads them.
struct LayerPart {
  const char* gguf;    // blk.0.NAME.weight
  const char* folder;  // model.layers.0.NAME.weight
  Size rows, width;
  Tensor LayerWeights::*weight;
  bool ModelConfig::*present = nullptr;  // null: always
  Tensor LayerWeights::*bias = nullptr;  // null: never has one
  bool ModelConfig::*biased = nullptr;
};
std::span<const LayerPart> layer_parts() noexcept;

// Names outside of the layers.
struct PartNames {
  const char *layer, *embedding, *output_norm, *output;
};
constexpr PartNames gguf_names = {"blk.", "token_embd", "output_norm", "output"};
constexpr PartNames folder_names = {"model.layers.", "model.embed_tokens", "model.norm", "lm_head"};

// The readers of both kinds of metadata; they throw what std containers throw.
Result<ModelConfig> read_gguf_config(const io::Gguf& file, const TensorDirectory& tensors);
Result<ModelConfig> read_folder_config(std::string_view json, const char* place,
                                       const TensorDirectory& tensors);

// What both kinds share: heads that cannot be.
Status check_config(const ModelConfig& config, const char* place) noexcept;

}  // namespace kedge::inline KEDGE_ABI
