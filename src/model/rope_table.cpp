#include "kedge/model/rope_table.hpp"

#include "kedge/backend/accelerator.hpp"
#include "kedge/core/math.hpp"
#include "kedge/core/os/fp_env.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr const char* place = "rope table";

Status check(std::int64_t rotary_dims, double base, const RopeScaling& s) noexcept {
  if (rotary_dims < 2 || rotary_dims % 2 != 0 || rotary_dims > max_rotary_dims)
    return fail(Code::invalid_argument, place,
                "rotary dimensions: expected an even number from 2 to %lld, found %lld",
                static_cast<long long>(max_rotary_dims), static_cast<long long>(rotary_dims));
  // Written so that a NaN fails.
  if (!(base > 0 && base < 1e300))
    return fail(Code::invalid_argument, place, "base: expected above 0, found %g", base);
  if (s.kind != RopeScalingKind::none && !(s.factor > 0 && s.factor < 1e300))
    return fail(Code::invalid_argument, place, "factor: expected above 0, found %g", s.factor);
  if (s.kind == RopeScalingKind::llama3) {
    if (!(s.low_freq_factor > 0 && s.high_freq_factor > s.low_freq_factor &&
          s.high_freq_factor < 1e300))
      return fail(
          Code::invalid_argument, place,
          "llama3 scaling: expected 0 < low_freq_factor < high_freq_factor, found %g and %g",
          s.low_freq_factor, s.high_freq_factor);
    if (!(s.original_context > 0 && s.original_context < 1e300))
      return fail(Code::invalid_argument, place, "original context: expected above 0, found %g",
                  s.original_context);
    if (s.frequency_factors != nullptr)
      return fail(Code::invalid_argument, place,
                  "llama3 scaling and explicit frequency factors exclude each other");
  }
  if (s.kind == RopeScalingKind::yarn) {
    if (!(s.beta_slow > 0 && s.beta_fast >= s.beta_slow && s.beta_fast < 1e300))
      return fail(Code::invalid_argument, place,
                  "yarn scaling: expected 0 < beta_slow <= beta_fast, found %g and %g", s.beta_slow,
                  s.beta_fast);
    if (!(s.original_context > 0 && s.original_context < 1e300))
      return fail(Code::invalid_argument, place, "original context: expected above 0, found %g",
                  s.original_context);
    if (!(s.attention_factor >= 0 && s.attention_factor < 1e30))
      return fail(Code::invalid_argument, place, "attention factor: expected 0 or more, found %g",
                  s.attention_factor);
    if (!(base > 1))
      return fail(Code::invalid_argument, place, "yarn scaling: expected a base above 1, found %g",
                  base);
  }
  return {};
}

constexpr double two_pi = 0x1.921fb54442d18p+2;

// YaRN's ramp over the pairs: 0 where the frequency is kept, 1 where it is divided. As in the
// transformers library (modeling_rope_utils.py).
class YarnRamp {
 public:
  YarnRamp(std::int64_t dims, double log_base, const RopeScaling& s) noexcept
      : low_(pair_of(s.beta_fast, dims, log_base, s)),
        high_(pair_of(s.beta_slow, dims, log_base, s)) {
    if (s.truncate) {
      low_ = __builtin_floor(low_);
      high_ = __builtin_ceil(high_);
    }
    if (!(low_ > 0)) low_ = 0;
    const auto last = static_cast<double>(dims - 1);
    if (!(high_ < last)) high_ = last;
    if (low_ == high_) high_ += 0.001;
  }
  double operator()(std::int64_t pair) const noexcept {
    const double t = (static_cast<double>(pair) - low_) / (high_ - low_);
    return t > 0 ? (t < 1 ? t : 1) : 0;
  }

 private:
  // The pair (a fraction) that turns `turns` times within the original context.
  static double pair_of(double turns, std::int64_t dims, double log_base,
                        const RopeScaling& s) noexcept {
    return static_cast<double>(dims) * math::log(s.original_context / (turns * two_pi)) /
           (2 * log_base);
  }
  double low_, high_;
};

