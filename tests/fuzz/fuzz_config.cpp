#include <string>
#include <vector>

#include "fuzz/entries.hpp"
#include "kedge/model/model.hpp"

namespace {

using namespace kedge;

// Weights of a llama of one layer: width 4, one head, feed-forward 4, vocabulary 3.
std::vector<std::byte> small_weights() {
  static const float values[16] = {};
  io::SafetensorsWriter writer;
  const auto add = [&](const std::string& name, std::int64_t rows) {
    const Tensor t =
        rows == 0 ? tensor(values, Element::f32, 4) : tensor(values, Element::f32, rows, 4);
    (void)writer.add_tensor(name + ".weight", t);
  };
  add("model.embed_tokens", 3);
  add("model.norm", 0);
  const std::string p = "model.layers.0.";
  for (const char* name : {"input_layernorm", "post_attention_layernorm"}) add(p + name, 0);
  for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                           "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
    add(p + name, 4);
  std::vector<std::byte> bytes;
  (void)writer.write(bytes);
  return bytes;
}

}  // namespace

int fuzz_config(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::byte> weights = small_weights();
  std::vector<io::Source> sources;
  sources.push_back(io::Source::memory(weights, "model.safetensors"));
  auto files = ModelFiles::from_folder(
      io::Source::memory({reinterpret_cast<const std::byte*>(data), size}, "config.json"),
      std::move(sources));
  if (!files) return 0;
  Model::Options options;
  options.memory_budget = std::uint64_t{64} << 20;
  [[maybe_unused]] const auto model = Model::load(*files, options);
  return 0;
}
