#include "model/config_hybrid.hpp"

#include "kedge/op/conv_state.hpp"
#include "kedge/op/gated_delta.hpp"

namespace kedge::inline KEDGE_ABI {

using io::Json;

namespace {

constexpr std::int64_t most_heads = 4096, most_dim = 4096;

// After the heads and the mixers of all layers.
void complete(ModelConfig& c) {
  RecurrentShape& s = c.recurrent;
  s.channels = 2 * s.key_heads * s.key_dim + s.value_heads * s.value_dim;
  for (const Mixer m : c.mixers) s.layers += m == Mixer::delta ? 1 : 0;
}

// Attention in every `interval`-th layer.
void mix_by_interval(ModelConfig& c, std::int64_t interval) {
  for (std::int64_t i = 0; i < c.layers; ++i)
    c.mixers.push_back((i + 1) % interval == 0 ? Mixer::attention : Mixer::delta);
}

Status read_layer_types(const Fields& f, const Json& types, ModelConfig& c) {
  if (!types.is(Json::Type::array))
    return fail(Code::malformed, f.place(), "%s: expected an array, found %s",
                f.full("layer_types").c_str(), types.type_name());
  if (static_cast<std::int64_t>(types.items().size()) != c.layers)
    return fail(Code::malformed, f.place(), "%s: expected %lld of num_hidden_layers, found %zu",
                f.full("layer_types").c_str(), static_cast<long long>(c.layers),
                types.items().size());
  for (const Json& item : types.items()) {
    KEDGE_TRY(const std::string_view type, item.string(f.place(), f.full("layer_types").c_str()));
    if (type != "full_attention" && type != "linear_attention")
      return f.unsupported("layer_types", "full_attention or linear_attention", type);
    c.mixers.push_back(type == "full_attention" ? Mixer::attention : Mixer::delta);
  }
  return {};
}

Status read_mixers(const Keys& keys, ModelConfig& c) {
  const char* place = keys.place();
  if (!keys.has("attention.recurrent_layers")) {
    KEDGE_TRY(const std::int64_t interval, keys.count_or("full_attention_interval", 4096, 4));
    mix_by_interval(c, interval);
    return {};
  }
  const std::string key = keys.full("attention.recurrent_layers");
  KEDGE_TRY(const io::GgufArray* recurrent, keys.file().array(key));
  if (static_cast<std::int64_t>(recurrent->integers.size()) < c.layers)
    return fail(Code::malformed, place, "%s: expected %lld integers or booleans, found %zu",
                key.c_str(), static_cast<long long>(c.layers), recurrent->integers.size());
  for (std::int64_t i = 0; i < c.layers; ++i)
    c.mixers.push_back(recurrent->integers[static_cast<std::size_t>(i)] != 0 ? Mixer::delta
                                                                             : Mixer::attention);
  return {};
}

Status read_mixers(const Fields& f, ModelConfig& c) {
  if (const Json* types = f.find("layer_types")) return read_layer_types(f, *types, c);
  KEDGE_TRY(const std::int64_t interval, f.count_or("full_attention_interval", 4096, 4));
  mix_by_interval(c, interval);
  return {};
}

}  // namespace

Status check_sections(std::int64_t sum, const ModelConfig& c, const char* place,
                      const char* key) noexcept {
  if (sum == c.rotary_dims / 2) return {};
  return fail(Code::malformed, place,
              "%s: expected %lld in all, half the rotary dimensions, found %lld", key,
              static_cast<long long>(c.rotary_dims / 2), static_cast<long long>(sum));
}

Status read_hybrid(const Keys& keys, ModelConfig& c) {
  const char* place = keys.place();
  c.attention_gated = true;
  if (keys.has("nextn_predict_layers")) {
    const std::string key = keys.full("nextn_predict_layers");
    KEDGE_TRY(const std::uint64_t further, keys.file().uint(key));
    if (further >= static_cast<std::uint64_t>(c.layers))
      return fail(Code::malformed, place,
                  "%s: expected less than the %lld of block_count, found %llu", key.c_str(),
                  static_cast<long long>(c.layers), static_cast<unsigned long long>(further));
    c.mtp_layers = static_cast<std::int64_t>(further);
    c.layers -= c.mtp_layers;
  }
  RecurrentShape& s = c.recurrent;
  KEDGE_TRY(s.key_heads, keys.count("ssm.group_count", most_heads));
  KEDGE_TRY(s.value_heads, keys.count("ssm.time_step_rank", most_heads));
  KEDGE_TRY(s.key_dim, keys.count("ssm.state_size", most_dim));
  KEDGE_TRY(s.conv_width, keys.count("ssm.conv_kernel", 1024));
  KEDGE_TRY(const std::int64_t values, keys.count("ssm.inner_size", most_heads * most_dim));
  if (values % s.value_heads != 0)
    return fail(Code::malformed, place, "%s: %lld are no multiple of the %lld value heads",
                keys.full("ssm.inner_size").c_str(), static_cast<long long>(values),
                static_cast<long long>(s.value_heads));
  s.value_dim = values / s.value_heads;
  s.grouped = false;  // conversion reorders the value heads for it

  if (const std::string key = keys.full("rope.dimension_sections");
      keys.has("rope.dimension_sections")) {
    KEDGE_TRY(const io::GgufArray* sections, keys.file().array(key));
    std::int64_t sum = 0;
    for (const std::int64_t n : sections->integers)
      sum += n >= 0 && n <= c.rotary_dims ? n : c.rotary_dims;
    KEDGE_CHECK(check_sections(sum, c, place, key.c_str()));
  }
  KEDGE_CHECK(read_mixers(keys, c));
  complete(c);
  return {};
}

Status read_hybrid(const Fields& f, const TensorDirectory& tensors, ModelConfig& c) {
  KEDGE_TRY(c.attention_gated, f.flag_or("attn_output_gate", true));
  if (!c.attention_gated) return f.unsupported("attn_output_gate", "true", "false");
  KEDGE_TRY(const std::string_view gate, f.text_or("output_gate_type", "silu"));
  if (gate != "silu" && gate != "swish") return f.unsupported("output_gate_type", "silu", gate);
  // Without them transformers would take those of one published size.
  RecurrentShape& s = c.recurrent;
  KEDGE_TRY(s.key_heads, f.count("linear_num_key_heads", most_heads));
  KEDGE_TRY(s.value_heads, f.count("linear_num_value_heads", most_heads));
  KEDGE_TRY(s.key_dim, f.count("linear_key_head_dim", most_dim));
  KEDGE_TRY(s.value_dim, f.count("linear_value_head_dim", most_dim));
  KEDGE_TRY(s.conv_width, f.count("linear_conv_kernel_dim", 1024));
  s.grouped = true;

  KEDGE_TRY(const Json* rope, f.object_or_null("rope_parameters"));
  if (const Json* sections = rope == nullptr ? nullptr : rope->find("mrope_section")) {
    const std::string key = f.full("rope_parameters.mrope_section");
    std::int64_t sum = 0;
    for (const Json& item : sections->items()) {
      KEDGE_TRY(const std::uint64_t n, item.uint(f.place(), key.c_str()));
      sum += static_cast<std::int64_t>(std::min<std::uint64_t>(n, max_rotary_dims));
    }
    KEDGE_CHECK(check_sections(sum, c, f.place(), key.c_str()));
  }
  // transformers leaves these layers out of what it writes, but not their number.
  if (tensors.find("mtp.fc.weight") != nullptr) {
    KEDGE_TRY(c.mtp_layers, f.count_or("mtp_num_hidden_layers", 64, 1));
  }
  KEDGE_CHECK(read_mixers(f, c));
  complete(c);
  return {};
}

Status check_hybrid(const ModelConfig& c, const char* place) noexcept {
  const RecurrentShape& s = c.recurrent;
  const auto number = [](std::int64_t n) { return static_cast<long long>(n); };
  if (s.value_heads % s.key_heads != 0)
    return fail(Code::malformed, place, "%lld value heads are no multiple of %lld key heads",
                number(s.value_heads), number(s.key_heads));
  if (s.key_dim > op::GatedDelta::max_dim || s.value_dim > op::GatedDelta::max_dim)
    return fail(Code::unsupported, place,
                "heads of the delta rule: expected keys and values of 1..%d, found %lld and %lld",
                op::GatedDelta::max_dim, number(s.key_dim), number(s.value_dim));
  if (s.conv_width < op::ConvState::min_taps || s.conv_width > op::ConvState::max_taps)
    return fail(Code::unsupported, place, "convolution: expected %lld..%lld taps, found %lld",
                number(op::ConvState::min_taps), number(op::ConvState::max_taps),
                number(s.conv_width));
  if (c.attention_layers() == 0 || s.layers == 0)
    return fail(Code::unsupported, place,
                "layers: expected both kinds, found %lld with attention and %lld with a delta rule",
                number(c.attention_layers()), number(s.layers));
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
