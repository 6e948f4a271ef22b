// conv_state micro-kernel. Plan, per unit (256 channels): for each row find the W columns that it
// sees (ancestors in the pass, then the ring), at most 8 pointers; then per 16 channels one chain
// of fused multiply-adds over them and SiLU. Columns that are kept are copied while the next unit's
// rows are computed, a row's behind each row, so that memory never has to take more of them at once
// than a core can hold back; not before all rows of their own unit, as a new one may take the slot
// of one that a row still has to read.
#include "kedge/kernel/cpu/conv_state.hpp"
#include "kedge/kernel/cpu/float_row.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {
namespace conv {

using op::ConvState;

// Columns of a row, the newest last; `first` is the oldest tap that has one.
struct Taps {
  const float* column[ConvState::max_taps];
  int first;
};

KEDGE_INLINE Taps taps_of(const ConvState::Args& a, const op::RecurrentRun& run, std::int32_t row,
                          int taps) {
  Taps t;
  t.first = taps;
  for (std::int64_t back = 0; t.first > 0;) {
    if (row >= 0) {
      t.column[--t.first] = float_row(a.x, row);
      row = op::recurrent_step(a.steps, row).parent;
    } else if (back < run.columns) {
      t.column[--t.first] = float_row(a.window, op::ring_slot(run.column, -back, a.window_slots));
      ++back;
    } else {
      break;
    }
  }
  return t;
}

KEDGE_INLINE F32x16 silu(F32x16 x) { return div(x, add(set1(1.0f), exp(sub(zero(), x)))); }

// Channels of one row, all of whose taps have columns; y may not be any of them.
template <int taps>
void convolve(const float* weight, std::int64_t distance, const float* bias, const Taps& t,
              std::int64_t c, std::int64_t end, float* y) {
  const float* column[taps];
  for (int i = 0; i < taps; ++i) column[i] = t.column[i];
  for (; c < end; c += 16) {
    F32x16 sum = bias != nullptr ? load(bias + c) : zero();
    for (int i = 0; i < taps; ++i)
      sum = fma(load(weight + i * distance + c), load(column[i] + c), sum);
    store(y + c, silu(sum));
  }
}

// Any number of taps and channels.
void convolve_any(const float* weight, std::int64_t distance, const float* bias, const Taps& t,
                  int taps, std::int64_t c, std::int64_t end, float* y) {
  for (; c < end; c += 16) {
    const int left = end - c < 16 ? static_cast<int>(end - c) : 16;
    F32x16 sum = bias != nullptr ? load_first(bias + c, left) : zero();
    for (int i = t.first; i < taps; ++i)
      sum =
          fma(load_first(weight + i * distance + c, left), load_first(t.column[i] + c, left), sum);
    store_first(y + c, silu(sum), left);
  }
}

// Streamed where lines are whole: the next to read a column is the next pass, and reading the lines
// first would be half of the traffic.
void keep(float* to, const float* from, std::int64_t c, std::int64_t end) {
  if (reinterpret_cast<std::uintptr_t>(to + c) % 64 == 0)
    for (; c + 16 <= end; c += 16) stream(to + c, load(from + c));
  for (; c < end; ++c) to[c] = from[c];
}

void channels_of_rows(const void* args, const Launch&, std::size_t begin,
                      std::size_t end) noexcept {
  const auto& a = *static_cast<const ConvState::Args*>(args);
  const auto taps = static_cast<int>(a.weight.rows());
  const std::int64_t channels = a.x.width();
  const float* weight = a.weight.as<float>();
  const float* bias = a.bias.empty() ? nullptr : a.bias.as<float>();
  const auto keep_row = [&](std::int32_t row, const RowChunk& of) {
    if (const std::int32_t slot = op::recurrent_step(a.steps, row).column; slot >= 0)
      keep(float_row(a.window, slot), float_row(a.x, row), of.begin, of.end);
  };
  RowChunk last{};
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk chunk = row_chunk(unit, channels, elementwise_chunk);
    const std::int64_t whole = chunk.begin + (chunk.end - chunk.begin) / 16 * 16;
    for (std::int32_t n = 0; n < op::recurrent_run_count(a.runs); ++n) {
      const op::RecurrentRun& run = op::recurrent_run(a.runs, n);
      for (std::int32_t r = run.first; r < run.first + run.rows; ++r) {
        const Taps t = taps_of(a, run, r, taps);
        float* y = float_row(a.y, r);
        const bool plain = taps == 4 && t.first == 0;
        if (plain) convolve<4>(weight, channels, bias, t, chunk.begin, whole, y);
        convolve_any(weight, channels, bias, t, taps, plain ? whole : chunk.begin, chunk.end, y);
        keep_row(r, last);
      }
    }
    last = chunk;
  }
  const std::int32_t rows = a.runs.as<op::RecurrentHeader>()->rows;
  for (std::int32_t r = 0; r < rows; ++r) keep_row(r, last);
  stream_end();
}

}  // namespace conv
}  // namespace
}  // namespace KEDGE_ISA

extern const ConvStateUnit KEDGE_UNIT(conv_state);
const ConvStateUnit KEDGE_UNIT(conv_state) = {KEDGE_ISA::conv::channels_of_rows};

}  // namespace kedge::inline KEDGE_ABI::cpu
