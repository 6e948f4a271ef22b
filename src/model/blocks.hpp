// Blocks: the parts that a model's layers are made of, as nodes of a graph: one file per kind
// (attention_block.cpp, delta_block.cpp, feed_forward_block.cpp), and here what they share. Private
// to the compiled library.
#pragma once

#include <initializer_list>

#include "kedge/model/transformer.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

// What products with this weight take in this graph.
inline Element product_input(const Graph& graph, const Tensor& weight) noexcept {
  return graph.activations() == Graph::Activations::floats ? Element::f32
                                                           : op::Matmul::activation(weight.element);
}

// An activation that several products read: in F32, or rounded to int8 once for all that want it.
class Operand {
 public:
  explicit Operand(const Tensor& x) noexcept { (rounded(x.element) ? q8_ : f32_) = x; }
  // In the element that a product with `weight` takes.
  Result<Tensor> of(Graph& graph, const Tensor& weight);

 private:
  static bool rounded(Element e) noexcept { return e == Element::q8_act; }
  Tensor f32_, q8_;
};

// The index of the largest of each output's logits, for the host; the nodes behind it run over the
// outputs, too.
Result<Tensor> add_argmax(Graph& graph, const Tensor& logits);

// Logits, and the index of each row's largest. On the CPU both in one operator, which makes no
// logits while `logits_wanted` is 0; elsewhere they are always made, and that tensor is empty.
struct Head {
  Tensor choice, logits_wanted;
};
Result<Head> add_head(Graph& graph, const Tensor& x, const Tensor& weight, const Tensor& logits);

// What the rows of a pass see where it is not what stands before them: the last position of each,
// the tiles made of those, and maybe the first.
struct Reach {
  Tensor position, tiles, first;
};

class Blocks {
 public:
  Blocks(Graph& graph, const ModelConfig& config, const KvCache& cache,
         const RecurrentState* recurrent, const Tensor& rope_table, const PassValues& values)
      : graph_(graph),
        c_(config),
        cache_(cache),
        recurrent_(recurrent),
        rope_(rope_table),
        v_(values) {}

  // Each adds to x what it computes of it. `index` counts the layers of that kind.
  Status attention(const LayerWeights& layer, std::int64_t index, const Tensor& x,
                   const Reach& reach = {});
  Status delta(const LayerWeights& layer, std::int64_t index, const Tensor& x);
  Status feed_forward(const LayerWeights& layer, const Tensor& x);
  // Writes the keys and values of x, which no norm of the layer has seen, and reads nothing.
  Status keys_and_values(const LayerWeights& layer, std::int64_t index, Operand& x);

 private:
  Status store(const Tensor& k, const Tensor& v, std::int64_t index);
  Status turn(const Tensor& x);
  // x normalised for products with these weights: rounded while normalising where all want that.
  Result<Operand> norm(const Tensor& x, const Tensor& weight,
                       std::initializer_list<Tensor> products);
  // The norm of each head of the queries or keys, in place, where the model has one.
  Status head_norm(const Tensor& x, const Tensor& weight, std::int64_t heads);
  // `bias` may be empty.
  Result<Tensor> product(Operand& x, const Tensor& weight, const Tensor& bias = {});
  // x = x + weight * input + bias.
  Status add_product(const Tensor& input, const Tensor& weight, const Tensor& bias,
                     const Tensor& x);
  // The element of what is computed in parts of `part` values for a product with `weight`: parts
  // that are no multiple of 32 cannot be rounded one by one.
  Element output_element(const Tensor& weight, std::int64_t part) const noexcept {
    return part % 32 == 0 ? product_input(graph_, weight) : Element::f32;
  }

  Graph& graph_;
  const ModelConfig& c_;
  const KvCache& cache_;
  const RecurrentState* recurrent_;
  const Tensor rope_;
  const PassValues& v_;
};

}  // namespace kedge::inline KEDGE_ABI
