#include "exact/tiny_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "cases/quantized.hpp"
#include "kedge/io/gguf_writer.hpp"

namespace kedge::tests {

namespace {

// Nearly normal, and the same with every standard library.
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : rng_(seed) {}
  float operator()(float scale) {
    const std::uint64_t bits = rng_();
    const auto sum = static_cast<std::int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) +
                                               (bits >> 32 & 0xFFFF) + (bits >> 48));
    return static_cast<float>(sum - 131070) * (scale * 2.6428e-5f);
  }

 private:
  std::mt19937_64 rng_;
};

class Maker {
 public:
  explicit Maker(const TinySpec& spec) : spec_(spec), normal_(spec.seed * 7919 + 13) {}

  // Rows of `width` values whose products with values of order one have deviation `gain`.
  TinyTensor matrix(const std::string& name, Element element, std::int64_t rows, std::int64_t width,
                    float gain) {
    TinyTensor t{name, element == Element::count ? spec_.element : element, rows, width, {}};
    const std::size_t step = row_bytes(t.element, width);
    t.bytes.resize(static_cast<std::size_t>(rows) * step);
    std::vector<float> values(static_cast<std::size_t>(width));
    const float scale = gain / std::sqrt(static_cast<float>(width));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (float& v : values) v = normal_(scale);
      cases::quantize_row(t.element, values.data(), width,
                          t.bytes.data() + static_cast<std::size_t>(r) * step);
    }
    return t;
  }
  TinyTensor norm(const std::string& name, std::int64_t width) {
    return vector(name, width, 1, 0.1f);
  }
  TinyTensor vector(const std::string& name, std::int64_t width, float mean, float deviation) {
    TinyTensor t{name, Element::f32, 0, width, {}};
    std::vector<float> values(static_cast<std::size_t>(width));
    for (float& v : values) v = mean + normal_(deviation);
    t.bytes.resize(values.size() * sizeof(float));
    std::memcpy(t.bytes.data(), values.data(), t.bytes.size());
    return t;
  }

 private:
  const TinySpec& spec_;
  Normal normal_;
};

}  // namespace

std::string TinySpec::describe() const {
  const auto name = [this](Element e) { return to_string(e == Element::count ? element : e); };
  return (architecture == "llama" ? "" : architecture + " ") + name(element) + " (value " +
         name(value) + ", down " + name(down) + ", embedding " + name(embedding) + ", output " +
         (tied ? "tied" : name(output)) + ") seed " + std::to_string(seed);
}

TinySpec tiny_spec(TinyKind kind, std::uint64_t seed) {
  const Element element = kind.element;
  TinySpec s;
  if (!kind.plain()) {
    s.architecture = kind.architecture == "biased" ? "llama" : kind.architecture;
    s.seed = seed;
    s.element = element;
    s.qk_norm = kind.architecture == "qwen3";
    s.qkv_bias = !s.qk_norm;
    s.output_bias = s.feed_forward_bias = kind.architecture == "biased";
    s.head_dim = s.qk_norm ? 32 : 16;  // qwen3: heads wider than the model
    s.tied = s.qk_norm;
    return s;
  }
  s.seed = seed;
  s.element = element;
  switch (element) {
    case Element::f16:
      s.width = 96, s.heads = 3, s.kv_heads = 1, s.head_dim = 32, s.feed_forward = 160;
      s.tied = true;
      break;
    case Element::bf16:  // heads wider than the model
      s.heads = 2, s.kv_heads = 1, s.head_dim = 64, s.feed_forward = 112, s.vocabulary = 97;
      s.layers = 3;
      break;
    case Element::q8_0:
      s.kv_heads = 4, s.vocabulary = 300, s.tied = true;
      break;
    case Element::q4_0:
      s.width = 96, s.heads = 3, s.kv_heads = 3, s.head_dim = 32, s.feed_forward = 128;
      s.down = Element::q4_1, s.output = Element::q8_0;
      break;
    case Element::q4_1:  // float beside quantized: the norm is written in F32 and rounded for q, k
      s.head_dim = 32, s.value = Element::f16, s.down = Element::q8_0;
      s.embedding = Element::bf16, s.layers = 3;
      break;
    case Element::q6_k:
      s.width = 256, s.head_dim = 64, s.feed_forward = 512, s.vocabulary = 97;
      s.embedding = Element::q4_0;
      break;
    case Element::q5_0:
      s.head_dim = 32, s.down = Element::q5_1, s.vocabulary = 150;
      break;
    case Element::q5_1:
      s.width = 96, s.heads = 3, s.kv_heads = 1, s.head_dim = 32, s.feed_forward = 128;
      s.tied = true;
      break;
    case Element::q4_k:  // the mix of a file called Q4_K_M
      s.width = 256, s.head_dim = 64, s.feed_forward = 256, s.vocabulary = 140;
      s.value = Element::q6_k, s.down = Element::q6_k, s.output = Element::q6_k;
      break;
    case Element::q5_k:
      s.width = 256, s.heads = 8, s.head_dim = 32, s.feed_forward = 512, s.vocabulary = 97;
      s.embedding = Element::q4_k;
      break;
    default:
      break;
  }
  return s;
}

