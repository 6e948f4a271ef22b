// config.json of a DFlash or DSpark draft's folder, up to its model and its description.
#include <string>
#include <vector>

#include "fuzz/entries.hpp"
#include "kedge/draft/dspark_model.hpp"

namespace {

using namespace kedge;

// Weights of a gated DSpark draft of one layer: width, rank, feed-forward, vocabulary and target
// width 4, one tap, one head.
std::vector<std::byte> draft_weights() {
  static const float values[32] = {};
  io::SafetensorsWriter writer;
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    const Tensor t = rows == 0 ? tensor(values, Element::f32, columns)
                               : tensor(values, Element::f32, rows, columns);
    (void)writer.add_tensor(name, t);
  };
  for (const char* name :
       {"embed_tokens", "lm_head", "fc", "markov_head.markov_w1", "markov_head.markov_w2"})
    add(name + std::string(".weight"), 4, 4);
  for (const char* name : {"hidden_norm", "norm"}) add(name + std::string(".weight"), 0, 4);
  add("markov_head.gate_proj.weight", 4, 8);
  add("markov_head.gate_proj.bias", 0, 4);
  add("confidence_head.proj.weight", 1, 8);
  add("confidence_head.proj.bias", 0, 1);
  const std::string p = "layers.0.";
  for (const char* name :
       {"input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm"})
    add(p + name + ".weight", 0, 4);
  for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                           "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
    add(p + name + ".weight", 4, 4);
  std::vector<std::byte> bytes;
  (void)writer.write(bytes);
  return bytes;
}

}  // namespace

int fuzz_draft(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::byte> weights = draft_weights();
  std::vector<io::Source> sources;
  sources.push_back(io::Source::memory(weights, "model.safetensors"));
  auto files = ModelFiles::from_folder(
      io::Source::memory({reinterpret_cast<const std::byte*>(data), size}, "config.json"),
      std::move(sources));
  if (!files) return 0;
  const auto config = draft::read_dspark_config(*files);
  if (!config) return 0;
  if (config->drafts() < 1 || config->layers.empty()) __builtin_trap();
  [[maybe_unused]] const auto text = draft::describe(*config);
  Model::Options options;
  options.memory_budget = std::uint64_t{64} << 20;
  const auto model = draft::DsparkModel::load(*files, options);
  if (model && (*model)->config().taps.empty()) __builtin_trap();
  return 0;
}
