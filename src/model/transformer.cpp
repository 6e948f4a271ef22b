#include "kedge/model/transformer.hpp"

#include "kedge/kernel/cpu/add.hpp"
#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/rope.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/kernel/cpu/silu_mul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

class Builder {
 public:
  Builder(Graph& graph, const Model& model, const KvCache& cache, const Tensor& rope_table)
      : graph_(graph), model_(model), c_(model.config()), cache_(cache), rope_(rope_table) {}

  Result<PassValues> build() {
    const ModelWeights& w = model_.weights();
    const std::int64_t rows = graph_.max_rows();
    KEDGE_TRY(v_.token, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.position, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.sequence, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.tiles, graph_.external(Element::i32, 4 * (rows + 1), Graph::Extent::once));
    v_.tiles.extent[0] = rows + 1;
    v_.tiles.extent[1] = 4;
    KEDGE_TRY(v_.output_row,
              graph_.external(Element::i32, graph_.max_outputs(), Graph::Extent::once));

    KEDGE_TRY(Tensor x, graph_.activation(Element::f32, c_.width));
    KEDGE_CHECK(graph_.add<op::RowLookup>({v_.token, w.embedding, x}));
    for (std::size_t i = 0; i < w.layers.size(); ++i) {
      KEDGE_CHECK(attention(w.layers[i], static_cast<std::int64_t>(i), x));
      KEDGE_CHECK(feed_forward(w.layers[i], x));
    }
    return head(x);
  }

 private:
  // Rounds to int8 while normalising when the products want it.
  Result<Tensor> norm(const Tensor& x, const Tensor& weight, Element product) {
    KEDGE_TRY(Tensor y, graph_.activation(op::Matmul::activation(product), c_.width));
    y.extent[0] = x.extent[0];
    KEDGE_CHECK(graph_.add<op::RmsNorm>({x, weight, y, c_.norm_eps}));
    return y;
  }
  // `bias` may be empty.
  Result<Tensor> product(const Tensor& x, const Tensor& weight, const Tensor& bias) {
    KEDGE_TRY(const Tensor y, graph_.activation(Element::f32, weight.rows()));
    KEDGE_CHECK(graph_.add<op::Matmul>({x, weight, bias, y}));
    return y;
  }
  // x = x + weight * input, and the bias on top where there is one: the residual has the product's
  // only place for a sum.
  Status add_product(const Tensor& input, const Tensor& weight, const Tensor& bias,
                     const Tensor& x) {
    if (bias.empty()) return graph_.add<op::Matmul>({input, weight, x, x});
    KEDGE_TRY(const Tensor y, product(input, weight, bias));
    return graph_.add<op::Add>({x, y, x});
  }
  // The norm of each head of the queries or keys, in place, where the model has one.
  Status head_norm(const Tensor& x, const Tensor& weight, std::int32_t heads) {
    if (weight.empty()) return {};
    return graph_.add<op::RmsNorm>({x, weight, x, c_.norm_eps, heads});
  }
  // An activation in the element that a product with `weight` takes.
  Result<Tensor> operand(const Tensor& x, const Tensor& weight) {
    if (op::Matmul::activation(weight.element) == x.element) return x;
    KEDGE_TRY(const Tensor y, graph_.activation(Element::q8_act, x.width()));
    KEDGE_CHECK(graph_.add<op::QuantizeRows>({x, y}));
    return y;
  }

  // Matrices that read one normalised input may be in different formats (mixed quantization): the
  // norm is then written in F32 and rounded for those that want int8.
  static Element shared(std::initializer_list<Element> weights) {
    for (const Element e : weights)
      if (!is_quantized(e)) return Element::f32;
    return *weights.begin();
  }

