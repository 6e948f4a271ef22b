// Hybrid models in files: what is read of them, what becomes of their weights, and errors that name
// the numbers when something cannot be.
#include "kedge/core/math.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "unit/model_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;

// Width w = 8; a layer with a delta rule (2 key heads and 4 value heads of w / 2, 3 taps), one with
// attention (2 heads of w, one for keys and values).
struct SmallHybrid : SmallModel {
  explicit SmallHybrid(Element element = Element::f32, std::int64_t w = 8) : SmallModel(element) {
    const auto text = [](std::int64_t n) { return std::to_string(n); };
    config["architectures"] = "[\"Qwen3_5ForCausalLM\"]";
    config["model_type"] = "\"qwen3_5_text\"";
    config["hidden_size"] = config["intermediate_size"] = config["head_dim"] = text(w);
    config["linear_num_key_heads"] = "2";
    config["linear_num_value_heads"] = "4";
    config["linear_key_head_dim"] = config["linear_value_head_dim"] = text(w / 2);
    config["linear_conv_kernel_dim"] = "3";
    config["layer_types"] = "[\"linear_attention\", \"full_attention\"]";
    config["rope_parameters"] =
        "{\"rope_type\": \"default\", \"rope_theta\": 100000.0, \"partial_rotary_factor\": 0.5, "
        "\"mrope_section\": [" +
        text(w / 4 - 1) + ", 1, 0]}";
    std::erase_if(tensors,
                  [](const auto& t) { return t.first.find("self_attn") != std::string::npos; });
    for (const auto& [name, t] : SmallModel(*this).tensors) {
      std::vector<std::int64_t> shape = t.shape;
      for (std::int64_t& n : shape) n = n == 8 ? w : n;
      add(name, element, shape);
    }
    const std::string delta = "model.layers.0.linear_attn.", full = "model.layers.1.self_attn.";
    add(delta + "in_proj_qkv.weight", element, {4 * w, w});
    add(delta + "in_proj_z.weight", element, {2 * w, w});
    add(delta + "in_proj_a.weight", element, {4, w});
    add(delta + "in_proj_b.weight", element, {4, w});
    add(delta + "conv1d.weight", element, {4 * w, 1, 3});
    add(delta + "dt_bias", element, {4});
    add(delta + "A_log", element, {4});
    add(delta + "norm.weight", element, {w / 2});
    add(delta + "out_proj.weight", element, {w, 2 * w});
    add(full + "q_proj.weight", element, {4 * w, w});
    add(full + "k_proj.weight", element, {w, w});
    add(full + "v_proj.weight", element, {w, w});
    add(full + "o_proj.weight", element, {w, 2 * w});
    add(full + "q_norm.weight", element, {w});
    add(full + "k_norm.weight", element, {w});
  }
  // A head that predicts one token more.
  void add_further() {
    for (const auto& [name, t] : SmallModel(*this).tensors)
      if (name.find("model.layers.1.") == 0) add("mtp" + name.substr(5), t.element, t.shape);
    std::map<std::string, SmallTensor> renamed;
    for (auto& [name, t] : tensors) {
      const bool further = name.find("mtp.layers.1.") == 0;
      renamed[further ? "mtp.layers.0." + name.substr(13) : name] = std::move(t);
    }
    tensors = std::move(renamed);
    add("mtp.fc.weight", Element::f32, {8, 16});
    for (const char* norm : {"pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"})
      add(std::string("mtp.") + norm + ".weight", Element::f32, {8});
  }
  std::vector<float> values(const std::string& name) const {
    const SmallTensor& t = tensors.at(name);
    std::vector<float> result(t.bytes.size() / traits(t.element).bytes);
    decode_row(t.element, t.bytes.data(), static_cast<std::int64_t>(result.size()), result.data());
    return result;
  }
};

Result<ModelConfig> read_hybrid(const SmallModel& model) {
  const auto memory = model.in_memory();
  KEDGE_TRY(const ModelFiles files, memory.open());
  return read_config(files);
}

