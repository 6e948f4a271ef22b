// A very small model as a Hugging Face folder and as GGUF files, in memory, for tests of loading.
#pragma once

#include <map>
#include <random>

#include "kedge/core/half.hpp"
#include "kedge/io/safetensors.hpp"
#include "kedge/model/model.hpp"
#include "unit/io_support.hpp"

namespace kedge_test {

using kedge::Element;

struct SmallTensor {
  std::vector<std::int64_t> shape;
  Element element = Element::f32;
  Bytes bytes;
};

// width 8, 2 heads of 4 (1 key/value head), feed-forward 8, vocabulary 5, 2 layers, tied head
struct SmallModel {
  std::map<std::string, std::string> config;  // key to JSON
  std::map<std::string, SmallTensor> tensors;

  explicit SmallModel(Element element = Element::f32) {
    config = {{"architectures", "[\"LlamaForCausalLM\"]"},
              {"model_type", "\"llama\""},
              {"hidden_size", "8"},
              {"intermediate_size", "8"},
              {"num_hidden_layers", "2"},
              {"num_attention_heads", "2"},
              {"num_key_value_heads", "1"},
              {"max_position_embeddings", "128"},
              {"rms_norm_eps", "1e-05"},
              {"tie_word_embeddings", "true"},
              {"vocab_size", "5"}};
    add("model.embed_tokens.weight", element, {5, 8});
    for (int i = 0; i < 2; ++i) {
      const std::string p = "model.layers." + std::to_string(i) + ".";
      for (const char* name : {"input_layernorm", "post_attention_layernorm"})
        add(p + name + ".weight", element, {8});
      add(p + "self_attn.q_proj.weight", element, {8, 8});
      add(p + "self_attn.k_proj.weight", element, {4, 8});
      add(p + "self_attn.v_proj.weight", element, {4, 8});
      add(p + "self_attn.o_proj.weight", element, {8, 8});
      for (const char* name : {"gate_proj", "up_proj", "down_proj"})
        add(p + "mlp." + name + ".weight", element, {8, 8});
    }
    add("model.norm.weight", element, {8});
  }

  void add(const std::string& name, Element element, std::vector<std::int64_t> shape) {
    SmallTensor t{std::move(shape), element, {}};
    std::size_t count = 1;
    for (const std::int64_t n : t.shape) count *= static_cast<std::size_t>(n);
    t.bytes.resize(kedge::row_bytes(element, static_cast<std::int64_t>(count)));
    std::mt19937 random(static_cast<unsigned>(tensors.size()));
    for (std::size_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(random() % 2001) / 1000 - 1;
      if (element == Element::f32) {
        std::memcpy(t.bytes.data() + 4 * i, &value, 4);
        continue;
      }
      const std::uint16_t bits =
          element == Element::f16 ? kedge::f32_to_f16(value) : kedge::f32_to_bf16(value);
      std::memcpy(t.bytes.data() + 2 * i, &bits, 2);
    }
    tensors[name] = std::move(t);
  }

  std::string json() const {
    std::string text = "{";
    for (const auto& [key, value] : config)
      text += (text.size() == 1 ? "\"" : ", \"") + key + "\": " + value;
    return text + "}";
  }

  // The tensors in one file, or cut into `parts` of nearly equal numbers.
  std::vector<Bytes> safetensors(std::size_t parts = 1) const {
    std::vector<Bytes> files(parts);
    std::size_t at = 0;
    std::vector<kedge::io::SafetensorsWriter> writers(parts);
    for (const auto& [name, t] : tensors) {
      const auto type = t.element == Element::f16    ? kedge::io::SafeType::f16
                        : t.element == Element::bf16 ? kedge::io::SafeType::bf16
                                                     : kedge::io::SafeType::f32;
      EXPECT_TRUE(
          ok(writers[at++ * parts / tensors.size()].add_tensor(name, type, t.shape, t.bytes)));
    }
    for (std::size_t i = 0; i < parts; ++i) EXPECT_TRUE(ok(writers[i].write(files[i])));
    return files;
  }

  // What has to stay alive while the files are in use.
  struct InMemory {
    std::string json;
    std::vector<Bytes> files;
    kedge::Result<kedge::ModelFiles> open() const {
      std::vector<kedge::io::Source> sources;
      for (const Bytes& file : files)
        sources.push_back(kedge::io::Source::memory(file, "part.safetensors"));
      return kedge::ModelFiles::from_folder(
          kedge::io::Source::memory(std::as_bytes(std::span(json)), "config.json"),
          std::move(sources));
    }
  };
  InMemory in_memory(std::size_t parts = 1) const { return {json(), safetensors(parts)}; }

  kedge::Result<std::shared_ptr<const kedge::Model>> load(
      const kedge::Model::Options& options = {}) const {
    const InMemory memory = in_memory();
    KEDGE_TRY(const kedge::ModelFiles files, memory.open());
    return kedge::Model::load(files, options);
  }
};

// The same sizes as GGUF: `count` shards of the named tensors; keys may be changed by the tests.
struct SmallGguf {
  std::map<std::string, std::uint64_t> keys = {
      {"llama.block_count", 2},         {"llama.embedding_length", 8},
      {"llama.feed_forward_length", 8}, {"llama.attention.head_count", 2},
      {"llama.context_length", 128},    {"llama.attention.head_count_kv", 1}};
  std::map<std::string, SmallTensor> tensors;

  SmallGguf() {
    const SmallModel folder;
    const std::vector<std::pair<std::string, std::string>> names = {
        {"model.embed_tokens", "token_embd"},
        {"model.norm", "output_norm"},
        {"model.layers.", "blk."},
        {"input_layernorm", "attn_norm"},
        {"post_attention_layernorm", "ffn_norm"},
        {"self_attn.q_proj", "attn_q"},
        {"self_attn.k_proj", "attn_k"},
        {"self_attn.v_proj", "attn_v"},
        {"self_attn.o_proj", "attn_output"},
        {"mlp.gate_proj", "ffn_gate"},
        {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"}};
    for (const auto& [folder_name, tensor] : folder.tensors) {
      std::string name = folder_name;
      for (const auto& [from, to] : names)
        if (const auto at = name.find(from); at != std::string::npos)
          name.replace(at, from.size(), to);
      tensors[name] = tensor;
    }
  }

  // Shard `number` of `count`; `split` changes its split keys.
  Bytes shard(std::size_t number, std::size_t count,
              std::map<std::string, std::uint64_t> split = {}) const {
    kedge::io::GgufWriter writer;
    if (number == 0) {
      EXPECT_TRUE(ok(writer.add_string("general.architecture", "llama")));
      for (const auto& [key, value] : keys) EXPECT_TRUE(ok(writer.add_unsigned(key, value)));
    }
    split.emplace("split.no", number);
    split.emplace("split.count", count);
    split.emplace("split.tensors.count", tensors.size());
    if (count == 1) split.clear();
    for (const auto& [key, value] : split)
      EXPECT_TRUE(ok(writer.add_unsigned(key, value, Type::u16)));
    std::size_t at = 0;
    for (const auto& [name, t] : tensors) {
      if (at++ * count / tensors.size() != number) continue;
      const kedge::Tensor view =
          t.shape.size() == 1 ? kedge::tensor(t.bytes.data(), t.element, t.shape[0])
                              : kedge::tensor(t.bytes.data(), t.element, t.shape[0], t.shape[1]);
      EXPECT_TRUE(ok(writer.add_tensor(name, view)));
    }
    Bytes bytes;
    EXPECT_TRUE(ok(writer.write(bytes)));
    return bytes;
  }
};

}  // namespace kedge_test
