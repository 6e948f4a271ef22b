#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/bounded_attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/cpu/rope.hpp"
#include "kedge/kernel/cpu/sigmoid_mul.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI {

Status Blocks::turn(const Tensor& x) {
  return graph_.add<op::Rope>({x, rope_, v_.position, x, static_cast<std::int32_t>(c_.head_dim),
                               static_cast<std::int32_t>(c_.rotary_dims), c_.rope_interleaved});
}

Status Blocks::store(const Tensor& k, const Tensor& v, std::int64_t index) {
  KEDGE_TRY(const Tensor cache, graph_.state(cache_.layer(index)));
  return graph_.add<op::KvStore>({k, v, v_.slot, v_.sequence, cache_.page_table(), cache,
                                  static_cast<std::int32_t>(c_.kv_heads),
                                  static_cast<std::int32_t>(c_.head_dim)});
}

Status Blocks::keys_and_values(const LayerWeights& l, std::int64_t index, Operand& x) {
  KEDGE_TRY(const Tensor k, product(x, l.k, l.k_bias));
  KEDGE_TRY(const Tensor v, product(x, l.v, l.v_bias));
  KEDGE_CHECK(head_norm(k, l.k_norm, c_.kv_heads));
  KEDGE_CHECK(turn(k));
  return store(k, v, index);
}

Status Blocks::attention(const LayerWeights& l, std::int64_t index, const Tensor& x,
                         const Reach& reach) {
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
  for (const Tensor& turned : {q, k}) KEDGE_CHECK(turn(turned));
  KEDGE_CHECK(store(k, v, index));

  const Element element = gated ? Element::f32 : output_element(l.attention_output, head_dim);
  KEDGE_TRY(const Tensor mixed, graph_.activation(element, c_.heads * c_.head_dim));
  op::Attention::Args args;
  args.q = q;
  args.position = reach.position.empty() ? v_.position : reach.position;
  args.sequence = v_.sequence;
  args.pages = cache_.page_table();
  KEDGE_TRY(args.cache, graph_.state(cache_.layer(index)));
  args.tiles = reach.tiles.empty() ? v_.tiles : reach.tiles;
  if (!v_.parent.empty()) {
    args.slot = v_.slot;
    args.parent = v_.parent;
  }
  args.y = mixed;
  args.heads = heads;
  args.kv_heads = kv_heads;
  args.head_dim = head_dim;
  KEDGE_CHECK(op::Attention::infer(args));
  KEDGE_TRY(const Tensor scratch,
            graph_.activation(Element::f32, args.scratch.rows() * args.scratch.width(),
                              Graph::Extent::once));
  args.scratch.value = scratch.value;
  args.first = reach.first;
  if (args.first.empty()) KEDGE_CHECK(graph_.add<op::Attention>(args));
  else KEDGE_CHECK(graph_.add<op::BoundedAttention>(args));
  if (!gated) return add_product(mixed, l.attention_output, l.attention_output_bias, x);
  KEDGE_TRY(const Tensor output,
            graph_.activation(output_element(l.attention_output, mixed.width()), mixed.width()));
  KEDGE_CHECK(graph_.add<op::SigmoidMul>({mixed, gate, output}));
  return add_product(output, l.attention_output, l.attention_output_bias, x);
}

}  // namespace kedge::inline KEDGE_ABI
