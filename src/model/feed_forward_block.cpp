#include "kedge/kernel/cpu/silu_mul.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI {

Status Blocks::feed_forward(const LayerWeights& l, const Tensor& x) {
  KEDGE_TRY(Operand h, norm(x, l.feed_forward_norm, {l.gate, l.up}));
  KEDGE_TRY(const Tensor gate, product(h, l.gate, l.gate_bias));
  KEDGE_TRY(const Tensor up, product(h, l.up, l.up_bias));
  KEDGE_TRY(const Tensor gated, graph_.activation(product_input(graph_, l.down), c_.feed_forward));
  KEDGE_CHECK(graph_.add<op::SiluMul>({gate, up, gated}));
  return add_product(gated, l.down, l.down_bias, x);
}

}  // namespace kedge::inline KEDGE_ABI
