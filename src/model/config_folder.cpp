// A model's configuration from the config.json of a Hugging Face folder. Keys that would change
// what is computed and that Kedge does not know are refused by name.
#include <algorithm>
#include <string>

#include "io/json.hpp"
#include "io/shown.hpp"
#include "kedge/core/math.hpp"
#include "model/architecture.hpp"
#include "model/folder.hpp"

namespace kedge::inline KEDGE_ABI {

using io::Json;
using io::Shown;

namespace {

// An object of the file; errors name the file and the key.
class Fields {
 public:
  Fields(const Json& object, const char* place, std::string prefix = "")
      : object_(object), place_(place), prefix_(std::move(prefix)) {}
  const char* place() const { return place_; }
  std::string full(const char* key) const { return prefix_ + key; }

  // Null when absent; published files write null for "the default".
  const Json* find(const char* key) const {
    const Json* value = object_.find(key);
    return value == nullptr || value->is(Json::Type::null) ? nullptr : value;
  }
  Result<const Json*> need(const char* key) const {
    if (const Json* value = find(key)) return value;
    return fail(Code::malformed, place_, "%s: expected a value, found none", full(key).c_str());
  }
  Result<std::int64_t> count(const char* key, std::int64_t most) const {
    KEDGE_TRY(const Json* value, need(key));
    KEDGE_TRY(const std::uint64_t number, value->uint(place_, full(key).c_str()));
    if (number < 1 || number > static_cast<std::uint64_t>(most))
      return fail(Code::malformed, place_, "%s: expected 1..%lld, found %llu", full(key).c_str(),
                  static_cast<long long>(most), static_cast<unsigned long long>(number));
    return static_cast<std::int64_t>(number);
  }
  Result<std::int64_t> count_or(const char* key, std::int64_t most, std::int64_t other) const {
    if (find(key) == nullptr) return other;
    return count(key, most);
  }
  Result<double> number(const char* key) const {
    KEDGE_TRY(const Json* value, need(key));
    return value->number(place_, full(key).c_str());
  }
  Result<double> number_or(const char* key, double other) const {
    if (find(key) == nullptr) return other;
    return number(key);
  }
  Result<bool> flag_or(const char* key, bool other) const {
    const Json* value = find(key);
    if (value == nullptr) return other;
    return value->boolean(place_, full(key).c_str());
  }
  Result<std::string_view> text_or(const char* key, std::string_view other) const {
    const Json* value = find(key);
    if (value == nullptr) return other;
    return value->string(place_, full(key).c_str());
  }
  // An object, or null when absent.
  Result<const Json*> object_or_null(const char* key) const {
    const Json* value = find(key);
    if (value != nullptr && !value->is(Json::Type::object))
      return fail(Code::malformed, place_, "%s: expected an object, found %s", full(key).c_str(),
                  value->type_name());
    return value;
  }
  Unexpected unsupported(const char* key, const char* expected, std::string_view found) const {
    return fail(Code::unsupported, place_, "%s: expected %s, found %s", full(key).c_str(), expected,
                Shown(found).text());
  }

 private:
  const Json& object_;
  const char* place_;
  std::string prefix_;
};

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
Status read_rope(const Fields& top, ModelConfig& config) {
  const bool newer = top.find("rope_parameters") != nullptr;
  const char* key = newer ? "rope_parameters" : "rope_scaling";
  KEDGE_TRY(const Json* object, top.object_or_null(key));
  KEDGE_TRY(config.rope_base, top.number_or("rope_theta", 10000));
  KEDGE_TRY(const double partial, top.number_or("partial_rotary_factor", 1));
  if (partial != 1) return top.unsupported("partial_rotary_factor", "1", std::to_string(partial));
  if (object == nullptr) return {};
  const Fields f(*object, top.place(), std::string(key) + '.');
  KEDGE_TRY(config.rope_base, f.number_or("rope_theta", config.rope_base));
  KEDGE_TRY(const double part, f.number_or("partial_rotary_factor", 1));
  if (part != 1) return f.unsupported("partial_rotary_factor", "1", std::to_string(part));
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

Status refuse_the_unknown(const Fields& f) {
  KEDGE_TRY(const std::string_view activation, f.text_or("hidden_act", "silu"));
  if (activation != "silu") return f.unsupported("hidden_act", "silu", activation);
  if (f.find("quantization_config") != nullptr)
    return f.unsupported("quantization_config", "none (F32, F16 or BF16 weights)", "one");
  // Qwen2 and Qwen3 write a window and whether it is used; Mistral writes it to use it.
  KEDGE_TRY(const bool windowed, f.flag_or("use_sliding_window", true));
  if (windowed && f.find("sliding_window") != nullptr)
    return f.unsupported("sliding_window", "null", "a window");
  const Json* types = f.find("layer_types");
  if (types == nullptr) return {};
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

}  // namespace

Result<ModelConfig> read_folder_config(std::string_view text, const char* place,
                                       const TensorDirectory& tensors) {
  KEDGE_TRY(const Json json, Json::parse(text, place, {folder::longest_config, 16, 100000}));
  if (!json.is(Json::Type::object))
    return fail(Code::malformed, place, "config.json: expected an object, found %s",
                json.type_name());
  const Fields f(json, place, "config.json: ");
  KEDGE_TRY(const Architecture* architecture, read_architecture(f));
  KEDGE_CHECK(refuse_the_unknown(f));
  ModelConfig config;
  config.architecture = architecture->name;
  constexpr std::int64_t many = 1 << 20;
  KEDGE_TRY(config.vocabulary, f.count("vocab_size", 1 << 28));
  KEDGE_TRY(config.layers, f.count("num_hidden_layers", 4096));
  KEDGE_TRY(config.width, f.count("hidden_size", many));
  KEDGE_TRY(config.feed_forward, f.count("intermediate_size", many));
  KEDGE_TRY(config.heads, f.count("num_attention_heads", 4096));
  KEDGE_TRY(config.kv_heads, f.count_or("num_key_value_heads", 4096, config.heads));
  KEDGE_TRY(config.context, f.count("max_position_embeddings", 1 << 28));
  const std::int64_t head_dim = architecture->folder_head_dim > 0
                                    ? architecture->folder_head_dim
                                    : std::max<std::int64_t>(1, config.width / config.heads);
  KEDGE_TRY(config.head_dim, f.count_or("head_dim", 4096, head_dim));
  config.rotary_dims = config.head_dim;
  config.rope_interleaved = false;
  KEDGE_TRY(const double eps, f.number("rms_norm_eps"));
  config.norm_eps = static_cast<float>(eps);
  KEDGE_CHECK(read_rope(f, config));
  config.qk_norm = architecture->qk_norm;
  KEDGE_CHECK(read_biases(f, *architecture, config));
  KEDGE_TRY(config.tied_output,
            f.flag_or("tie_word_embeddings", tensors.find("lm_head.weight") == nullptr));
  KEDGE_CHECK(check_config(config, place));
  return config;
}

}  // namespace kedge::inline KEDGE_ABI
