// A model's configuration from the metadata of a GGUF file.
#include <algorithm>
#include <string>

#include "kedge/core/math.hpp"
#include "model/config_fields.hpp"
#include "model/config_hybrid.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

Status read_yarn(const Keys& keys, ModelConfig& config) {
  RopeScaling& s = config.rope_scaling;
  s.kind = RopeScalingKind::yarn;
  KEDGE_TRY(s.original_context, keys.number_or("rope.scaling.original_context_length",
                                               static_cast<double>(config.context)));
  KEDGE_TRY(s.beta_fast, keys.number_or("rope.scaling.yarn_beta_fast", 32));
  KEDGE_TRY(s.beta_slow, keys.number_or("rope.scaling.yarn_beta_slow", 1));
  KEDGE_CHECK(keys.expect_none("rope.scaling.yarn_log_multiplier", "DeepSeek's form of yarn"));
  // llama.cpp multiplies the paper's factor by this one.
  KEDGE_TRY(const double own, keys.number_or("rope.scaling.attn_factor", 1));
  if (own != 1) s.attention_factor = own * (s.factor > 1 ? 0.1 * math::log(s.factor) + 1 : 1);
  return {};
}

Status read_rope(const Keys& keys, ModelConfig& config) {
  KEDGE_TRY(config.rope_base, keys.number_or("rope.freq_base", 10000));
  RopeScaling& s = config.rope_scaling;
  KEDGE_TRY(s.factor, keys.number_or("rope.scaling.factor", 0));
  // Old files have this key alone.
  if (s.factor == 0) {
    KEDGE_TRY(s.factor, keys.number_or("rope.scale_linear", 0));
  }
  std::string_view kind = "linear";  // without a type, as llama.cpp reads it
  if (keys.has("rope.scaling.type")) {
    KEDGE_TRY(kind, keys.file().string(keys.full("rope.scaling.type")));
  }
  if (s.factor == 0) s.factor = 1;
  if (kind == "none") s.factor = 1;
  else if (kind == "linear") s.kind = s.factor == 1 ? s.kind : RopeScalingKind::linear;
  else if (kind == "yarn") return read_yarn(keys, config);
  else
    return fail(Code::unsupported, keys.place(), "%s: expected none, linear or yarn, found %.*s",
                keys.full("rope.scaling.type").c_str(), static_cast<int>(kind.size()), kind.data());
  return {};
}

bool has_bias(Biases biases, const TensorDirectory& tensors, const char* name) {
  return biases == Biases::always || (biases == Biases::stated && tensors.find(name) != nullptr);
}

}  // namespace

Result<ModelConfig> read_gguf_config(const io::Gguf& file, const TensorDirectory& tensors) {
  const char* place = file.source().name();
  ModelConfig config;
  KEDGE_TRY(const std::string_view name, file.string("general.architecture"));
  config.architecture = name;
  const Architecture* architecture = find_architecture(name, true);
  if (architecture == nullptr)
    return fail(Code::unsupported, place, "general.architecture: expected one of %s, found %s",
                architecture_names(true).c_str(), config.architecture.c_str());
  if (file.find("general.name") != nullptr) {
    KEDGE_TRY(const std::string_view title, file.string("general.name"));
    config.name = title;
  }
  const Keys keys(file, name);
  constexpr std::int64_t many = 1 << 20;
  KEDGE_CHECK(keys.expect_none("expert_count", "a mixture of experts"));
  KEDGE_CHECK(keys.expect_none("attention.sliding_window", "a sliding window"));
  KEDGE_TRY(config.layers, keys.count("block_count", 4096));
  KEDGE_TRY(config.width, keys.count("embedding_length", many));
  KEDGE_TRY(config.feed_forward, keys.count("feed_forward_length", many));
  KEDGE_TRY(config.heads, keys.count("attention.head_count", 4096));
  KEDGE_TRY(config.kv_heads, keys.count_or("attention.head_count_kv", 4096, config.heads));
  KEDGE_TRY(config.context, keys.count("context_length", 1 << 28));
  KEDGE_TRY(config.head_dim, keys.count_or("attention.key_length", 4096,
                                           std::max<std::int64_t>(1, config.width / config.heads)));
  KEDGE_TRY(const std::int64_t value_dim,
            keys.count_or("attention.value_length", 4096, config.head_dim));
  if (value_dim != config.head_dim)
    return fail(Code::unsupported, place, "keys of %lld and values of %lld dimensions",
                static_cast<long long>(config.head_dim), static_cast<long long>(value_dim));
  KEDGE_TRY(config.rotary_dims,
            keys.count_or("rope.dimension_count", config.head_dim, config.head_dim));
  KEDGE_TRY(const double eps, keys.number_or("attention.layer_norm_rms_epsilon", 1e-5));
  config.norm_eps = static_cast<float>(eps);
  config.rope_interleaved = architecture->gguf_interleaved;
  KEDGE_CHECK(read_rope(keys, config));

  const FileTensor* embedding = tensors.find("token_embd.weight");
  if (embedding == nullptr) return fail(Code::not_found, place, "no tensor token_embd.weight");
  config.vocabulary = embedding->extent[0];
  config.tied_output = tensors.find("output.weight") == nullptr;
  config.qk_norm = architecture->qk_norm;
  config.qkv_bias = has_bias(architecture->qkv, tensors, "blk.0.attn_q.bias");
  config.attention_output_bias =
      has_bias(architecture->attention_output, tensors, "blk.0.attn_output.bias");
  config.feed_forward_bias = has_bias(architecture->feed_forward, tensors, "blk.0.ffn_gate.bias");
  if (architecture->hybrid) KEDGE_CHECK(read_hybrid(keys, config));
  KEDGE_CHECK(check_config(config, place));
  return config;
}

}  // namespace kedge::inline KEDGE_ABI
