// The table of rotary angles that op/rope.hpp reads: f32 [positions, rotary_dims], row p holding
// cos(p f_0) .. cos(p f_{n-1}) and then sin(p f_0) .. sin(p f_{n-1}), n = rotary_dims / 2, with
// f_i = base^(-2i / rotary_dims), scaled. Angles are made in double with core/math.hpp and rounded
// once, so every machine has the same bytes. (Programs that multiply position and frequency in F32
// are off by up to position * 6e-8.)
#pragma once

#include <cstdint>

#include "kedge/core/buffer.hpp"
#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI {

class Accelerator;

enum class RopeScalingKind : std::uint8_t {
  none,
  linear,  // every frequency divided by `factor` (position interpolation)
  llama3,  // long wavelengths divided by `factor`, short ones kept, a ramp between (Llama 3.1)
  yarn,    // the same by turns within the original context (Peng et al. 2023, arXiv 2309.00071)
};

struct RopeScaling {
  RopeScalingKind kind = RopeScalingKind::none;
  double factor = 1;
  // llama3: a wavelength above original_context / low_freq_factor is long, one below
  // original_context / high_freq_factor short.
  double low_freq_factor = 1, high_freq_factor = 4, original_context = 8192;
  // rotary_dims / 2 divisors of the frequencies, applied last; null: none. GGUF files hold Llama
  // 3's scaling in this form (tensor rope_freqs.weight). Not together with llama3.
  const float* frequency_factors = nullptr;
  // yarn: dimensions that turn more than beta_fast times within original_context are kept, those
  // that turn less than beta_slow times divided; the ramp's ends are rounded outwards when
  // `truncate`. Cosines and sines are multiplied by attention_factor; 0: 0.1 ln(factor) + 1.
  double beta_fast = 32, beta_slow = 1, attention_factor = 0;
  bool truncate = true;
};

constexpr std::int64_t max_rotary_dims = 1024;

// The rotary_dims / 2 scaled frequencies, in radians per position. Code::invalid_argument for odd
// or too many dimensions, a base that is not above 0, and factors that are not.
KEDGE_API Status rope_frequencies(std::int64_t rotary_dims, double base, const RopeScaling& scaling,
                                  double* frequency) noexcept;

// Fills `table`, f32 [positions, rotary_dims] in memory of the caller.
KEDGE_API Status fill_rope_table(const Tensor& table, double base,
                                 const RopeScaling& scaling) noexcept;

// Memory for `table` with its contents, of the device where there is one, and its address.
KEDGE_API Result<Buffer> make_rope_table(Tensor& table, double base, const RopeScaling& scaling,
                                         Accelerator* device, const Allocator& allocator) noexcept;

}  // namespace kedge::inline KEDGE_ABI