double attention_factor(const RopeScaling& s) noexcept {
  if (s.kind != RopeScalingKind::yarn) return 1;
  if (s.attention_factor > 0) return s.attention_factor;
  return s.factor > 1 ? 0.1 * math::log(s.factor) + 1 : 1;
}

// Llama 3.1's rule, as in the transformers library (modeling_rope_utils.py).
double llama3(double frequency, const RopeScaling& s) noexcept {
  const double wavelength = two_pi / frequency;
  if (wavelength < s.original_context / s.high_freq_factor) return frequency;
  if (wavelength > s.original_context / s.low_freq_factor) return frequency / s.factor;
  const double smooth = (s.original_context / wavelength - s.low_freq_factor) /
                        (s.high_freq_factor - s.low_freq_factor);
  return (1.0 - smooth) * frequency / s.factor + smooth * frequency;
}

}  // namespace

Status rope_frequencies(std::int64_t rotary_dims, double base, const RopeScaling& scaling,
                        double* frequency) noexcept {
  KEDGE_CHECK(check(rotary_dims, base, scaling));
  const os::ScopedFpEnv fp;
  const double log_base = math::log(base);
  const YarnRamp ramp(rotary_dims, log_base, scaling);
  for (std::int64_t i = 0; i < rotary_dims / 2; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(rotary_dims);
    double f = math::exp(-exponent * log_base);
    if (scaling.kind == RopeScalingKind::linear) f = f / scaling.factor;
    if (scaling.kind == RopeScalingKind::llama3) f = llama3(f, scaling);
    if (scaling.kind == RopeScalingKind::yarn) {
      const double divided = ramp(i);
      f = f / scaling.factor * divided + f * (1 - divided);
    }
    if (scaling.frequency_factors != nullptr) {
      const auto divisor = static_cast<double>(scaling.frequency_factors[i]);
      if (!(divisor > 0 && divisor < 1e300))
        return fail(Code::invalid_argument, place,
                    "frequency factor %lld: expected above 0, found %g", static_cast<long long>(i),
                    divisor);
      f = f / divisor;
    }
    frequency[i] = f;
  }
  return {};
}

Status fill_rope_table(const Tensor& table, double base, const RopeScaling& scaling) noexcept {
  if (table.element != Element::f32 || table.rank != 2 || table.data == nullptr)
    return fail(Code::invalid_argument, place, "expected f32 [positions, rotary_dims] with memory");
  double frequency[max_rotary_dims / 2];
  KEDGE_CHECK(rope_frequencies(table.width(), base, scaling, frequency));
  const os::ScopedFpEnv fp;
  const std::int64_t half = table.width() / 2;
  const double factor = attention_factor(scaling);
  for (std::int64_t p = 0; p < table.rows(); ++p) {
    auto* row = table.row<float>(p);
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * frequency[i];
      row[i] = static_cast<float>(math::cos(angle) * factor);
      row[half + i] = static_cast<float>(math::sin(angle) * factor);
    }
  }
  return {};
}

Result<Buffer> make_rope_table(Tensor& table, double base, const RopeScaling& scaling,
                               Accelerator* device, const Allocator& allocator) noexcept {
  KEDGE_TRY(Buffer memory, Buffer::create(table.bytes(), "rope table", allocator));
  table.data = memory.data();
  KEDGE_CHECK(fill_rope_table(table, base, scaling));
  if (device == nullptr) return memory;
  KEDGE_TRY(Buffer there,
            Buffer::create(table.bytes(), "rope table", device->memory(DeviceMemory::weights)));
  KEDGE_CHECK(device->write(there.data(), table.data, table.bytes()));
  table.data = there.data();
  return there;
}

}  // namespace kedge::inline KEDGE_ABI
