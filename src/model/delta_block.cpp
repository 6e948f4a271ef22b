#include "kedge/kernel/cpu/conv_state.hpp"
#include "kedge/kernel/cpu/delta_gate.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "kedge/kernel/cpu/gated_rms_norm.hpp"
#include "kedge/state/recurrent_state.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI {

// The mixer of Qwen3-Next and Qwen3.5: q, k and v through a short convolution, a gated delta rule,
// a norm of each head that is gated by z.
Status Blocks::delta(const LayerWeights& l, std::int64_t index, const Tensor& x) {
  const RecurrentShape& s = c_.recurrent;
  KEDGE_TRY(Operand h, norm(x, l.attention_norm, {l.delta_qkv, l.delta_z, l.alpha, l.beta}));
  KEDGE_TRY(const Tensor raw, product(h, l.delta_qkv));
  KEDGE_TRY(const Tensor z, product(h, l.delta_z));
  KEDGE_TRY(const Tensor alpha, product(h, l.alpha));
  KEDGE_TRY(const Tensor beta, product(h, l.beta));

  KEDGE_TRY(const Tensor qkv, graph_.activation(Element::f32, raw.width()));
  KEDGE_TRY(const Tensor window, graph_.state(recurrent_->window(index)));
  KEDGE_CHECK(graph_.add<op::ConvState>({raw,
                                         l.conv,
                                         {},
                                         v_.runs,
                                         v_.steps,
                                         window,
                                         qkv,
                                         static_cast<std::int32_t>(recurrent_->window_slots())}));
  KEDGE_TRY(const Tensor decay, graph_.activation(Element::f32, alpha.width()));
  KEDGE_CHECK(graph_.add<op::DeltaGate>({alpha, beta, l.a_scale, l.dt_bias, decay, beta}));

  op::GatedDelta::Args args;
  args.x = qkv;
  args.decay = decay;
  args.beta = beta;
  args.runs = v_.runs;
  args.steps = v_.steps;
  KEDGE_TRY(args.state, graph_.state(recurrent_->state(index)));
  if (const Tensor records = recurrent_->records(index); !records.empty()) {
    KEDGE_TRY(args.records, graph_.state(records));
    args.record_slots = static_cast<std::int32_t>(recurrent_->record_slots());
  }
  args.key_heads = static_cast<std::int32_t>(s.key_heads);
  args.value_heads = static_cast<std::int32_t>(s.value_heads);
  args.key_dim = static_cast<std::int32_t>(s.key_dim);
  args.value_dim = static_cast<std::int32_t>(s.value_dim);
  args.grouped = s.grouped;
  KEDGE_TRY(args.scratch, graph_.activation(Element::f32, op::GatedDelta::scratch_width(args)));
  KEDGE_TRY(args.y, graph_.activation(Element::f32, op::GatedDelta::values(args)));
  KEDGE_CHECK(graph_.add<op::GatedDelta>(args));

  KEDGE_TRY(const Tensor normed,
            graph_.activation(output_element(l.delta_output, s.value_dim), args.y.width()));
  KEDGE_CHECK(graph_.add<op::GatedRmsNorm>({args.y, z, l.delta_norm, normed, c_.norm_eps}));
  return add_product(normed, l.delta_output, {}, x);
}

}  // namespace kedge::inline KEDGE_ABI