TinyFile make_tiny(const TinySpec& s) {
  TinyFile file;
  file.spec = s;
  file.architecture = s.architecture;
  Maker make(s);
  auto& tensors = file.tensors;
  const std::int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  // What the layers add must outweigh the embedding, above all when the head is the embedding: it
  // would else choose the token that it was given.
  const float embedding = s.tied ? 0.5f : 1.0f;
  const auto width = static_cast<float>(s.width);
  const auto bias = [&](bool present, const std::string& name, std::int64_t values) {
    if (present) tensors.push_back(make.vector(name + ".bias", values, 0, 0.3f));
  };
  tensors.push_back(make.matrix("token_embd.weight", s.embedding, s.vocabulary, s.width,
                                embedding * (s.tied ? 4.0f : std::sqrt(width))));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const std::string p = "blk." + std::to_string(i) + ".";
    tensors.push_back(make.norm(p + "attn_norm.weight", s.width));
    tensors.push_back(make.matrix(p + "attn_q.weight", Element::count, q, s.width, 1.5f));
    bias(s.qkv_bias, p + "attn_q", q);
    tensors.push_back(make.matrix(p + "attn_k.weight", Element::count, kv, s.width, 1.5f));
    bias(s.qkv_bias, p + "attn_k", kv);
    tensors.push_back(make.matrix(p + "attn_v.weight", s.value, kv, s.width, 2.0f));
    bias(s.qkv_bias, p + "attn_v", kv);
    if (s.qk_norm) {
      tensors.push_back(make.norm(p + "attn_q_norm.weight", s.head_dim));
      tensors.push_back(make.norm(p + "attn_k_norm.weight", s.head_dim));
    }
    tensors.push_back(make.matrix(p + "attn_output.weight", Element::count, s.width, q, 2.0f));
    bias(s.output_bias, p + "attn_output", s.width);
    tensors.push_back(make.norm(p + "ffn_norm.weight", s.width));
    tensors.push_back(
        make.matrix(p + "ffn_gate.weight", Element::count, s.feed_forward, s.width, 2.0f));
    tensors.push_back(
        make.matrix(p + "ffn_up.weight", Element::count, s.feed_forward, s.width, 1.0f));
    bias(s.feed_forward_bias, p + "ffn_gate", s.feed_forward);
    bias(s.feed_forward_bias, p + "ffn_up", s.feed_forward);
    tensors.push_back(make.matrix(p + "ffn_down.weight", s.down, s.width, s.feed_forward, 1.5f));
    bias(s.feed_forward_bias, p + "ffn_down", s.width);
  }
  tensors.push_back(make.norm("output_norm.weight", s.width));
  if (!s.tied)
    tensors.push_back(make.matrix("output.weight", s.output, s.vocabulary, s.width, 2.0f));
  return file;
}

TinyTensor& TinyFile::tensor(const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TinyTensor& t) { return t.name == name; });
  EXPECT_NE(found, tensors.end()) << name;
  return *found;
}

void TinyFile::erase(const std::string& name) {
  std::erase_if(tensors, [&](const TinyTensor& t) { return t.name == name; });
}

std::vector<std::byte> TinyFile::write() const {
  io::GgufWriter writer;
  const auto count = [&](const char* key, std::int64_t value) {
    EXPECT_TRUE(
        writer.add_unsigned(spec.architecture + "." + key, static_cast<std::uint64_t>(value)))
        << key;
  };
  EXPECT_TRUE(writer.add_string("general.architecture", architecture));
  EXPECT_TRUE(writer.add_string("general.name", "tiny " + spec.describe()));
  count("block_count", spec.layers);
  count("embedding_length", spec.width);
  count("feed_forward_length", spec.feed_forward);
  count("attention.head_count", spec.heads);
  count("attention.head_count_kv", spec.kv_heads);
  count("attention.key_length", spec.head_dim);
  count("attention.value_length", spec.head_dim);
  count("rope.dimension_count", spec.head_dim);
  count("context_length", spec.context);
  EXPECT_TRUE(writer.add_float(spec.architecture + ".rope.freq_base", 10000));
  EXPECT_TRUE(writer.add_float(spec.architecture + ".attention.layer_norm_rms_epsilon", 1e-5));
  for (const TinyTensor& t : tensors) {
    const Tensor view = t.rows == 0 ? kedge::tensor(t.bytes.data(), t.element, t.width)
                                    : kedge::tensor(t.bytes.data(), t.element, t.rows, t.width);
    EXPECT_TRUE(writer.add_tensor(t.name, view)) << t.name;
  }
  std::vector<std::byte> bytes;
  EXPECT_TRUE(writer.write(bytes));
  return bytes;
}

Result<std::shared_ptr<const Model>> load_bytes(const std::vector<std::byte>& bytes,
                                                Executor* executor, bool check_weights) {
  KEDGE_TRY(const io::Gguf file, io::Gguf::open(io::Source::memory(bytes, "tiny.gguf")));
  Model::Options options;
  options.executor = executor;
  options.check_weights = check_weights;
  return Model::load(file, options);
}

std::shared_ptr<const Model> load_tiny(const TinySpec& spec) {
  auto model = load_bytes(make_tiny(spec).write());
  EXPECT_TRUE(model) << spec.describe() << ": " << model.error().place << ": "
                     << model.error().reason;
  return model ? *model : nullptr;
}

std::vector<std::int32_t> random_tokens(std::uint64_t seed, std::int64_t count,
                                        std::int64_t vocabulary) {
  std::mt19937_64 rng(seed * 31 + 7);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& t : tokens)
    t = static_cast<std::int32_t>(rng() % static_cast<std::uint64_t>(vocabulary));
  return tokens;
}

}  // namespace kedge::tests
