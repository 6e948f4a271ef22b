// A draft model's configuration from a folder: the formats of speculators (vllm-project), DeepSpec
// (deepseek-ai), z-lab's DFlash, SpecForge's DSpark and NVIDIA Model Optimizer's export.
#include <algorithm>

#include "draft/dspark_reader.hpp"
#include "model/architecture.hpp"
#include "model/config_fields.hpp"
#include "model/folder.hpp"

namespace kedge::inline KEDGE_ABI::draft {

using io::Json;

namespace {

constexpr std::int64_t many = 1 << 20, most_tokens = 1 << 28;
constexpr const char* enable_confidence = "enable_confidence_head";

// speculators writes what differs from Qwen3Config's defaults (transformers), the others all.
struct Defaults {
  bool apply;
  Result<std::int64_t> count(const Fields& f, const char* key, std::int64_t most,
                             std::int64_t value) const {
    return apply ? f.count_or(key, most, value) : f.count(key, most);
  }
};

Result<std::vector<std::int32_t>> read_ids(const Fields& f, const char* key, std::int32_t shift) {
  std::vector<std::int32_t> ids;
  const Json* list = f.find(key);
  if (list == nullptr) return ids;
  if (!list->is(Json::Type::array) || list->items().empty())
    return fail(Code::malformed, f.place(), "%s: expected an array of layers, found %s",
                f.full(key).c_str(), list->type_name());
  for (const Json& item : list->items()) {
    KEDGE_TRY(const double number, item.number(f.place(), f.full(key).c_str()));
    if (number != static_cast<double>(static_cast<std::int32_t>(number)) || number + shift < 0 ||
        number > 4096)
      return fail(Code::malformed, f.place(), "%s: expected %d..4096, found %g",
                  f.full(key).c_str(), -shift, number);
    ids.push_back(static_cast<std::int32_t>(number) + shift);
  }
  return ids;
}

// Rotary numbers per kind of layer: drafts of sliding layers were trained with that kind's.
Status read_rope(const Fields& f, ModelConfig& c) {
  const Architecture& qwen3 = *find_architecture("qwen3", false);
  KEDGE_TRY(const Json* rope, f.object_or_null("rope_parameters"));
  const Json* nested = rope == nullptr ? nullptr : rope->find("sliding_attention");
  if (nested == nullptr) return read_folder_rope(f, qwen3, c);
  if (!nested->is(Json::Type::object))
    return fail(Code::malformed, f.place(), "%s: expected an object, found %s",
                f.full("rope_parameters.sliding_attention").c_str(), nested->type_name());
  const Fields inner(*nested, f.place(), f.full("rope_parameters.sliding_attention."));
  KEDGE_TRY(const std::string_view kind, inner.text_or("rope_type", "default"));
  if (kind != "default") return inner.unsupported("rope_type", "default", kind);
  KEDGE_TRY(c.rope_base, inner.number_or("rope_theta", 10000));
  c.rotary_dims = c.head_dim;
  return {};
}

Status read_backbone(const Fields& f, const Defaults& d, ModelConfig& c) {
  KEDGE_TRY(const std::string_view type, f.text_or("model_type", "qwen3"));
  if (type != "qwen3") return f.unsupported("model_type", "qwen3", type);
  KEDGE_TRY(const std::string_view activation, f.text_or("hidden_act", "silu"));
  if (activation != "silu") return f.unsupported("hidden_act", "silu", activation);
  if (f.find("quantization_config") != nullptr)
    return f.unsupported("quantization_config", "none (F32, F16 or BF16 weights)", "one");
  c.architecture = "qwen3";
  KEDGE_TRY(c.vocabulary, d.count(f, "vocab_size", most_tokens, 151936));
  KEDGE_TRY(c.layers, d.count(f, "num_hidden_layers", 4096, 32));
  KEDGE_TRY(c.width, d.count(f, "hidden_size", many, 4096));
  KEDGE_TRY(c.feed_forward, d.count(f, "intermediate_size", many, 22016));
  KEDGE_TRY(c.heads, d.count(f, "num_attention_heads", 4096, 32));
  KEDGE_TRY(c.kv_heads, f.count_or("num_key_value_heads", 4096, d.apply ? 32 : c.heads));
  KEDGE_TRY(c.head_dim, f.count_or("head_dim", 4096, 128));
  KEDGE_TRY(c.context, f.count_or("max_position_embeddings", most_tokens, 32768));
  KEDGE_TRY(const double eps, f.number_or("rms_norm_eps", 1e-6));
  c.norm_eps = static_cast<float>(eps);
  KEDGE_CHECK(read_rope(f, c));
  KEDGE_TRY(c.qkv_bias, f.flag_or("attention_bias", false));
  c.attention_output_bias = c.qkv_bias;
  c.qk_norm = true;
  KEDGE_TRY(const bool halves, f.flag_or("rope_is_neox_style", true));
  c.rope_interleaved = !halves;
  return check_config(c, f.place());
}

// `layer_types` and the window; `windowed`: all layers have one, whatever the types say.
Status read_layers(const Fields& f, bool windowed, std::int64_t own_window, DsparkConfig& c) {
  c.layers.resize(static_cast<std::size_t>(c.backbone.layers));
  std::vector<bool> sliding(c.layers.size(), windowed);
  if (const Json* types = f.find("layer_types"); types != nullptr && !windowed) {
    if (!types->is(Json::Type::array) || types->items().size() != c.layers.size())
      return fail(Code::malformed, f.place(), "%s: expected %zu of num_hidden_layers, found %zu",
                  f.full("layer_types").c_str(), c.layers.size(), types->items().size());
    for (std::size_t i = 0; i < c.layers.size(); ++i) {
      KEDGE_TRY(const std::string_view type,
                types->items()[i].string(f.place(), f.full("layer_types").c_str()));
      if (type != "full_attention" && type != "sliding_attention")
        return f.unsupported("layer_types", "full_attention or sliding_attention", type);
      sliding[i] = type == "sliding_attention";
    }
  }
  if (std::find(sliding.begin(), sliding.end(), true) == sliding.end()) return {};
  std::int64_t window = own_window;
  if (window == 0) {
    KEDGE_TRY(window, f.count("sliding_window", most_tokens));
  }
  for (std::size_t i = 0; i < c.layers.size(); ++i)
    if (sliding[i]) c.layers[i].window = window;
  return {};
}

Status read_heads(const Fields& f, std::int64_t default_rank, const char* confidence_key,
                  bool default_confidence, DsparkConfig& c) {
  KEDGE_TRY(const double rank, f.number_or("markov_rank", static_cast<double>(default_rank)));
  if (!(rank >= 0 && rank <= 65536))
    return fail(Code::malformed, f.place(), "%s: expected 0..65536, found %g",
                f.full("markov_rank").c_str(), rank);
  c.rank = static_cast<std::int64_t>(rank);
  KEDGE_TRY(const std::string_view head, f.text_or("markov_head_type", "vanilla"));
  if (head == "vanilla") c.head = op::MarkovBias::vanilla;
  else if (head == "gated") c.head = op::MarkovBias::gated;
  else if (head == "rnn") c.head = op::MarkovBias::rnn;
  else return f.unsupported("markov_head_type", "vanilla, gated or rnn", head);
  KEDGE_TRY(c.confidence, f.flag_or(confidence_key, default_confidence));
  KEDGE_TRY(const bool markov, f.flag_or("confidence_head_with_markov", true));
  c.confidence_with_markov = markov && c.rank > 0;
  return {};
}

Status refuse(const Fields& f, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const Json* value = f.find(key);
    if (value == nullptr) continue;
    if (value->is(Json::Type::boolean)) {
      KEDGE_TRY(const bool on, value->boolean(f.place(), f.full(key).c_str()));
      if (!on) continue;
    }
    return f.unsupported(key, "none", "one");
  }
  return {};
}

// speculative_tokens of the first way of proposing; 0: not said.
Result<std::int64_t> speculative_tokens(const Fields& top) {
  KEDGE_TRY(const Json* object, top.object_or_null("speculators_config"));
  const Json* methods = object == nullptr ? nullptr : object->find("proposal_methods");
  if (methods == nullptr || methods->items().empty()) return 0;
  const Json* tokens = methods->items()[0].find("speculative_tokens");
  if (tokens == nullptr) return 0;
  KEDGE_TRY(const std::uint64_t count,
            tokens->uint(top.place(), "config.json: proposal_methods: speculative_tokens"));
  return static_cast<std::int64_t>(std::min<std::uint64_t>(count, many));
}

// Early DSpark files of this format are 1+N and do not say so; newer ones say what they are.
Status read_layout(const Fields& top, std::int64_t proposed, DsparkConfig& c) {
  const std::string tokens = "speculative_tokens " + std::to_string(proposed) + " of block_size " +
                             std::to_string(c.block);
  if (top.find("sample_from_anchor") != nullptr) {
    KEDGE_TRY(c.sample_from_anchor, top.flag_or("sample_from_anchor", false));
    c.layout = "the key sample_from_anchor says so";
    if (proposed > 0 && proposed != c.drafts())
      c.notes.push_back(tokens + " does not fit sample_from_anchor; the key decides");
  } else if (proposed == c.block) {
    c.sample_from_anchor = true;
    c.layout = "there is no sample_from_anchor; " + tokens;
  } else {
    c.layout = "there is no sample_from_anchor, and without it this format means 1+N";
    if (proposed > 0) c.layout += "; " + tokens;
  }
  return {};
}

Result<DsparkConfig> read_speculators(const Fields& top) {
  DsparkConfig c;
  c.format = "speculators";
  KEDGE_TRY(const std::string_view type, top.text_or("speculators_model_type", ""));
  if (type != "dspark" && type != "dflash")
    return top.unsupported("speculators_model_type", "dspark or dflash", type);
  KEDGE_TRY(const Json* layer, top.object_or_null("transformer_layer_config"));
  if (layer == nullptr)
    return fail(Code::malformed, top.place(), "%s: expected an object, found none",
                top.full("transformer_layer_config").c_str());
  const Fields f(*layer, top.place(), top.full("transformer_layer_config."));
  KEDGE_CHECK(read_backbone(f, {true}, c.backbone));
  KEDGE_TRY(c.draft_vocabulary, top.count_or("draft_vocab_size", most_tokens, 32000));
  KEDGE_TRY(c.block, top.count_or("block_size", 4096, 8));
  KEDGE_TRY(c.target_width, top.count_or("target_hidden_size", many, c.backbone.width));
  KEDGE_TRY(c.taps, read_ids(top, "aux_hidden_state_layer_ids", 0));
  if (c.taps.empty())
    c.notes.push_back("no aux_hidden_state_layer_ids: speculators' default 2, L / 2, L - 3");
  KEDGE_CHECK(read_mask(top, nullptr, c));
  KEDGE_CHECK(read_heads(top, type == "dspark" ? 256 : 0, enable_confidence, type == "dspark", c));
  KEDGE_TRY(const std::int64_t proposed, speculative_tokens(top));
  KEDGE_CHECK(read_layout(top, proposed, c));
  KEDGE_CHECK(read_layers(f, false, 0, c));
  KEDGE_TRY(const bool all, top.flag_or("sliding_window_non_causal", false));
  for (DsparkConfig::Layer& l : c.layers) l.causal = l.window > 0 && !all;
  return c;
}

Result<DsparkConfig> read_native(const Fields& top, std::string_view name) {
  DsparkConfig c;
  KEDGE_TRY(const Json* own, top.object_or_null("dflash_config"));
  static const Json empty;
  const Fields f(own == nullptr ? empty : *own, top.place(), top.full("dflash_config."));
  KEDGE_TRY(const std::string_view projector, f.text_or("projector_type", "dflash"));
  const bool inside = projector == "dspark";  // the heads' keys are in dflash_config
  if (!inside && projector != "dflash")
    return f.unsupported("projector_type", "dflash or dspark", projector);
  // Model Optimizer trains either alignment and writes which; SpecForge has 1+N only.
  const bool optimizer = f.find("shift_label") != nullptr, forge = inside && !optimizer;
  const bool deep = name == "Qwen3DSparkModel" || name == "Qwen3DFlashModel";
  c.format = optimizer ? "Model Optimizer" : forge ? "SpecForge" : deep ? "DeepSpec" : "z-lab";
  KEDGE_CHECK(refuse(f, {"attention_sink_bias", "add_swa_attention_sink_bias", "conv_kernel_size",
                         "output_multiplier", "final_logit_softcapping", "input_embedding_scale"}));
  KEDGE_CHECK(refuse(top, {"logit_scale", "final_logit_softcapping"}));
  KEDGE_CHECK(read_backbone(top, {false}, c.backbone));
  KEDGE_TRY(c.draft_vocabulary,
            top.count_or("draft_vocab_size", most_tokens, c.backbone.vocabulary));
  KEDGE_TRY(const std::int64_t block, top.count_or("block_size", 4096, 16));
  KEDGE_TRY(c.block, f.count_or("block_size", 4096, block));
  KEDGE_TRY(c.target_width, top.count_or("target_hidden_size", many, c.backbone.width));

  const Fields& ids = f.find("target_layer_ids") != nullptr ? f : top;
  KEDGE_TRY(c.taps, read_ids(ids, "target_layer_ids", 1));
  if (c.taps.empty())
    return fail(Code::malformed, top.place(), "%s: expected an array of layers, found none",
                ids.full("target_layer_ids").c_str());
  KEDGE_TRY(const std::int64_t layers, top.count_or("num_target_layers", 4096, 4096));
  for (std::int32_t& tap : c.taps)
    if (tap == layers) {
      tap = -1;
      c.notes.push_back(
          "target_layer_ids has the last layer, which transformers gives behind the "
          "final norm: tap -1");
    }
  KEDGE_CHECK(read_mask(top, &f, c));
  KEDGE_CHECK(read_heads(inside ? f : top, 0, optimizer ? "use_confidence_head" : enable_confidence,
                         !inside, c));
  if (c.rank == 0) c.confidence = false;

  if (top.find("sample_from_anchor") != nullptr) {
    KEDGE_TRY(c.sample_from_anchor, top.flag_or("sample_from_anchor", false));
    c.layout = "the key sample_from_anchor says so";
  } else if (optimizer) {
    KEDGE_TRY(c.sample_from_anchor, f.flag_or("shift_label", true));
    c.layout = "the key dflash_config.shift_label says so";
  } else {
    c.sample_from_anchor = c.rank > 0 && !forge;
    c.layout = c.rank == 0 ? "DFlash: a slot guesses its own position"
               : forge     ? "SpecForge's DSpark is 1+N"
                           : "DSpark of this format guesses from the anchor on";
  }
  KEDGE_TRY(const bool windowed, f.flag_or("use_swa", false));
  std::int64_t window = 0;
  if (windowed) {
    KEDGE_TRY(window, f.count_or("swa_window_size", most_tokens, 0));
  }
  KEDGE_CHECK(read_layers(top, windowed, window, c));
  const bool said = f.find("causal") != nullptr;
  KEDGE_TRY(const bool causal, f.flag_or("causal", false));
  for (DsparkConfig::Layer& l : c.layers) l.causal = said ? causal : l.window > 0;
  return c;
}

// The one name in `architectures`, empty where there is none.
Result<std::string_view> class_name(const Fields& top) {
  const Json* classes = top.find("architectures");
  if (classes == nullptr || classes->items().size() != 1) return std::string_view();
  return classes->items()[0].string(top.place(), top.full("architectures").c_str());
}

bool is_native(std::string_view name) {
  return name == "DFlashDraftModel" || name == "DSparkDraftModel" || name == "Qwen3DSparkModel" ||
         name == "Qwen3DFlashModel";
}

Result<Json> parse(const ModelFiles& files) {
  return Json::parse(files.config_json(), files.name(), {folder::longest_config, 16, 100000});
}

}  // namespace

