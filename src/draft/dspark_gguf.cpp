// A draft model's configuration from a GGUF file of llama.cpp's architecture dflash.
#include <algorithm>

#include "draft/dspark_reader.hpp"
#include "model/architecture.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

Status read_layers(const Keys& keys, DsparkConfig& c) {
  c.layers.resize(static_cast<std::size_t>(c.backbone.layers));
  bool causal = false;
  if (keys.has("attention.causal")) {
    KEDGE_TRY(causal, keys.file().boolean(keys.full("attention.causal")));
  }
  for (DsparkConfig::Layer& l : c.layers) l.causal = causal;
  if (!keys.has("attention.sliding_window")) return {};
  KEDGE_TRY(const std::uint64_t window, keys.file().uint(keys.full("attention.sliding_window")));
  if (window == 0) return {};
  const std::string key = keys.full("attention.sliding_window_pattern");
  KEDGE_TRY(const io::GgufArray* pattern, keys.file().array(key));
  if (pattern->integers.size() != c.layers.size())
    return fail(Code::malformed, keys.place(), "%s: expected %zu of block_count, found %zu",
                key.c_str(), c.layers.size(), pattern->integers.size());
  for (std::size_t i = 0; i < c.layers.size(); ++i)
    if (pattern->integers[i] != 0) c.layers[i].window = static_cast<std::int64_t>(window);
  if (!keys.has("attention.causal"))
    c.notes.emplace_back(
        "no dflash.attention.causal: slots of sliding layers see their whole block, "
        "as in llama.cpp; the file does not say how they were trained");
  return {};
}

Status read_taps(const Keys& keys, DsparkConfig& c) {
  const std::string key = keys.full("target_layers");
  KEDGE_TRY(const io::GgufArray* layers, keys.file().array(key));
  if (layers->integers.empty())
    return fail(Code::malformed, keys.place(), "%s: expected integers, found none", key.c_str());
  for (const std::int64_t k : layers->integers) {
    if (k < 0 || k > 4096)
      return fail(Code::malformed, keys.place(), "%s: expected 0..4096, found %lld", key.c_str(),
                  static_cast<long long>(k));
    c.taps.push_back(static_cast<std::int32_t>(k));
  }
  return {};
}

Status read_heads(const Keys& keys, const TensorDirectory& tensors, DsparkConfig& c) {
  if (const FileTensor* w1 = tensors.find("markov_w1.weight")) c.rank = w1->extent[1];
  c.confidence = tensors.find("conf_proj.weight") != nullptr;
  c.confidence_with_markov = c.rank > 0;
  if (!keys.has("sample_from_anchor")) {
    c.sample_from_anchor = c.rank > 0;
    c.layout = c.rank > 0 ? "there is no dflash.sample_from_anchor, and without it a file with a "
                            "Markov head means true"
                          : "DFlash: a slot guesses its own position";
    return {};
  }
  KEDGE_TRY(c.sample_from_anchor, keys.file().boolean(keys.full("sample_from_anchor")));
  c.layout = "the key dflash.sample_from_anchor says so";
  return {};
}

}  // namespace

Result<DsparkConfig> read_dspark_gguf(const io::Gguf& file, const TensorDirectory& tensors) {
  const char* place = file.source().name();
  const Keys keys(file, "dflash");
  DsparkConfig c;
  c.format = "GGUF";
  c.absolute_map = true;
  for (const char* key : {"hyper_connection.count", "selector_rank", "conv_kernel_size",
                          "embedding_scale", "final_logit_softcapping", "logit_scale"})
    KEDGE_CHECK(keys.expect_none(key, "a draft model of another kind"));
  ModelConfig& b = c.backbone;
  b.architecture = "qwen3";
  constexpr std::int64_t many = 1 << 20;
  KEDGE_TRY(b.layers, keys.count("block_count", 4096));
  KEDGE_TRY(b.width, keys.count("embedding_length", many));
  KEDGE_TRY(b.feed_forward, keys.count("feed_forward_length", many));
  KEDGE_TRY(b.heads, keys.count("attention.head_count", 4096));
  KEDGE_TRY(b.kv_heads, keys.count_or("attention.head_count_kv", 4096, b.heads));
  KEDGE_TRY(b.head_dim, keys.count_or("attention.key_length", 4096,
                                      std::max<std::int64_t>(1, b.width / b.heads)));
  KEDGE_TRY(b.context, keys.count_or("context_length", 1 << 28, 32768));
  KEDGE_TRY(b.rotary_dims, keys.count_or("rope.dimension_count", b.head_dim, b.head_dim));
  KEDGE_TRY(b.rope_base, keys.number_or("rope.freq_base", 10000));
  if (keys.has("rope.scaling.type")) {
    KEDGE_TRY(const std::string_view scaling, file.string(keys.full("rope.scaling.type")));
    if (scaling != "none")
      return fail(Code::unsupported, place, "%s: expected none, found %.*s",
                  keys.full("rope.scaling.type").c_str(), static_cast<int>(scaling.size()),
                  scaling.data());
  }
  KEDGE_TRY(const double eps, keys.number_or("attention.layer_norm_rms_epsilon", 1e-6));
  b.norm_eps = static_cast<float>(eps);
  b.rope_interleaved = false;  // conversion reorders the rows of drafts that were
  b.qk_norm = true;
  b.qkv_bias = tensors.find("blk.0.attn_q.bias") != nullptr;
  b.attention_output_bias = tensors.find("blk.0.attn_output.bias") != nullptr;
  for (const char* name : {"markov_w1.weight", "token_embd.weight", "output.weight"})
    if (const FileTensor* t = tensors.find(name); t != nullptr && b.vocabulary == 0)
      b.vocabulary = t->extent[0];  // 0: the target's
  c.draft_vocabulary = b.vocabulary;
  if (const FileTensor* map = tensors.find("d2t")) c.draft_vocabulary = map->extent[map->rank - 1];
  KEDGE_TRY(c.block, keys.count("block_size", 4096));
  c.target_width = b.width;
  KEDGE_CHECK(read_taps(keys, c));
  KEDGE_TRY(const std::uint64_t mask, file.uint("tokenizer.ggml.mask_token_id"));
  if (mask > INT32_MAX)
    return fail(Code::malformed, place,
                "tokenizer.ggml.mask_token_id: expected a token, found %llu",
                static_cast<unsigned long long>(mask));
  c.mask_token = static_cast<std::int32_t>(mask);
  KEDGE_CHECK(read_heads(keys, tensors, c));
  KEDGE_CHECK(read_layers(keys, c));
  KEDGE_CHECK(check_config(b, place));
  return c;
}

}  // namespace kedge::inline KEDGE_ABI::draft
