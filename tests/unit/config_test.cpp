// config.json of folders and the metadata of GGUF files: what is read, and what is refused by name.
#include "kedge/model/config.hpp"

#include "unit/model_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;

Result<ModelConfig> read(const SmallModel& model) {
  const auto memory = model.in_memory();
  KEDGE_TRY(const ModelFiles files, memory.open());
  return read_config(files);
}

struct Change {
  const char *key, *value;  // null: absent
  Code code;
  std::initializer_list<const char*> words;
};

TEST(FolderConfig, IsRead) {
  auto config = read(SmallModel());
  ASSERT_TRUE(ok(config));
  EXPECT_EQ(config->architecture, "llama");
  EXPECT_EQ(config->width, 8);
  EXPECT_EQ(config->head_dim, 4);
  EXPECT_EQ(config->kv_heads, 1);
  EXPECT_EQ(config->vocabulary, 5);
  EXPECT_EQ(config->rope_base, 10000);
  EXPECT_FALSE(config->rope_interleaved);
  EXPECT_TRUE(config->tied_output);
  EXPECT_FALSE(config->qkv_bias || config->qk_norm);
}

TEST(FolderConfig, RefusesWhatItCannotCompute) {
  constexpr auto bad = Code::malformed, other = Code::unsupported;
  const Change changes[] = {
      {"model_type", "\"mamba\"", other, {"config.json", "model_type", "llama", "mamba"}},
      {"model_type", nullptr, bad, {"model_type", "none"}},
      {"model_type", "[\"llama\"]", bad, {"model_type", "string", "array"}},
      {"architectures", "[\"LlamaForSequenceClassification\"]", other, {"architectures", "Seq"}},
      {"architectures", "\"LlamaForCausalLM\"", bad, {"architectures", "array"}},
      {"hidden_size", "\"8\"", bad, {"hidden_size", "integer", "string"}},
      {"hidden_size", "8.0", bad, {"hidden_size", "integer", "real"}},
      {"hidden_size", "-8", bad, {"hidden_size", "-8"}},
      {"hidden_size", "0", bad, {"hidden_size", "1..", "0"}},
      {"hidden_size", "18446744073709551615", bad, {"hidden_size", "18446744073709551615"}},
      {"hidden_size", "1e400", bad, {"JSON"}},
      {"hidden_size", nullptr, bad, {"hidden_size", "none"}},
      {"num_hidden_layers", "1000000", bad, {"num_hidden_layers", "4096", "1000000"}},
      {"num_key_value_heads", "3", bad, {"2 heads", "3 key/value"}},
      {"num_key_value_heads", "true", bad, {"num_key_value_heads", "boolean"}},
      {"head_dim", "5", bad, {"rotary", "even", "5"}},
      {"head_dim", "4098", bad, {"head_dim", "4098"}},
      {"vocab_size", "4294967296", bad, {"vocab_size", "4294967296"}},
      {"rms_norm_eps", "null", bad, {"rms_norm_eps"}},
      {"rms_norm_eps", "-1", bad, {"epsilon", "-1"}},
      {"rms_norm_eps", "\"small\"", bad, {"rms_norm_eps", "number", "string"}},
      {"tie_word_embeddings", "1", bad, {"tie_word_embeddings", "true or false", "integer"}},
      {"hidden_act", "\"gelu\"", other, {"hidden_act", "silu", "gelu"}},
      {"quantization_config", "{\"quant_method\": \"awq\"}", other, {"quantization_config"}},
      {"sliding_window", "64", other, {"sliding_window"}},
      {"layer_types", "[\"full_attention\", \"sliding_attention\"]", other, {"sliding_attention"}},
      {"layer_types", "7", bad, {"layer_types", "array"}},
      {"partial_rotary_factor", "0.5", other, {"partial_rotary_factor", "0.5"}},
      {"rope_theta", "0", bad, {"base", "0"}},
      {"rope_theta", "[]", bad, {"rope_theta", "number", "array"}},
      {"rope_scaling", "\"linear\"", bad, {"rope_scaling", "object", "string"}},
      {"rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2}", other, {"rope_type", "dynamic"}},
      {"rope_scaling", "{\"rope_type\": \"linear\"}", bad, {"rope_scaling.factor", "none"}},
      {"rope_scaling", "{\"rope_type\": \"linear\", \"factor\": -2}", bad, {"factor", "-2"}},
      {"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8}", bad, {"low_freq_factor"}},
      {"rope_scaling",
       "{\"rope_type\": \"yarn\", \"factor\": 4, \"beta_fast\": 1, \"beta_slow\": 2}",
       bad,
       {"beta_slow", "beta_fast"}},
      {"rope_parameters",
       "{\"full_attention\": {}, \"rope_type\": \"longrope\"}",
       other,
       {"rope_parameters", "longrope"}},
      {"attention_bias", "\"yes\"", bad, {"attention_bias", "string"}},
  };
  for (const Change& c : changes) {
    SmallModel model;
    if (c.value == nullptr) model.config.erase(c.key);
    else model.config[c.key] = c.value;
    EXPECT_TRUE(fails_with(read(model), c.code, c.words))
        << c.key << ": " << (c.value == nullptr ? "absent" : c.value);
  }
}