  Status attention(const LayerWeights& l, std::int64_t index, const Tensor& x) {
    const auto heads = static_cast<std::int32_t>(c_.heads);
    const auto kv_heads = static_cast<std::int32_t>(c_.kv_heads);
    const auto head_dim = static_cast<std::int32_t>(c_.head_dim);
    KEDGE_TRY(const Tensor h,
              norm(x, l.attention_norm, shared({l.q.element, l.k.element, l.v.element})));
    KEDGE_TRY(const Tensor hq, operand(h, l.q));
    KEDGE_TRY(const Tensor hk, l.k.element == l.q.element ? Result<Tensor>(hq) : operand(h, l.k));
    KEDGE_TRY(const Tensor hv, l.v.element == l.q.element ? Result<Tensor>(hq) : operand(h, l.v));
    KEDGE_TRY(const Tensor q, product(hq, l.q, l.q_bias));
    KEDGE_TRY(const Tensor k, product(hk, l.k, l.k_bias));
    KEDGE_TRY(const Tensor v, product(hv, l.v, l.v_bias));
    // Both norms before both rotations: each pair runs side by side.
    KEDGE_CHECK(head_norm(q, l.q_norm, heads));
    KEDGE_CHECK(head_norm(k, l.k_norm, kv_heads));
    const auto rotary = static_cast<std::int32_t>(c_.rotary_dims);
    for (const Tensor& turned : {q, k})
      KEDGE_CHECK(graph_.add<op::Rope>(
          {turned, rope_, v_.position, turned, head_dim, rotary, c_.rope_interleaved}));
    KEDGE_TRY(const Tensor cache, graph_.state(cache_.layer(index)));
    const Tensor pages = cache_.page_table();
    KEDGE_CHECK(graph_.add<op::KvStore>(
        {k, v, v_.position, v_.sequence, pages, cache, kv_heads, head_dim}));

    // Heads whose size is no multiple of 32 cannot be rounded head by head.
    const bool rounded = is_quantized(l.attention_output.element) && head_dim % 32 == 0;
    KEDGE_TRY(const Tensor mixed,
              graph_.activation(rounded ? Element::q8_act : Element::f32, c_.heads * c_.head_dim));
    op::Attention::Args args;
    args.q = q;
    args.position = v_.position;
    args.sequence = v_.sequence;
    args.pages = pages;
    args.cache = cache;
    args.tiles = v_.tiles;
    args.y = mixed;
    args.heads = heads;
    args.kv_heads = kv_heads;
    args.head_dim = head_dim;
    KEDGE_CHECK(op::Attention::infer(args));
    KEDGE_TRY(const Tensor scratch,
              graph_.activation(Element::f32, args.scratch.rows() * args.scratch.width(),
                                Graph::Extent::once));
    args.scratch.value = scratch.value;
    KEDGE_CHECK(graph_.add<op::Attention>(args));
    KEDGE_TRY(const Tensor input, operand(mixed, l.attention_output));
    return add_product(input, l.attention_output, l.attention_output_bias, x);
  }

  Status feed_forward(const LayerWeights& l, const Tensor& x) {
    KEDGE_TRY(const Tensor h, norm(x, l.feed_forward_norm, shared({l.gate.element, l.up.element})));
    KEDGE_TRY(const Tensor hg, operand(h, l.gate));
    KEDGE_TRY(const Tensor hu,
              l.up.element == l.gate.element ? Result<Tensor>(hg) : operand(h, l.up));
    KEDGE_TRY(const Tensor gate, product(hg, l.gate, l.gate_bias));
    KEDGE_TRY(const Tensor up, product(hu, l.up, l.up_bias));
    KEDGE_TRY(const Tensor gated,
              graph_.activation(op::Matmul::activation(l.down.element), c_.feed_forward));
    KEDGE_CHECK(graph_.add<op::SiluMul>({gate, up, gated}));
    return add_product(gated, l.down, l.down_bias, x);
  }

  // Only rows whose logits are wanted reach the head: first they are gathered.
  Result<PassValues> head(const Tensor& x) {
    const ModelWeights& w = model_.weights();
    graph_.begin_outputs();
    KEDGE_TRY(const Tensor last, graph_.activation(Element::f32, c_.width, Graph::Extent::outputs));
    KEDGE_CHECK(graph_.add<op::RowLookup>({v_.output_row, x, last}));
    KEDGE_TRY(Tensor h, graph_.activation(op::Matmul::activation(w.output.element), c_.width,
                                          Graph::Extent::outputs));
    KEDGE_CHECK(graph_.add<op::RmsNorm>({last, w.output_norm, h, c_.norm_eps}));
    KEDGE_TRY(v_.logits, graph_.external(Element::f32, c_.vocabulary, Graph::Extent::outputs));
    KEDGE_CHECK(graph_.add<op::Matmul>({h, w.output, {}, v_.logits}));

    op::Argmax::Args args;
    args.x = v_.logits;
    KEDGE_CHECK(op::Argmax::infer(args));
    KEDGE_TRY(v_.choice, graph_.external(Element::i32, 1, Graph::Extent::outputs));
    KEDGE_TRY(args.value, graph_.activation(Element::f32, 1, Graph::Extent::outputs));
    KEDGE_TRY(args.chunk_index,
              graph_.activation(Element::i32, args.chunk_index.width(), Graph::Extent::outputs));
    KEDGE_TRY(args.chunk_value,
              graph_.activation(Element::f32, args.chunk_value.width(), Graph::Extent::outputs));
    args.index = v_.choice;
    KEDGE_CHECK(graph_.add<op::Argmax>(args));
    return v_;
  }

  Graph& graph_;
  const Model& model_;
  const ModelConfig& c_;
  const KvCache& cache_;
  Tensor rope_;
  PassValues v_;
};

}  // namespace

Result<PassValues> build_transformer(Graph& graph, const Model& model, const KvCache& cache,
                                     const Tensor& rope_table) noexcept {
  return Builder(graph, model, cache, rope_table).build();
}

}  // namespace kedge::inline KEDGE_ABI
