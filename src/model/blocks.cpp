#include "model/blocks.hpp"

#include "kedge/kernel/cpu/add.hpp"
#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/matmul_argmax.hpp"
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"

namespace kedge::inline KEDGE_ABI {

Result<Tensor> Operand::of(Graph& graph, const Tensor& weight) {
  if (!rounded(product_input(graph, weight))) return f32_;
  if (q8_.empty()) {
    KEDGE_TRY(q8_, graph.activation(Element::q8_act, f32_.width()));
    KEDGE_CHECK(graph.add<op::QuantizeRows>({f32_, q8_}));
  }
  return q8_;
}

Result<Tensor> add_argmax(Graph& graph, const Tensor& logits) {
  constexpr auto outputs = Graph::Extent::outputs;
  graph.begin_outputs();
  op::Argmax::Args args;
  args.x = logits;
  KEDGE_CHECK(op::Argmax::infer(args));
  KEDGE_TRY(args.index, graph.external(Element::i32, 1, outputs));
  KEDGE_TRY(args.value, graph.activation(Element::f32, 1, outputs));
  KEDGE_TRY(args.chunk_index, graph.activation(Element::i32, args.chunk_index.width(), outputs));
  KEDGE_TRY(args.chunk_value, graph.activation(Element::f32, args.chunk_value.width(), outputs));
  KEDGE_CHECK(graph.add<op::Argmax>(args));
  return args.index;
}

Result<Head> add_head(Graph& graph, const Tensor& x, const Tensor& weight, const Tensor& logits) {
  Head head;
  if (graph.activations() == Graph::Activations::floats) {  // an accelerator's
    KEDGE_CHECK(graph.add<op::Matmul>({x, weight, {}, logits}));
    KEDGE_TRY(head.choice, add_argmax(graph, logits));
    return head;
  }
  constexpr auto outputs = Graph::Extent::outputs;
  graph.begin_outputs();
  op::MatmulArgmax::Args args;
  args.x = x;
  args.weight = weight;
  args.y = logits;
  KEDGE_CHECK(op::MatmulArgmax::infer(args));
  KEDGE_TRY(args.wanted, graph.external(Element::i32, 1, Graph::Extent::once));
  KEDGE_TRY(args.index, graph.external(Element::i32, 1, outputs));
  KEDGE_TRY(args.value, graph.activation(Element::f32, 1, outputs));
  KEDGE_TRY(args.chunk_index, graph.activation(Element::i32, args.chunk_index.width(), outputs));
  KEDGE_TRY(args.chunk_value, graph.activation(Element::f32, args.chunk_value.width(), outputs));
  KEDGE_CHECK(graph.add<op::MatmulArgmax>(args));
  head.choice = args.index;
  head.logits_wanted = args.wanted;
  return head;
}

Result<Operand> Blocks::norm(const Tensor& x, const Tensor& weight,
                             std::initializer_list<Tensor> products) {
  Element element = Element::q8_act;
  for (const Tensor& p : products)
    if (product_input(graph_, p) == Element::f32) element = Element::f32;
  KEDGE_TRY(const Tensor y, graph_.activation(element, c_.width));
  KEDGE_CHECK(graph_.add<op::RmsNorm>({x, weight, y, c_.norm_eps}));
  return Operand(y);
}

Status Blocks::head_norm(const Tensor& x, const Tensor& weight, std::int64_t heads) {
  if (weight.empty()) return {};
  return graph_.add<op::RmsNorm>({x, weight, x, c_.norm_eps, static_cast<std::int32_t>(heads)});
}

Result<Tensor> Blocks::product(Operand& x, const Tensor& weight, const Tensor& bias) {
  KEDGE_TRY(const Tensor input, x.of(graph_, weight));
  KEDGE_TRY(const Tensor y, graph_.activation(Element::f32, weight.rows()));
  KEDGE_CHECK(graph_.add<op::Matmul>({input, weight, bias, y}));
  return y;
}

// The residual has the product's only place for a sum, so a bias comes on top.
Status Blocks::add_product(const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const Tensor& x) {
  Operand operand(input);
  if (bias.empty()) {
    KEDGE_TRY(const Tensor taken, operand.of(graph_, weight));
    return graph_.add<op::Matmul>({taken, weight, x, x});
  }
  KEDGE_TRY(const Tensor y, product(operand, weight, bias));
  return graph_.add<op::Add>({x, y, x});
}

}  // namespace kedge::inline KEDGE_ABI
