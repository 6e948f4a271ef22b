#include "draft/mtp_graph.hpp"

#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/place_columns.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

// [ rms(embedding); rms(hidden) ]
Result<Tensor> inputs(Graph& graph, const MtpModel& model, const MtpValues& v) {
  const ModelConfig& c = model.target().config();
  const MtpWeights& w = model.weights();
  KEDGE_TRY(const Tensor both, graph.activation(Element::f32, 2 * c.width));
  KEDGE_TRY(const Tensor token, graph.activation(Element::f32, c.width));
  KEDGE_TRY(const Tensor normed, graph.activation(Element::f32, c.width));
  KEDGE_TRY(const Tensor hidden, graph.activation(Element::f32, c.width));
  KEDGE_CHECK(graph.add<op::RowLookup>({v.token, w.embedding, token}));
  KEDGE_CHECK(graph.add<op::RmsNorm>({token, w.embedding_norm, normed, c.norm_eps}));
  KEDGE_CHECK(graph.add<op::RmsNorm>({v.features, w.hidden_norm, hidden, c.norm_eps}));
  KEDGE_CHECK(graph.add<op::PlaceColumns>({normed, both, 0}));
  KEDGE_CHECK(graph.add<op::PlaceColumns>({hidden, both, static_cast<std::int32_t>(c.width)}));
  return both;
}

Status guess(Graph& graph, const MtpModel& model, const Tensor& x, MtpValues& v) {
  const ModelConfig& c = model.target().config();
  const MtpWeights& w = model.weights();
  graph.begin_outputs();
  constexpr auto outputs = Graph::Extent::outputs;
  KEDGE_TRY(const Tensor last, graph.activation(Element::f32, c.width, outputs));
  KEDGE_CHECK(graph.add<op::RowLookup>({v.output_row, x, last}));
  KEDGE_TRY(v.hidden, graph.external(Element::f32, c.width, outputs));
  KEDGE_CHECK(graph.add<op::RmsNorm>({last, w.output_norm, v.hidden, c.norm_eps}));
  // Where the head wants it rounded, that is one norm more.
  Tensor h = v.hidden;
  if (const Element e = product_input(graph, w.output); e != Element::f32) {
    KEDGE_TRY(h, graph.activation(e, c.width, outputs));
    KEDGE_CHECK(graph.add<op::RmsNorm>({last, w.output_norm, h, c.norm_eps}));
  }
  KEDGE_TRY(v.logits, graph.external(Element::f32, w.output.rows(), outputs));
  KEDGE_CHECK(graph.add<op::Matmul>({h, w.output, {}, v.logits}));
  KEDGE_TRY(v.choice, add_argmax(graph, v.logits));
  return {};
}

}  // namespace

Result<MtpValues> build_mtp(Graph& graph, const MtpModel& model, const KvCache& cache,
                            const Tensor& rope) noexcept {
  const ModelConfig& c = model.target().config();
  const MtpWeights& w = model.weights();
  MtpValues v;
  for (Tensor* t : {&v.token, &v.position, &v.sequence}) {
    KEDGE_TRY(*t, graph.external(Element::i32, graph.max_rows(), Graph::Extent::once));
  }
  KEDGE_TRY(v.tiles, graph.external(Element::i32, 4 * (graph.max_rows() + 1), Graph::Extent::once));
  v.tiles.extent[0] = graph.max_rows() + 1;
  v.tiles.extent[1] = 4;
  KEDGE_TRY(v.output_row, graph.external(Element::i32, 1, Graph::Extent::once));
  KEDGE_TRY(v.features, graph.external(Element::f32, c.width));
  PassValues pass;
  pass.position = pass.slot = v.position;
  pass.sequence = v.sequence;
  pass.tiles = v.tiles;
  Blocks blocks(graph, c, cache, nullptr, rope, pass);
  KEDGE_TRY(const Tensor both, inputs(graph, model, v));
  Operand operand(both);
  KEDGE_TRY(const Tensor input, operand.of(graph, w.fc));
  KEDGE_TRY(const Tensor x, graph.activation(Element::f32, c.width));
  KEDGE_CHECK(graph.add<op::Matmul>({input, w.fc, {}, x}));
  KEDGE_CHECK(blocks.attention(w.layer, 0, x));
  KEDGE_CHECK(blocks.feed_forward(w.layer, x));
  KEDGE_CHECK(guess(graph, model, x, v));
  return v;
}

}  // namespace kedge::inline KEDGE_ABI::draft
