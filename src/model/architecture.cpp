#include "model/architecture.hpp"

#include "io/guarded.hpp"
#include "model/config_hybrid.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

using enum Biases;

// Mistral's GGUF files say llama, and Qwen3.5 has a name of its own in each place. Its sliding
// window is refused where there is one.
constexpr Architecture table[] = {
    // name, class, gguf, interleaved, qk_norm, biases: q k v, output, feed-forward, head_dim,
    // hybrid, nested
    {"llama", "LlamaForCausalLM", true, true, false, stated, stated, stated, 0},
    {"mistral", "MistralForCausalLM", false, false, false, never, never, never, 0},
    {"qwen2", "Qwen2ForCausalLM", true, false, false, always, never, never, 0},
    {"qwen3", "Qwen3ForCausalLM", true, false, true, stated, stated, never, 128},
    {"qwen35", nullptr, true, false, true, never, never, never, 0, true},
    {"qwen3_5_text", "Qwen3_5ForCausalLM", false, false, true, never, never, never, 256, true},
    {"qwen3_5", "Qwen3_5ForConditionalGeneration", false, false, true, never, never, never, 256,
     true, "text_config"},
};

using L = LayerWeights;
using C = ModelConfig;
using enum Layers;
using enum Form;
constexpr LayerPart parts[] = {
    {"attn_norm", "input_layernorm", Size::one, Size::width, &L::attention_norm, nullptr, nullptr,
     nullptr, every, norm},
    {"attn_q", "self_attn.q_proj", Size::q, Size::width, &L::q, nullptr, &L::q_bias, &C::qkv_bias,
     attention, query},
    {"attn_q", "self_attn.q_proj", Size::q, Size::width, &L::attention_gate, &C::attention_gated,
     nullptr, nullptr, attention, query_gate},
    {"attn_k", "self_attn.k_proj", Size::kv, Size::width, &L::k, nullptr, &L::k_bias, &C::qkv_bias,
     attention},
    {"attn_v", "self_attn.v_proj", Size::kv, Size::width, &L::v, nullptr, &L::v_bias, &C::qkv_bias,
     attention},
    {"attn_q_norm", "self_attn.q_norm", Size::one, Size::head_dim, &L::q_norm, &C::qk_norm, nullptr,
     nullptr, attention, norm},
    {"attn_k_norm", "self_attn.k_norm", Size::one, Size::head_dim, &L::k_norm, &C::qk_norm, nullptr,
     nullptr, attention, norm},
    {"attn_output", "self_attn.o_proj", Size::width, Size::q, &L::attention_output, nullptr,
     &L::attention_output_bias, &C::attention_output_bias, attention},
    {"attn_qkv", "linear_attn.in_proj_qkv", Size::channels, Size::width, &L::delta_qkv, nullptr,
     nullptr, nullptr, delta},
    {"attn_gate", "linear_attn.in_proj_z", Size::delta_values, Size::width, &L::delta_z, nullptr,
     nullptr, nullptr, delta},
    {"ssm_alpha", "linear_attn.in_proj_a", Size::value_heads, Size::width, &L::alpha, nullptr,
     nullptr, nullptr, delta, Form::gate},
    {"ssm_beta", "linear_attn.in_proj_b", Size::value_heads, Size::width, &L::beta, nullptr,
     nullptr, nullptr, delta, Form::gate},
    {"ssm_conv1d", "linear_attn.conv1d", Size::taps, Size::channels, &L::conv, nullptr, nullptr,
     nullptr, delta, taps},
    {"ssm_dt.bias", "linear_attn.dt_bias", Size::one, Size::value_heads, &L::dt_bias, nullptr,
     nullptr, nullptr, delta, bare},
    {"ssm_a", "linear_attn.A_log", Size::one, Size::value_heads, &L::a_scale, nullptr, nullptr,
     nullptr, delta, decay},
    {"ssm_norm", "linear_attn.norm", Size::one, Size::value_dim, &L::delta_norm, nullptr, nullptr,
     nullptr, delta},
    {"ssm_out", "linear_attn.out_proj", Size::width, Size::delta_values, &L::delta_output, nullptr,
     nullptr, nullptr, delta},
    {"ffn_norm", "post_attention_layernorm", Size::one, Size::width, &L::feed_forward_norm, nullptr,
     nullptr, nullptr, dense},
    {"post_attention_norm", "post_attention_layernorm", Size::one, Size::width,
     &L::feed_forward_norm, nullptr, nullptr, nullptr, hybrid, norm},
    {"ffn_gate", "mlp.gate_proj", Size::feed_forward, Size::width, &L::gate, nullptr, &L::gate_bias,
     &C::feed_forward_bias},
    {"ffn_up", "mlp.up_proj", Size::feed_forward, Size::width, &L::up, nullptr, &L::up_bias,
     &C::feed_forward_bias},
    {"ffn_down", "mlp.down_proj", Size::width, Size::feed_forward, &L::down, nullptr, &L::down_bias,
     &C::feed_forward_bias},
};

constexpr FurtherPart further[] = {
    {"nextn.eh_proj", "mtp.fc", true},
    {"nextn.enorm", "mtp.pre_fc_norm_embedding", false},
    {"nextn.hnorm", "mtp.pre_fc_norm_hidden", false},
    {"nextn.shared_head_norm", "mtp.norm", false},
};

}  // namespace

std::span<const Architecture> architectures() noexcept { return table; }
std::span<const LayerPart> layer_parts() noexcept { return parts; }
std::span<const FurtherPart> further_parts() noexcept { return further; }

bool has_part(const LayerPart& part, const ModelConfig& c, Mixer mixer) noexcept {
  if (part.present != nullptr && !(c.*part.present)) return false;
  switch (part.layers) {
    case Layers::dense:
      return c.mixers.empty();
    case Layers::hybrid:
      return !c.mixers.empty();
    case Layers::attention:
      return mixer == Mixer::attention;
    case Layers::delta:
      return mixer == Mixer::delta;
    default:
      return true;
  }
}

const Architecture* find_architecture(std::string_view name, bool gguf) noexcept {
  for (const Architecture& a : table)
    if (name == a.name && (gguf ? a.gguf : a.class_name != nullptr)) return &a;
  return nullptr;
}

std::string architecture_names(bool gguf) {
  std::string names;
  for (const Architecture& a : table) {
    if (gguf ? !a.gguf : a.class_name == nullptr) continue;
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
    case Size::taps:
      return c.recurrent.conv_width;
    case Size::channels:
      return c.recurrent.channels;
    case Size::delta_values:
      return c.recurrent.value_heads * c.recurrent.value_dim;
    case Size::value_heads:
      return c.recurrent.value_heads;
    case Size::value_dim:
      return c.recurrent.value_dim;
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
  if (!c.mixers.empty()) KEDGE_CHECK(check_hybrid(c, place));
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
