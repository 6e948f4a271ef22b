#include "bench/step_cost.hpp"

#include <algorithm>

#include "kedge/state/kv_page.hpp"

namespace kedge::tools {

void StepCost::matrix(const Tensor& weight, cpu::Isa isa) {
  if (weight.empty()) return;
  const auto bytes = static_cast<double>(weight.bytes());
  const auto values = static_cast<double>(weight.rows() * weight.width());
  const Family family = family_of(isa, weight.element);
  // Matrices with the same ratio of work to bytes reach their arithmetic bound at the same width.
  for (Part& part : parts_)
    if (part.family == family && part.multiply_adds * bytes == values * part.bytes) {
      part.bytes += bytes;
      part.multiply_adds += values;
      return;
    }
  parts_.push_back({family, bytes, values});
}

StepCost::StepCost(const Model& model, cpu::Isa isa, Element cache, std::int64_t context) {
  const ModelConfig& config = model.config();
  const ModelWeights& w = model.weights();
  for (const LayerWeights& layer : w.layers)
    for (const Tensor LayerWeights::*member :
         {&LayerWeights::q, &LayerWeights::k, &LayerWeights::v, &LayerWeights::attention_gate,
          &LayerWeights::attention_output, &LayerWeights::delta_qkv, &LayerWeights::delta_z,
          &LayerWeights::alpha, &LayerWeights::beta, &LayerWeights::delta_output,
          &LayerWeights::gate, &LayerWeights::up, &LayerWeights::down})
      matrix(layer.*member, isa);
  matrix(w.output, isa);
  const Family floats = family_of(isa, Element::f32);
  const KvPageLayout layout{cache, config.kv_heads, config.head_dim, config.attention_layers()};
  const double keys = static_cast<double>(context + 1);
  const double heads = static_cast<double>(config.attention_layers() * config.heads);
  if (config.attention_layers() > 0)
    parts_.push_back({floats, keys * static_cast<double>(layout.bytes_per_position()),
                      2 * heads * static_cast<double>(config.head_dim) * keys});
  // A state is read, and written once; a row decays it, multiplies it with k, adds to it and
  // multiplies it with q. Writing is not dearer than reading here.
  const RecurrentShape& r = config.recurrent;
  if (!r.empty())
    parts_.push_back({floats, 2 * static_cast<double>(r.plane_bytes()),
                      3 * static_cast<double>(r.layers * r.plane_width())});
}

double StepCost::bytes() const {
  double sum = 0;
  for (const Part& part : parts_) sum += part.bytes;
  return sum;
}

double StepCost::multiply_adds() const {
  double sum = 0;
  for (const Part& part : parts_) sum += part.multiply_adds;
  return sum;
}

double StepCost::seconds(double rows, const Limits& limits) const {
  double sum = 0;
  for (const Part& part : parts_)
    sum += limits.bound(part.bytes, rows * part.multiply_adds, part.family);
  return sum;
}

std::vector<Family> StepCost::families() const {
  std::vector<Family> list;
  for (const Part& part : parts_)
    if (std::find(list.begin(), list.end(), part.family) == list.end()) list.push_back(part.family);
  return list;
}

}  // namespace kedge::tools
