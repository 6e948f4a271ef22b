#include "model/architecture.hpp"

#include "io/guarded.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

using enum Biases;

// Mistral's GGUF files say llama. Its sliding window is refused where there is one.
constexpr Architecture table[] = {
    // name, class, gguf, interleaved, qk_norm, biases: q k v, output, feed-forward, head_dim
    {"llama", "LlamaForCausalLM", true, true, false, stated, stated, stated, 0},
    {"mistral", "MistralForCausalLM", false, false, false, never, never, never, 0},
    {"qwen2", "Qwen2ForCausalLM", true, false, false, always, never, never, 0},
    {"qwen3", "Qwen3ForCausalLM", true, false, true, stated, stated, never, 128},
};

using L = LayerWeights;
using C = ModelConfig;
constexpr LayerPart parts[] = {
    {"attn_norm", "input_layernorm", Size::one, Size::width, &L::attention_norm},
    {"attn_q", "self_attn.q_proj", Size::q, Size::width, &L::q, nullptr, &L::q_bias, &C::qkv_bias},
    {"attn_k", "self_attn.k_proj", Size::kv, Size::width, &L::k, nullptr, &L::k_bias, &C::qkv_bias},
    {"attn_v", "self_attn.v_proj", Size::kv, Size::width, &L::v, nullptr, &L::v_bias, &C::qkv_bias},
    {"attn_q_norm", "self_attn.q_norm", Size::one, Size::head_dim, &L::q_norm, &C::qk_norm},
    {"attn_k_norm", "self_attn.k_norm", Size::one, Size::head_dim, &L::k_norm, &C::qk_norm},
    {"attn_output", "self_attn.o_proj", Size::width, Size::q, &L::attention_output, nullptr,
     &L::attention_output_bias, &C::attention_output_bias},
    {"ffn_norm", "post_attention_layernorm", Size::one, Size::width, &L::feed_forward_norm},
    {"ffn_gate", "mlp.gate_proj", Size::feed_forward, Size::width, &L::gate, nullptr, &L::gate_bias,
     &C::feed_forward_bias},
    {"ffn_up", "mlp.up_proj", Size::feed_forward, Size::width, &L::up, nullptr, &L::up_bias,
     &C::feed_forward_bias},
    {"ffn_down", "mlp.down_proj", Size::width, Size::feed_forward, &L::down, nullptr, &L::down_bias,
     &C::feed_forward_bias},
};

}  // namespace

std::span<const Architecture> architectures() noexcept { return table; }
std::span<const LayerPart> layer_parts() noexcept { return parts; }

const Architecture* find_architecture(std::string_view name, bool gguf) noexcept {
  for (const Architecture& a : table)
    if (name == a.name && (a.gguf || !gguf)) return &a;
  return nullptr;
}

std::string architecture_names(bool gguf) {
  std::string names;
  for (const Architecture& a : table) {
    if (gguf && !a.gguf) continue;
    if (!names.empty()) names += ", ";
    names += a.name;
  }
  return names;
}

std::int64_t size_of(Size size, const ModelConfig& c) noexcept {
  switch (size) {
    case Size::width:
      return c.width;
    case Size::q:
      return c.heads * c.head_dim;
    case Size::kv:
      return c.kv_heads * c.head_dim;
    case Size::head_dim:
      return c.head_dim;
    case Size::feed_forward:
      return c.feed_forward;
    default:
      return 1;
  }
}

Status check_config(const ModelConfig& c, const char* place) noexcept {
  if (c.heads % c.kv_heads != 0)
    return fail(Code::malformed, place, "%lld heads are no multiple of %lld key/value heads",
                static_cast<long long>(c.heads), static_cast<long long>(c.kv_heads));
  if (c.rotary_dims % 2 != 0 || c.rotary_dims > max_rotary_dims)
    return fail(Code::malformed, place,
                "rotary dimensions: expected an even number up to %lld, found %lld",
                static_cast<long long>(max_rotary_dims), static_cast<long long>(c.rotary_dims));
  if (!(c.norm_eps >= 0 && c.norm_eps < 1))
    return fail(Code::malformed, place, "epsilon of the norms: expected 0..1, found %g",
                static_cast<double>(c.norm_eps));
  // What is wrong with the rotary numbers is found here rather than by the first session.
  double frequency[max_rotary_dims / 2];
  const Status rope = rope_frequencies(c.rotary_dims, c.rope_base, c.rope_scaling, frequency);
  if (!rope) return fail(Code::malformed, place, "rotary positions: %s", rope.error().reason);
  return {};
}

Result<ModelConfig> read_config(const io::Gguf& file) noexcept {
  return io::guarded(file.source().name(), [&]() -> Result<ModelConfig> {
    TensorDirectory tensors;
    KEDGE_CHECK(tensors.add(file));
    KEDGE_CHECK(tensors.finish());
    return read_gguf_config(file, tensors);
  });
}

Result<ModelConfig> read_config(const ModelFiles& files) noexcept {
  return io::guarded(files.name(), [&]() -> Result<ModelConfig> {
    if (files.gguf() != nullptr) return read_gguf_config(*files.gguf(), files.tensors());
    return read_folder_config(files.config_json(), files.name(), files.tensors());
  });
}

}  // namespace kedge::inline KEDGE_ABI