TEST(HybridFolder, ConfigurationIsRead) {
  const auto c = value_of(read_hybrid(SmallHybrid()));
  EXPECT_EQ(c.architecture, "qwen3_5_text");
  ASSERT_EQ(c.mixers.size(), 2u);
  EXPECT_EQ(c.mixer(0), Mixer::delta);
  EXPECT_EQ(c.mixer(1), Mixer::attention);
  EXPECT_EQ(c.attention_layers(), 1);
  EXPECT_EQ(c.recurrent.layers, 1);
  EXPECT_EQ(c.recurrent.key_heads, 2);
  EXPECT_EQ(c.recurrent.value_heads, 4);
  EXPECT_EQ(c.recurrent.channels, 32);
  EXPECT_EQ(c.recurrent.conv_width, 3);
  EXPECT_TRUE(c.recurrent.grouped);
  EXPECT_TRUE(c.attention_gated && c.qk_norm);
  EXPECT_EQ(c.rotary_dims, 4);
  EXPECT_EQ(c.mtp_layers, 0);
  SmallHybrid regular;
  regular.config.erase("layer_types");
  regular.config["full_attention_interval"] = "2";
  EXPECT_EQ(value_of(read_hybrid(regular)).mixers, c.mixers);
}

TEST(HybridFolder, WeightsAreConverted) {
  for (const Element element : {Element::f32, Element::f16, Element::bf16}) {
    const SmallHybrid small(element);
    auto model = small.load();
    ASSERT_TRUE(ok(model));
    const ModelWeights& w = (*model)->weights();
    const LayerWeights &delta = w.layers[0], &full = w.layers[1];
    const auto norm = small.values("model.layers.0.input_layernorm.weight");
    const auto plain = small.values("model.layers.0.linear_attn.norm.weight");
    const auto log = small.values("model.layers.0.linear_attn.A_log");
    for (std::size_t i = 0; i < norm.size(); ++i)
      EXPECT_EQ(delta.attention_norm.as<float>()[i], 1 + norm[i]);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      EXPECT_EQ(delta.delta_norm.as<float>()[i], plain[i]);
      EXPECT_EQ(delta.a_scale.as<float>()[i], -static_cast<float>(math::exp(double(log[i]))));
    }
    const auto conv = small.values("model.layers.0.linear_attn.conv1d.weight");
    ASSERT_EQ(delta.conv.rows(), 3);
    for (std::size_t c = 0; c < 32; ++c)
      for (std::size_t t = 0; t < 3; ++t)
        EXPECT_EQ(delta.conv.row<float>(static_cast<std::int64_t>(t))[c], conv[c * 3 + t]);
    // Heads of q_proj: 8 rows of the query, 8 of its gate.
    const auto q = small.values("model.layers.1.self_attn.q_proj.weight");
    std::vector<float> row(8);
    for (std::int64_t r = 0; r < 16; ++r)
      for (const bool gate : {false, true}) {
        cpu::decode_weight_row(gate ? full.attention_gate : full.q, r, row.data());
        const std::int64_t stored = r / 8 * 16 + r % 8 + (gate ? 8 : 0);
        for (std::size_t i = 0; i < 8; ++i)
          EXPECT_EQ(row[i], q[static_cast<std::size_t>(stored) * 8 + i]) << r << gate;
      }
    EXPECT_TRUE(delta.q.empty() && full.delta_qkv.empty());
  }
}

TEST(HybridFolder, FurtherLayersAreKnownAndLeft) {
  SmallHybrid model;
  const auto without = value_of(model.load())->weight_bytes();
  model.add_further();
  auto loaded = model.load();
  ASSERT_TRUE(ok(loaded));
  EXPECT_EQ((*loaded)->config().mtp_layers, 1);
  EXPECT_EQ((*loaded)->weight_bytes(), without);
  model.tensors.erase("mtp.layers.0.self_attn.k_norm.weight");
  EXPECT_TRUE(fails_with(model.load(), Code::not_found, {"mtp.layers.0.self_attn.k_norm.weight"}));
  model.add("mtp.layers.0.self_attn.k_norm.weight", Element::f32, {9});
  EXPECT_TRUE(
      fails_with(model.load(), Code::malformed, {"mtp.layers.0.self_attn.k_norm", "8", "9"}));
}

