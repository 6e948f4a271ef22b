#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/cpu/rope.hpp"
#include "kedge/kernel/cpu/sigmoid_mul.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI {

Status Blocks::attention(const LayerWeights& l, std::int64_t index, const Tensor& x) {
  const auto heads = static_cast<std::int32_t>(c_.heads);
  const auto kv_heads = static_cast<std::int32_t>(c_.kv_heads);
  const auto head_dim = static_cast<std::int32_t>(c_.head_dim);
  const bool gated = !l.attention_gate.empty();
  KEDGE_TRY(Operand h, norm(x, l.attention_norm, {l.q, gated ? l.attention_gate : l.q, l.k, l.v}));
  KEDGE_TRY(const Tensor q, product(h, l.q, l.q_bias));
  Tensor gate;
  if (gated) {
    KEDGE_TRY(gate, product(h, l.attention_gate));
  }
  KEDGE_TRY(const Tensor k, product(h, l.k, l.k_bias));
  KEDGE_TRY(const Tensor v, product(h, l.v, l.v_bias));
  // Both norms before both rotations: each pair runs side by side.
  KEDGE_CHECK(head_norm(q, l.q_norm, heads));
  KEDGE_CHECK(head_norm(k, l.k_norm, kv_heads));
  const auto rotary = static_cast<std::int32_t>(c_.rotary_dims);
  for (const Tensor& turned : {q, k})
    KEDGE_CHECK(graph_.add<op::Rope>(
        {turned, rope_, v_.position, turned, head_dim, rotary, c_.rope_interleaved}));
  KEDGE_TRY(const Tensor cache, graph_.state(cache_.layer(index)));
  const Tensor pages = cache_.page_table();
  KEDGE_CHECK(
      graph_.add<op::KvStore>({k, v, v_.slot, v_.sequence, pages, cache, kv_heads, head_dim}));

  const Element element = gated ? Element::f32 : output_element(l.attention_output, head_dim);
  KEDGE_TRY(const Tensor mixed, graph_.activation(element, c_.heads * c_.head_dim));
  op::Attention::Args args;
  args.q = q;
  args.position = v_.position;
  args.sequence = v_.sequence;
  args.pages = pages;
  args.cache = cache;
  args.tiles = v_.tiles;
  args.slot = v_.slot;
  args.parent = v_.parent;
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
  if (!gated) return add_product(mixed, l.attention_output, l.attention_output_bias, x);
  KEDGE_TRY(const Tensor output,
            graph_.activation(output_element(l.attention_output, mixed.width()), mixed.width()));
  KEDGE_CHECK(graph_.add<op::SigmoidMul>({mixed, gate, output}));
  return add_product(output, l.attention_output, l.attention_output_bias, x);
}

}  // namespace kedge::inline KEDGE_ABI
