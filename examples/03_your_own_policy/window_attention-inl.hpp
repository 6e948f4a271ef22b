// The kernels of window_attention: Kedge's walk over pages, with our mask compiled in.
#include "kedge/kernel/cpu/attention_walk-inl.hpp"
#include "window_attention.hpp"

extern const kedge::cpu::AttentionUnit KEDGE_UNIT(window_attention);
const kedge::cpu::AttentionUnit KEDGE_UNIT(window_attention) =
    kedge::cpu::KEDGE_ISA::attention_table<Window>;
