// matmul micro-kernels: blocks in matmul_blocks-inl.hpp, floats in matmul_floats-inl.hpp.
#include "kedge/kernel/cpu/matmul_blocks-inl.hpp"
#include "kedge/kernel/cpu/matmul_floats-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

extern const MatmulUnit KEDGE_UNIT(matmul);
const MatmulUnit KEDGE_UNIT(matmul) = {KEDGE_ISA::matmul_floats<KEDGE_ISA::FormatF32>,
                                       KEDGE_ISA::matmul_floats<KEDGE_ISA::FormatF16>,
                                       KEDGE_ISA::matmul_floats<KEDGE_ISA::FormatBF16>,
                                       KEDGE_ISA::matmul_blocks<KEDGE_ISA::FormatQ8_0>,
                                       KEDGE_ISA::matmul_blocks<KEDGE_ISA::FormatQ4_0>,
                                       KEDGE_ISA::matmul_blocks<KEDGE_ISA::FormatQ4_1>,
                                       KEDGE_ISA::matmul_blocks<KEDGE_ISA::FormatQ6_K>};

}  // namespace kedge::inline KEDGE_ABI::cpu
