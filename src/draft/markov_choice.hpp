// MarkovChoice: which of logits + W2 z is largest, without most of the product. A row adds at most
// |row| |z| (Cauchy and Schwarz), so a row whose logit lies further than that below a sum that is
// known cannot be the largest; where a draft is sure of itself, that is nearly every row. What
// remains is multiplied as matmul does, with its bytes, so the choice is the same. On the CPU;
// private to the compiled library.
#pragma once

#include <cstdint>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class MarkovChoice {
 public:
  // Whether a product with such weights is never more than what their norms allow, but for the
  // rounding of sums. Formats with minima are not: theirs cancel.
  static bool bounded(Element weight) noexcept;
  // The largest norm of each panel's rows, for `reach` [panels of w2].
  static Status measure(const Tensor& w2, Executor* executor, float* reach) noexcept;

  // `reach`: of measure(). Both outlive it.
  static Result<MarkovChoice> create(const Tensor& w2, const float* reach, const Cpu& cpu,
                                     const Allocator& allocator) noexcept;
  MarkovChoice() noexcept = default;
  bool possible() const noexcept { return w2_.data != nullptr; }

  static constexpr std::int32_t unknown = -1;
  // The lowest index of the largest sum, given that of the largest logit. Unknown where a NaN is
  // met, and where so many rows may be the largest that the product itself, which all workers
  // share, is quicker.
  std::int32_t choose(const Tensor& z, const float* logits, std::int32_t largest) noexcept;
  std::int64_t panels() const noexcept { return panels_; }  // multiplied by the last choice
  std::size_t bytes() const noexcept { return candidates_.size(); }

 private:
  struct Best {
    float sum;
    std::int32_t index;  // unknown: there was a NaN
  };
  void multiply(const Tensor& z, const float* logits, std::int64_t panel, Best& best) noexcept;
  void prefetch(std::int64_t panel) const noexcept;
  int rows_of(std::int64_t panel) const noexcept;

  Tensor w2_;
  const float* reach_ = nullptr;
  cpu::Isa isa_ = cpu::Isa::scalar;
  Buffer candidates_;  // panels, as many as are worth it
  std::int64_t most_ = 0, panels_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::draft