TEST(HybridFolder, RefusesWhatCannotBe) {
  constexpr auto bad = Code::malformed, other = Code::unsupported;
  const struct {
    const char *key, *value;  // null: absent
    Code code;
    std::initializer_list<const char*> words;
  } changes[] = {
      {"linear_num_value_heads", "3", bad, {"3 value heads", "2 key heads"}},
      {"linear_num_value_heads", "0", bad, {"linear_num_value_heads", "1..", "0"}},
      {"linear_num_key_heads", nullptr, bad, {"linear_num_key_heads", "none"}},
      {"linear_key_head_dim", "257", other, {"1..256", "257 and 4"}},
      {"linear_value_head_dim", "5000", bad, {"linear_value_head_dim", "5000"}},
      {"linear_conv_kernel_dim", "9", other, {"2..8 taps", "9"}},
      {"linear_conv_kernel_dim", "1", other, {"2..8 taps", "1"}},
      {"layer_types", "[\"linear_attention\"]", bad, {"layer_types", "2", "found 1"}},
      {"layer_types", "[\"linear_attention\", \"mamba\"]", other, {"layer_types", "mamba"}},
      {"layer_types",
       "[\"linear_attention\", \"linear_attention\"]",
       other,
       {"0 with att", "2 with"}},
      {"layer_types", "[\"full_attention\", \"full_attention\"]", other, {"2 with att", "0 with"}},
      {"attn_output_gate", "false", other, {"attn_output_gate"}},
      {"output_gate_type", "\"sigmoid\"", other, {"output_gate_type", "sigmoid"}},
      {"rope_parameters",
       "{\"mrope_section\": [11, 11, 10], \"partial_rotary_factor\": 0.5}",
       bad,
       {"mrope_section", "2 in all", "32"}},
      {"rope_parameters",
       "{\"partial_rotary_factor\": 1.5}",
       bad,
       {"partial_rotary_factor", "1.5"}},
      {"head_dim", "6", bad, {"mrope_section", "1 in all", "2"}},
      {"rope_parameters", "{\"partial_rotary_factor\": 0.4}", bad, {"even", "3"}},
  };
  for (const auto& c : changes) {
    SmallHybrid model;
    if (c.value == nullptr) model.config.erase(c.key);
    else model.config[c.key] = c.value;
    EXPECT_TRUE(fails_with(read_hybrid(model), c.code, c.words))
        << c.key << ": " << (c.value == nullptr ? "absent" : c.value);
  }
}

TEST(HybridFolder, TensorsThatAreMissingOrWrong) {
  const std::string delta = "model.layers.0.linear_attn.";
  for (const char* name :
       {"in_proj_qkv.weight", "conv1d.weight", "A_log", "dt_bias", "norm.weight"}) {
    SmallHybrid model;
    model.tensors.erase(delta + name);
    EXPECT_TRUE(fails_with(model.load(), Code::not_found, {(delta + name).c_str()}));
  }
  const struct {
    const char* name;
    std::vector<std::int64_t> shape;
    std::initializer_list<const char*> words;
  } wrong[] = {{"in_proj_qkv.weight", {24, 8}, {"in_proj_qkv", "32 x 8", "24 x 8"}},
               {"conv1d.weight", {32, 1, 4}, {"conv1d", "32 channels x 3 taps", "32 x 4"}},
               {"conv1d.weight", {32, 3, 1}, {"conv1d", "32 channels x 3 taps", "rank 3"}},
               {"A_log", {2}, {"A_log", "1 x 4", "1 x 2"}},
               {"out_proj.weight", {8, 8}, {"out_proj", "8 x 16", "8 x 8"}}};
  for (const auto& w : wrong) {
    SmallHybrid model;
    model.add(delta + w.name, Element::f32, w.shape);
    EXPECT_TRUE(fails_with(model.load(), Code::malformed, w.words));
  }
  SmallHybrid ungated;
  ungated.add("model.layers.1.self_attn.q_proj.weight", Element::f32, {16, 8});
  EXPECT_TRUE(fails_with(ungated.load(), Code::malformed, {"q_proj", "32 x 8", "16 x 8"}));
  SmallHybrid both;
  both.add("model.layers.0.self_attn.v_proj.weight", Element::f32, {8, 8});
  EXPECT_TRUE(
      fails_with(both.load(), Code::unsupported, {"no use for", "layers.0.self_attn.v_proj"}));
}

// A NaN is named where it is in the file, also among rows that are taken apart.
TEST(HybridFolder, BadValuesAreNamed) {
  const float nan = std::nanf("");
  const struct {
    const char *name, *where;
    std::size_t at;
  } values[] = {{"model.layers.1.self_attn.q_proj.weight", "row 27, column 3", 27 * 8 + 3},
                {"model.layers.1.self_attn.q_proj.weight", "row 18, column 0", 18 * 8},
                {"model.layers.0.linear_attn.conv1d.weight", "row 30, column 2", 30 * 3 + 2},
                {"model.layers.0.linear_attn.A_log", "column 3", 3}};
  for (const auto& v : values) {
    SmallHybrid model;
    std::memcpy(model.tensors[v.name].bytes.data() + 4 * v.at, &nan, 4);
    EXPECT_TRUE(fails_with(model.load(), Code::numeric, {v.name, v.where}));
  }
}

