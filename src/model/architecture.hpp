// What tells the models apart, as rows of a table: one assembler and one loader serve them all. A
// new one of this family is a row here. Private to the compiled library.
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
  const char* class_name;  // in `architectures` of config.json; null: no folder has this name
  bool gguf;               // whether GGUF has it under this name
  bool gguf_interleaved;   // GGUF's conversion permutes q and k for pairs (2i, 2i+1)
  bool qk_norm;
  Biases qkv, attention_output, feed_forward;
  std::int64_t folder_head_dim;  // where config.json has none; 0: width / heads
  bool hybrid = false;           // with layers of gated delta rules (config_hybrid.hpp)
  const char* nested = nullptr;  // the object of config.json that describes the text model
};

std::span<const Architecture> architectures() noexcept;
const Architecture* find_architecture(std::string_view name, bool gguf) noexcept;
// "llama, qwen2, qwen3"
std::string architecture_names(bool gguf);

// An extent of a tensor, from the configuration; one: it is a vector.
enum class Size : std::uint8_t {
  one,
  width,
  q,
  kv,
  head_dim,
  feed_forward,
  taps,
  channels,      // q, k and v of a delta rule
  delta_values,  // v of one
  value_heads,
  value_dim,
};
std::int64_t size_of(Size size, const ModelConfig& config) noexcept;

// Which layers have a tensor.
enum class Layers : std::uint8_t {
  every,
  dense,      // of models without other layers than attention
  hybrid,     // of models with both kinds
  attention,  // those with attention
  delta,      // those with a delta rule
};

// How a tensor is stored, where that is not as kernels read it.
enum class Form : std::uint8_t {
  plain,
  norm,        // folders of hybrid models store what is added to 1
  bare,        // its name has no ".weight" behind it
  decay,       // bare; folders store A of -e^A
  taps,        // a row per channel, maybe with a rank between: transposed
  query,       // with an output gate, each head's rows are followed by its gate's,
  query_gate,  // which are this
  gate,        // a small matrix that decides what a state keeps: never quantized while loading
};

// A tensor of every layer, in the order in which a step reads them.
struct LayerPart {
  const char* gguf;    // blk.0.NAME.weight
  const char* folder;  // model.layers.0.NAME.weight
  Size rows, width;
  Tensor LayerWeights::*weight;
  bool ModelConfig::*present = nullptr;  // null: always
  Tensor LayerWeights::*bias = nullptr;  // null: never has one
  bool ModelConfig::*biased = nullptr;
  Layers layers = Layers::every;
  Form form = Form::plain;
};
std::span<const LayerPart> layer_parts() noexcept;
// Whether a layer with this mixer has it.
bool has_part(const LayerPart& part, const ModelConfig& config, Mixer mixer) noexcept;

// A tensor of the layers that predict further tokens, beside those of a layer with attention. They
// are recognised and checked, and not loaded.
struct FurtherPart {
  const char* gguf;    // blk.N.NAME.weight, N behind the other layers
  const char* folder;  // NAME.weight
  bool matrix;         // [width, 2 * width]; else a norm
};
std::span<const FurtherPart> further_parts() noexcept;

// Names outside of the layers.
struct PartNames {
  bool gguf;
  const char *layer, *embedding, *output_norm, *output;
};
constexpr PartNames gguf_names = {true, "blk.", "token_embd", "output_norm", "output"};
constexpr PartNames folder_names = {false, "model.layers.", "model.embed_tokens", "model.norm",
                                    "lm_head"};
// Of the text part of a model that also sees.
constexpr PartNames nested_names = {false, "model.language_model.layers.",
                                    "model.language_model.embed_tokens",
                                    "model.language_model.norm", "lm_head"};
// The prefix of that model's other part, which is left unread.
constexpr const char* vision_prefix = "model.visual.";

// The readers of both kinds of metadata; they throw what std containers throw.
Result<ModelConfig> read_gguf_config(const io::Gguf& file, const TensorDirectory& tensors);
Result<ModelConfig> read_folder_config(std::string_view json, const char* place,
                                       const TensorDirectory& tensors);
// rope_parameters, rope_scaling and rope_theta of an object that describes a model.
class Fields;
Status read_folder_rope(const Fields& fields, const Architecture& architecture,
                        ModelConfig& config);

// What both kinds share: heads that cannot be.
Status check_config(const ModelConfig& config, const char* place) noexcept;

}  // namespace kedge::inline KEDGE_ABI
