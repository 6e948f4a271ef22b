// A model's configuration from the config.json of a Hugging Face folder. Keys that would change
// what is computed and that Kedge does not know are refused by name.
#include <algorithm>
#include <string>

#include "kedge/core/math.hpp"
#include "model/config_fields.hpp"
#include "model/config_hybrid.hpp"
#include "model/folder.hpp"

namespace kedge::inline KEDGE_ABI {

using io::Json;

namespace {

Status read_yarn(const Fields& f, ModelConfig& config) {
  RopeScaling& s = config.rope_scaling;
  KEDGE_TRY(s.original_context,
            f.number_or("original_max_position_embeddings", static_cast<double>(config.context)));
  KEDGE_TRY(s.beta_fast, f.number_or("beta_fast", 32));
  KEDGE_TRY(s.beta_slow, f.number_or("beta_slow", 1));
  KEDGE_TRY(s.truncate, f.flag_or("truncate", true));
  if (f.find("factor") == nullptr)
    s.factor = static_cast<double>(config.context) / s.original_context;
  KEDGE_TRY(s.attention_factor, f.number_or("attention_factor", 0));
  KEDGE_TRY(const double scale, f.number_or("mscale", 0));
  KEDGE_TRY(const double all_dims, f.number_or("mscale_all_dim", 0));
  if (s.attention_factor == 0 && scale != 0 && all_dims != 0 && s.factor > 1) {
    const double log = 0.1 * math::log(s.factor);
    s.attention_factor = (log * scale + 1) / (log * all_dims + 1);
  }
  return {};
}

// rope_parameters of newer files; rope_scaling and rope_theta of older ones.
// The part of a head that turns; all of it but for hybrid models.
Status read_rotary_dims(const Fields& f, const Architecture& a, double factor, ModelConfig& c) {
  if (!a.hybrid && factor != 1)
    return f.unsupported("partial_rotary_factor", "1", std::to_string(factor));
  if (!(factor > 0 && factor <= 1))
    return fail(Code::malformed, f.place(), "%s: expected above 0 and at most 1, found %g",
                f.full("partial_rotary_factor").c_str(), factor);
  c.rotary_dims = static_cast<std::int64_t>(static_cast<double>(c.head_dim) * factor);
  return {};
}

}  // namespace

Status read_folder_rope(const Fields& top, const Architecture& a, ModelConfig& config) {
  const bool newer = top.find("rope_parameters") != nullptr;
  const char* key = newer ? "rope_parameters" : "rope_scaling";
  KEDGE_TRY(const Json* object, top.object_or_null(key));
  KEDGE_TRY(config.rope_base, top.number_or("rope_theta", 10000));
  KEDGE_TRY(const double partial, top.number_or("partial_rotary_factor", a.hybrid ? 0.25 : 1));
  if (object == nullptr) return read_rotary_dims(top, a, partial, config);
  const Fields f(*object, top.place(), std::string(key) + '.');
  KEDGE_TRY(config.rope_base, f.number_or("rope_theta", config.rope_base));
  KEDGE_TRY(const double part, f.number_or("partial_rotary_factor", partial));
  KEDGE_CHECK(read_rotary_dims(f, a, part, config));
  KEDGE_TRY(const std::string_view older, f.text_or("type", "default"));
  KEDGE_TRY(const std::string_view kind, f.text_or("rope_type", older));
  RopeScaling& s = config.rope_scaling;
  if (kind == "default") return {};
  s.kind = kind == "linear"   ? RopeScalingKind::linear
           : kind == "llama3" ? RopeScalingKind::llama3
           : kind == "yarn"   ? RopeScalingKind::yarn
                              : RopeScalingKind::none;
  if (s.kind == RopeScalingKind::none)
    return f.unsupported("rope_type", "default, linear, llama3 or yarn", kind);
  if (s.kind != RopeScalingKind::yarn || f.find("factor") != nullptr) {
    KEDGE_TRY(s.factor, f.number("factor"));
  }
  if (s.kind == RopeScalingKind::yarn) return read_yarn(f, config);
  if (s.kind == RopeScalingKind::llama3) {
    KEDGE_TRY(s.low_freq_factor, f.number("low_freq_factor"));
    KEDGE_TRY(s.high_freq_factor, f.number("high_freq_factor"));
    KEDGE_TRY(s.original_context, f.number("original_max_position_embeddings"));
  }
  return {};
}

namespace {

Status refuse_the_unknown(const Fields& f, const Architecture& a) {
  KEDGE_TRY(const std::string_view activation, f.text_or("hidden_act", "silu"));
  if (activation != "silu") return f.unsupported("hidden_act", "silu", activation);
  if (f.find("quantization_config") != nullptr)
    return f.unsupported("quantization_config", "none (F32, F16 or BF16 weights)", "one");
  // Qwen2 and Qwen3 write a window and whether it is used; Mistral writes it to use it.
  KEDGE_TRY(const bool windowed, f.flag_or("use_sliding_window", true));
  if (windowed && f.find("sliding_window") != nullptr)
    return f.unsupported("sliding_window", "null", "a window");
  const Json* types = f.find("layer_types");
  if (types == nullptr || a.hybrid) return {};
  if (!types->is(Json::Type::array))
    return fail(Code::malformed, f.place(), "layer_types: expected an array, found %s",
                types->type_name());
  for (const Json& item : types->items()) {
    KEDGE_TRY(const std::string_view type, item.string(f.place(), "layer_types"));
    if (type != "full_attention") return f.unsupported("layer_types", "full_attention", type);
  }
  return {};
}

Result<const Architecture*> read_architecture(const Fields& f) {
  KEDGE_TRY(const Json* type, f.need("model_type"));
  KEDGE_TRY(const std::string_view name, type->string(f.place(), "model_type"));
  const Architecture* architecture = find_architecture(name, false);
  if (architecture == nullptr)
    return f.unsupported("model_type", ("one of " + architecture_names(false)).c_str(), name);
  const Json* classes = f.find("architectures");
  if (classes == nullptr) return architecture;
  if (!classes->is(Json::Type::array) || classes->items().size() != 1)
    return fail(Code::malformed, f.place(), "architectures: expected an array of one name");
  KEDGE_TRY(const std::string_view found, classes->items()[0].string(f.place(), "architectures"));
  if (found != architecture->class_name)
    return f.unsupported("architectures", architecture->class_name, found);
  return architecture;
}

Status read_biases(const Fields& f, const Architecture& a, ModelConfig& config) {
  KEDGE_TRY(const bool attention, f.flag_or("attention_bias", false));
  KEDGE_TRY(const bool feed_forward, f.flag_or("mlp_bias", false));
  const auto has = [](Biases biases, bool stated) {
    return biases == Biases::always || (biases == Biases::stated && stated);
  };
  config.qkv_bias = has(a.qkv, attention);
  config.attention_output_bias = has(a.attention_output, attention);
  config.feed_forward_bias = has(a.feed_forward, feed_forward);
  return {};
}

Result<ModelConfig> read_text_config(const Fields& f, const Architecture& a, bool tied,
                                     const TensorDirectory& tensors) {
  KEDGE_CHECK(refuse_the_unknown(f, a));
  ModelConfig config;
  config.architecture = a.name;
  constexpr std::int64_t many = 1 << 20;
  KEDGE_TRY(config.vocabulary, f.count("vocab_size", 1 << 28));
  KEDGE_TRY(config.layers, f.count("num_hidden_layers", 4096));
  KEDGE_TRY(config.width, f.count("hidden_size", many));
  KEDGE_TRY(config.feed_forward, f.count("intermediate_size", many));
  KEDGE_TRY(config.heads, f.count("num_attention_heads", 4096));
  KEDGE_TRY(config.kv_heads, f.count_or("num_key_value_heads", 4096, config.heads));
  KEDGE_TRY(config.context, f.count("max_position_embeddings", 1 << 28));
  const std::int64_t head_dim = a.folder_head_dim > 0
                                    ? a.folder_head_dim
                                    : std::max<std::int64_t>(1, config.width / config.heads);
  KEDGE_TRY(config.head_dim, f.count_or("head_dim", 4096, head_dim));
  config.rope_interleaved = false;
  KEDGE_TRY(const double eps, f.number("rms_norm_eps"));
  config.norm_eps = static_cast<float>(eps);
  KEDGE_CHECK(read_folder_rope(f, a, config));
  config.qk_norm = a.qk_norm;
  KEDGE_CHECK(read_biases(f, a, config));
  config.tied_output = tied;
  if (a.hybrid) KEDGE_CHECK(read_hybrid(f, tensors, config));
  KEDGE_CHECK(check_config(config, f.place()));
  return config;
}

}  // namespace

Result<ModelConfig> read_folder_config(std::string_view text, const char* place,
                                       const TensorDirectory& tensors) {
  KEDGE_TRY(const Json json, Json::parse(text, place, {folder::longest_config, 16, 100000}));
  if (!json.is(Json::Type::object))
    return fail(Code::malformed, place, "config.json: expected an object, found %s",
                json.type_name());
  const Fields top(json, place, "config.json: ");
  KEDGE_TRY(const Architecture* architecture, read_architecture(top));
  KEDGE_TRY(const bool tied,
            top.flag_or("tie_word_embeddings", tensors.find("lm_head.weight") == nullptr));
  if (architecture->nested == nullptr) return read_text_config(top, *architecture, tied, tensors);
  KEDGE_TRY(const Json* nested, top.need(architecture->nested));
  if (!nested->is(Json::Type::object))
    return fail(Code::malformed, place, "config.json: %s: expected an object, found %s",
                architecture->nested, nested->type_name());
  const Fields f(*nested, place, std::string("config.json: ") + architecture->nested + '.');
  return read_text_config(f, *architecture, tied, tensors);
}

}  // namespace kedge::inline KEDGE_ABI