TEST(HybridFolder, GatesStayWhileWeightsAreQuantized) {
  const SmallHybrid small(Element::bf16, 32);
  Model::Options options;
  options.quantize = Element::q8_0;
  auto model = small.load(options);
  ASSERT_TRUE(ok(model));
  const LayerWeights& delta = (*model)->weights().layers[0];
  for (const Tensor& t : {delta.delta_qkv, delta.delta_z, delta.delta_output, delta.up})
    EXPECT_EQ(t.element, Element::q8_0);
  for (const Tensor& t : {delta.alpha, delta.beta}) EXPECT_EQ(t.element, Element::bf16);
  for (const Tensor& t : {delta.conv, delta.a_scale, delta.dt_bias, delta.delta_norm})
    EXPECT_EQ(t.element, Element::f32);
  const LayerWeights& full = (*model)->weights().layers[1];
  EXPECT_EQ(full.attention_gate.element, Element::q8_0);
}

Result<ModelConfig> read_gguf(const std::map<std::string, std::uint64_t>& changes,
                              const char* absent = "") {
  io::GgufWriter writer;
  std::map<std::string, std::uint64_t> keys = {
      {"block_count", 4},          {"embedding_length", 8},        {"feed_forward_length", 8},
      {"attention.head_count", 2}, {"attention.head_count_kv", 1}, {"context_length", 128},
      {"attention.key_length", 8}, {"attention.value_length", 8},  {"rope.dimension_count", 4},
      {"ssm.conv_kernel", 4},      {"ssm.state_size", 4},          {"ssm.group_count", 2},
      {"ssm.time_step_rank", 4},   {"ssm.inner_size", 16}};
  for (const auto& [key, value] : changes) keys[key] = value;
  keys.erase(absent);
  KEDGE_CHECK(writer.add_string("general.architecture", "qwen35"));
  for (const auto& [key, value] : keys) KEDGE_CHECK(writer.add_unsigned("qwen35." + key, value));
  const std::vector<float> embedding(40);
  KEDGE_CHECK(writer.add_tensor("token_embd.weight", tensor(embedding.data(), Element::f32, 5, 8)));
  Bytes bytes;
  KEDGE_CHECK(writer.write(bytes));
  KEDGE_TRY(const io::Gguf gguf, io::Gguf::open(io::Source::memory(bytes, "hybrid.gguf")));
  return read_config(gguf);
}

TEST(HybridGguf, ConfigurationIsRead) {
  const auto c = value_of(read_gguf({}));
  EXPECT_EQ(c.layers, 4);
  EXPECT_EQ(c.recurrent.layers, 3);
  EXPECT_EQ(c.mixer(3), Mixer::attention);
  EXPECT_FALSE(c.recurrent.grouped);
  const auto further =
      value_of(read_gguf({{"nextn_predict_layers", 1}, {"full_attention_interval", 2}}));
  EXPECT_EQ(further.layers, 3);
  EXPECT_EQ(further.mtp_layers, 1);
  EXPECT_EQ(further.recurrent.layers, 2);
  EXPECT_EQ(value_of(read_gguf({{"ssm.inner_size", 48}})).recurrent.value_dim, 12);
}

TEST(HybridGguf, RefusesWhatCannotBe) {
  const struct {
    const char* key;
    std::uint64_t value;
    Code code;
    std::initializer_list<const char*> words;
  } changes[] = {
      {"ssm.group_count", 3, Code::malformed, {"4 value heads", "3 key heads"}},
      {"ssm.group_count", 0, Code::malformed, {"qwen35.ssm.group_count", "0"}},
      {"ssm.time_step_rank", 5, Code::malformed, {"qwen35.ssm.inner_size", "16", "5 value heads"}},
      {"ssm.state_size", 512, Code::unsupported, {"1..256", "512"}},
      {"ssm.conv_kernel", 12, Code::unsupported, {"2..8 taps", "12"}},
      {"nextn_predict_layers",
       4,
       Code::malformed,
       {"nextn_predict_layers", "less than the 4", "4"}},
      {"full_attention_interval", 0, Code::malformed, {"full_attention_interval", "0"}},
      {"full_attention_interval", 9, Code::unsupported, {"0 with attention", "4 with"}},
      {"full_attention_interval", 1, Code::unsupported, {"4 with attention", "0 with"}},
  };
  for (const auto& c : changes)
    EXPECT_TRUE(fails_with(read_gguf({{c.key, c.value}}), c.code, c.words)) << c.key;
  for (const char* key : {"ssm.group_count", "ssm.inner_size", "ssm.conv_kernel"})
    EXPECT_TRUE(fails_with(read_gguf({}, key), Code::not_found, {key}));
}

}  // namespace