TEST(FolderConfig, RefusesTextThatIsNoObject) {
  for (const char* text : {"", "[]", "7", "{", "{\"a\": 1,}", "{\"a\": 1, \"a\": 2}", "\xFF"}) {
    SmallModel::InMemory memory = SmallModel().in_memory();
    memory.json = text;
    auto files = memory.open();
    ASSERT_TRUE(ok(files));
    EXPECT_TRUE(fails_with(read_config(*files), Code::malformed, {"config.json"})) << text;
  }
  SmallModel::InMemory memory = SmallModel().in_memory();
  memory.json = std::string(200, '[') + std::string(200, ']');
  auto files = memory.open();
  ASSERT_TRUE(ok(files));
  EXPECT_TRUE(fails_with(read_config(*files), Code::malformed, {"depth"}));
  memory.json.assign((1 << 20) + 1, ' ');
  EXPECT_TRUE(fails_with(memory.open(), Code::malformed, {"1048577"}));
}

TEST(FolderConfig, BothFormsOfRopeScaling) {
  SmallModel model;
  model.config["rope_theta"] = "500000.0";
  model.config["rope_scaling"] =
      "{\"type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 32, "
      "\"mscale\": 2.0, \"mscale_all_dim\": 1}";
  const auto older = value_of(read(model));
  EXPECT_EQ(older.rope_base, 500000);
  EXPECT_EQ(older.rope_scaling.kind, RopeScalingKind::yarn);
  EXPECT_EQ(older.rope_scaling.original_context, 32);
  EXPECT_NEAR(older.rope_scaling.attention_factor, 1.2772588722 / 1.1386294361, 1e-9);
  model = SmallModel();
  model.config["rope_parameters"] =
      "{\"rope_type\": \"llama3\", \"rope_theta\": 7, \"factor\": 8, \"low_freq_factor\": 1, "
      "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 16}";
  const auto newer = value_of(read(model));
  EXPECT_EQ(newer.rope_base, 7);
  EXPECT_EQ(newer.rope_scaling.kind, RopeScalingKind::llama3);
  EXPECT_EQ(newer.rope_scaling.factor, 8);
}

TEST(FolderConfig, DefaultsOfTheArchitectures) {
  SmallModel model;
  model.config["model_type"] = "\"qwen3\"";
  model.config["architectures"] = "[\"Qwen3ForCausalLM\"]";
  const auto qwen3 = value_of(read(model));
  EXPECT_EQ(qwen3.head_dim, 128);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.qkv_bias);
  model.config["model_type"] = "\"qwen2\"";
  model.config["architectures"] = "[\"Qwen2ForCausalLM\"]";
  model.config["use_sliding_window"] = "false";
  model.config["sliding_window"] = "4096";
  const auto qwen2 = value_of(read(model));
  EXPECT_EQ(qwen2.head_dim, 4);
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.attention_output_bias || qwen2.qk_norm);
}

Result<ModelConfig> read(const SmallGguf& file) {
  const Bytes bytes = file.shard(0, 1);
  KEDGE_TRY(const io::Gguf gguf, io::Gguf::open(io::Source::memory(bytes, "small.gguf")));
  return read_config(gguf);
}

TEST(GgufConfig, RefusesWhatItCannotCompute) {
  ASSERT_TRUE(ok(read(SmallGguf())));
  const struct {
    const char* key;
    std::uint64_t value;
    Code code;
    std::initializer_list<const char*> words;
  } changes[] = {
      {"llama.block_count", 0, Code::malformed, {"small.gguf", "llama.block_count", "1.."}},
      {"llama.embedding_length", 1u << 31, Code::malformed, {"embedding_length", "2147483648"}},
      {"llama.attention.head_count_kv", 3, Code::malformed, {"2 heads", "3"}},
      {"llama.attention.value_length", 8, Code::unsupported, {"keys of 4", "values of 8"}},
      {"llama.expert_count", 8, Code::unsupported, {"llama.expert_count", "mixture"}},
      {"llama.attention.sliding_window", 64, Code::unsupported, {"sliding_window"}},
      {"llama.rope.dimension_count", 3, Code::malformed, {"even", "3"}},
      {"llama.rope.freq_base", 0, Code::malformed, {"base"}},
  };
  for (const auto& c : changes) {
    SmallGguf file;
    file.keys[c.key] = c.value;
    EXPECT_TRUE(fails_with(read(file), c.code, c.words)) << c.key;
  }
  SmallGguf file;
  file.keys.erase("llama.context_length");
  EXPECT_TRUE(fails_with(read(file), Code::not_found, {"llama.context_length"}));
  file.tensors.erase("token_embd.weight");
  file.keys["llama.context_length"] = 9;
  EXPECT_TRUE(fails_with(read(file), Code::not_found, {"token_embd.weight"}));
}

}  // namespace
