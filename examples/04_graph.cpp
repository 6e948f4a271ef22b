// A Llama of our own, put together with the graph builder from operators and the weights of a file.
// Its logits are those of the model that ships with Kedge, byte for byte. For weights in F32:
// products of weights in blocks take activations in int8, see src/model/transformer.cpp.
#include <cstdio>
#include <cstring>
#include <vector>

#include "kedge/kedge.hpp"
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/rope.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/kernel/cpu/silu_mul.hpp"
#include "kedge/model/rope_table.hpp"
#include "must.hpp"

using namespace kedge;

int main(int, char** argv) {
  const auto model = must(Model::load(argv[1], {}));
  const ModelConfig& c = model->config();
  const ModelWeights& w = model->weights();
  const std::int32_t tokens[] = {3, 1, 4, 1, 5, 9, 2, 6};
  constexpr std::int64_t rows = std::size(tokens);
  const auto heads = static_cast<std::int32_t>(c.heads);
  const auto kv_heads = static_cast<std::int32_t>(c.kv_heads);
  const auto head_dim = static_cast<std::int32_t>(c.head_dim);
  const auto rotary = static_cast<std::int32_t>(c.rotary_dims);

  // What lives longer than a pass: keys and values, and the table of rotary angles.
  KvCache::Options kv;
  kv.positions = 64;
  auto cache = must(KvCache::create(c.layers, c.kv_heads, c.head_dim, kv));
  auto sequence = must(Sequence::create(cache));
  std::vector<float> angles(static_cast<std::size_t>(64 * c.rotary_dims));
  const Tensor table = tensor(angles.data(), Element::f32, 64, c.rotary_dims);
  must(fill_rope_table(table, c.rope_base, c.rope_scaling));

  // The graph. Values have shapes and no memory yet; every node is checked when it is added.
  Graph graph(rows, rows);
  const auto input = [&] { return must(graph.external(Element::i32, rows, Graph::Extent::once)); };
  const auto value = [&](std::int64_t width) {
    return must(graph.activation(Element::f32, width));
  };
  const Tensor token = input(), position = input(), number = input();
  Tensor tiles = must(graph.external(Element::i32, 4 * (rows + 1), Graph::Extent::once));
  tiles.extent[0] = rows + 1;
  tiles.extent[1] = 4;
  const auto norm = [&](const Tensor& x, const Tensor& weight) {
    const Tensor y = value(c.width);
    must(graph.add<op::RmsNorm>({x, weight, y, c.norm_eps}));
    return y;
  };
  const auto product = [&](const Tensor& x, const Tensor& weight) {
    const Tensor y = value(weight.rows());
    must(graph.add<op::Matmul>({x, weight, {}, y}));
    return y;
  };
  const Tensor x = value(c.width);
  must(graph.add<op::RowLookup>({token, w.embedding, x}));
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    const LayerWeights& l = w.layers[i];
    const Tensor h = norm(x, l.attention_norm);
    const Tensor q = product(h, l.q), k = product(h, l.k), v = product(h, l.v);
    for (const Tensor& t : {q, k})
      must(graph.add<op::Rope>({t, table, position, t, head_dim, rotary, c.rope_interleaved}));
    const Tensor layer = must(graph.state(cache.layer(static_cast<std::int64_t>(i))));
    must(graph.add<op::KvStore>(
        {k, v, position, number, cache.page_table(), layer, kv_heads, head_dim}));
    op::Attention::Args a;
    a.q = q;
    a.position = position;
    a.sequence = number;
    a.pages = cache.page_table();
    a.cache = layer;
    a.tiles = tiles;
    a.y = value(c.heads * c.head_dim);
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.head_dim = head_dim;
    must(op::Attention::infer(a));
    a.scratch.value = must(graph.activation(Element::f32, a.scratch.rows() * a.scratch.width(),
                                            Graph::Extent::once))
                          .value;
    must(graph.add<op::Attention>(a));
    must(graph.add<op::Matmul>({a.y, l.attention_output, x, x}));
    const Tensor f = norm(x, l.feed_forward_norm);
    const Tensor gate = product(f, l.gate), up = product(f, l.up), gated = value(c.feed_forward);
    must(graph.add<op::SiluMul>({gate, up, gated}));
    must(graph.add<op::Matmul>({gated, l.down, x, x}));
  }
  const Tensor last = norm(x, w.output_norm);
  const Tensor logits = must(graph.external(Element::f32, c.vocabulary));
  must(graph.add<op::Matmul>({last, w.output, {}, logits}));

  // Frozen for this machine, and run once over all tokens.
  const auto cpu = must(Cpu::create({}));
  auto plan = must(Plan::compile(graph, cpu));
  auto transaction = must(sequence.begin(rows));
  for (std::int64_t r = 0; r < rows; ++r) {
    plan.locate(token).as<std::int32_t>()[r] = tokens[r];
    plan.locate(position).as<std::int32_t>()[r] = static_cast<std::int32_t>(r);
    plan.locate(number).as<std::int32_t>()[r] = sequence.index();
  }
  must(op::fill_attention_tiles(plan.locate(position).as<std::int32_t>(),
                                plan.locate(number).as<std::int32_t>(), rows, plan.locate(tiles)));
  must(plan.run(rows, 0));
  must(transaction.commit(rows));

  // The model as it ships: the last row of the prompt's pass.
  auto session = must(Session::create(model, {.context = 64}));
  session.set_least_need(Need::logits);
  must(session.begin(tokens));
  const auto shipped = session.forward().logits(0);
  const float* ours = plan.locate(logits).row<float>(rows - 1);
  const bool equal = std::memcmp(ours, shipped.data(), shipped.size_bytes()) == 0;
  std::printf("%zu phases, %zu barriers; %zu logits %s\n", plan.phases(), plan.barriers(),
              shipped.size(), equal ? "equal" : "DIFFERENT");
  return equal ? 0 : 1;
}
