#include "draft/dspark_graph.hpp"

#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

Result<Tensor> integers(Graph& graph) {
  return graph.external(Element::i32, graph.max_rows(), Graph::Extent::once);
}
Result<Tensor> tiles(Graph& graph) {
  const std::int64_t count = graph.max_rows() + 1;
  KEDGE_TRY(Tensor t, graph.external(Element::i32, 4 * count, Graph::Extent::once));
  t.extent[0] = count;
  t.extent[1] = 4;
  t.rank = 2;
  return t;
}

}  // namespace

// C = hidden_norm(fc x), the same for all layers, which no norm of theirs sees; keys and values are
// those layers' products with it.
Result<ContextValues> build_context(Graph& graph, const DsparkModel& model, const KvCache& cache,
                                    const Tensor& rope) noexcept {
  const ModelConfig& c = model.config().backbone;
  const DsparkWeights& w = model.weights();
  ContextValues v;
  PassValues pass;
  KEDGE_TRY(v.features, graph.external(Element::f32, w.fc.width()));
  KEDGE_TRY(v.position, integers(graph));
  KEDGE_TRY(v.sequence, integers(graph));
  pass.position = pass.slot = v.position;
  pass.sequence = v.sequence;
  Blocks blocks(graph, c, cache, nullptr, rope, pass);

  Operand features(v.features);
  KEDGE_TRY(const Tensor x, features.of(graph, w.fc));
  KEDGE_TRY(const Tensor fused, graph.activation(Element::f32, c.width));
  KEDGE_CHECK(graph.add<op::Matmul>({x, w.fc, {}, fused}));
  KEDGE_TRY(const Tensor normed, graph.activation(Element::f32, c.width));
  KEDGE_CHECK(graph.add<op::RmsNorm>({fused, w.hidden_norm, normed, c.norm_eps}));
  Operand context(normed);
  for (std::size_t i = 0; i < w.backbone.layers.size(); ++i)
    KEDGE_CHECK(
        blocks.keys_and_values(w.backbone.layers[i], static_cast<std::int64_t>(i), context));
  return v;
}

Result<BlockValues> build_block(Graph& graph, const DsparkModel& model, const KvCache& cache,
                                const Tensor& rope) noexcept {
  const DsparkConfig& config = model.config();
  const ModelConfig& c = config.backbone;
  const ModelWeights& w = model.weights().backbone;
  BlockValues v;
  PassValues pass;
  for (Tensor* t : {&v.token, &v.position, &v.sequence, &v.last, &v.first}) {
    KEDGE_TRY(*t, integers(graph));
  }
  KEDGE_TRY(v.tiles, tiles(graph));
  KEDGE_TRY(v.last_tiles, tiles(graph));
  pass.position = pass.slot = v.position;
  pass.sequence = v.sequence;
  pass.tiles = v.tiles;
  Blocks blocks(graph, c, cache, nullptr, rope, pass);

  KEDGE_TRY(const Tensor x, graph.activation(Element::f32, c.width));
  KEDGE_CHECK(graph.add<op::RowLookup>({v.token, w.embedding, x}));
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    const DsparkConfig::Layer& layer = config.layers[i];
    Reach reach;
    if (!layer.causal) reach.position = v.last;
    if (!layer.causal) reach.tiles = v.last_tiles;
    if (layer.window > 0) reach.first = v.first;
    KEDGE_CHECK(blocks.attention(w.layers[i], static_cast<std::int64_t>(i), x, reach));
    KEDGE_CHECK(blocks.feed_forward(w.layers[i], x));
  }
  KEDGE_TRY(v.hidden, graph.external(Element::f32, c.width));
  KEDGE_CHECK(graph.add<op::RmsNorm>({x, w.output_norm, v.hidden, c.norm_eps}));
  Operand hidden(v.hidden);
  KEDGE_TRY(const Tensor h, hidden.of(graph, w.output));
  KEDGE_TRY(v.logits, graph.external(Element::f32, config.draft_vocabulary));
  KEDGE_CHECK(graph.add<op::Matmul>({h, w.output, {}, v.logits}));
  KEDGE_TRY(v.choice, add_argmax(graph, v.logits));
  return v;
}

}  // namespace kedge::inline KEDGE_ABI::draft
