// quantize_rows micro-kernel: each unit rounds one piece of one row, block by block.
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

void quantize_pieces_of_rows(const void* args, const Launch&, std::size_t begin,
                             std::size_t end) noexcept {
  const auto& a = *static_cast<const op::QuantizeRows::Args*>(args);
  const std::int64_t width = a.x.width();
  const std::int64_t pieces = (width + quantize_piece - 1) / quantize_piece;
  for (auto u = static_cast<std::int64_t>(begin); u < static_cast<std::int64_t>(end); ++u) {
    const std::int64_t first = u % pieces * quantize_piece;
    const std::int64_t last = first + quantize_piece < width ? first + quantize_piece : width;
    const float* x = a.x.row<float>(u / pieces);
    BlockQ8Act* y = a.y.row<BlockQ8Act>(u / pieces);
    for (std::int64_t i = first; i < last; i += 32)
      round_block(load(x + i), load(x + i + 16), y[i / 32]);
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const QuantizeRowsUnit KEDGE_UNIT(quantize_rows);
const QuantizeRowsUnit KEDGE_UNIT(quantize_rows) = {KEDGE_ISA::quantize_pieces_of_rows};

}  // namespace kedge::inline KEDGE_ABI::cpu