Status read_mask(const Fields& top, const Fields* own, DsparkConfig& c) {
  const Fields* const places[] = {own, &top};
  for (const char* key : {"mask_token_id", "dspark_noise_token_id", "pard_token", "ptd_token_id"})
    for (const Fields* f : places) {
      if (f == nullptr || f->find(key) == nullptr) continue;
      KEDGE_TRY(const std::uint64_t id, f->find(key)->uint(f->place(), f->full(key).c_str()));
      if (id >= static_cast<std::uint64_t>(c.backbone.vocabulary))
        return fail(Code::malformed, f->place(),
                    "%s: expected less than vocab_size %lld, found %llu", f->full(key).c_str(),
                    static_cast<long long>(c.backbone.vocabulary),
                    static_cast<unsigned long long>(id));
      c.mask_token = static_cast<std::int32_t>(id);
      return {};
    }
  return fail(Code::malformed, top.place(), "%s: expected a token, found none",
              top.full("mask_token_id").c_str());
}

bool is_dspark_folder(const ModelFiles& files) {
  const auto json = parse(files);
  if (!json || !json->is(Json::Type::object)) return false;
  const Fields top(*json, files.name(), "config.json: ");
  if (top.find("speculators_model_type") != nullptr) return true;
  const auto name = class_name(top);
  return name && is_native(*name);
}

Result<DsparkConfig> read_dspark_folder(const ModelFiles& files) {
  KEDGE_TRY(const Json json, parse(files));
  if (!json.is(Json::Type::object))
    return fail(Code::malformed, files.name(), "config.json: expected an object, found %s",
                json.type_name());
  const Fields top(json, files.name(), "config.json: ");
  if (top.find("speculators_model_type") != nullptr) return read_speculators(top);
  KEDGE_TRY(const std::string_view name, class_name(top));
  if (is_native(name)) return read_native(top, name);
  return top.unsupported("architectures",
                         "DFlashDraftModel, DSparkDraftModel, Qwen3DSparkModel or Qwen3DFlashModel "
                         "(or a speculators_model_type)",
                         name.empty() ? "none" : name);
}

}  // namespace kedge::inline KEDGE_ABI::draft
