#include "model/slice.hpp"

#include <algorithm>
#include <cstring>

#include "kedge/core/block.hpp"
#include "kedge/core/quantize.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "model/finite.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

void keep_lowest(std::atomic<std::int64_t>& lowest, std::int64_t value) noexcept {
  std::int64_t found = lowest.load(std::memory_order_relaxed);
  while (value < found && !lowest.compare_exchange_weak(found, value)) {
  }
}

}  // namespace

std::size_t Slice::scratch_bytes(Element target, std::int64_t width) noexcept {
  const std::size_t bytes = row_bytes(Element::f32, width) + cpu::panel_bytes(target, width);
  return (bytes + Buffer::alignment - 1) / Buffer::alignment * Buffer::alignment;
}

void Slice::run(void* slice, std::size_t task) noexcept {
  auto& s = *static_cast<Slice*>(slice);
  const std::int64_t width = s.rows.width();
  const std::int64_t first = static_cast<std::int64_t>(task) * s.panels_per_task;
  const std::int64_t count = std::min(s.panels_per_task, s.panels - first);
  if (s.cancelled()) return;
  if (s.check && !s.check_rows(first * cpu::panel_rows, count * cpu::panel_rows)) return;
  if (s.target != s.rows.element)
    return s.quantize_panels(s.scratch + task * scratch_bytes(s.target, width), first, count);
  if (s.layout == Layout::row_major) return;
  std::byte* const packed =
      s.packed + static_cast<std::size_t>(s.first_panel) * cpu::panel_bytes(s.target, width);
  cpu::pack(s.rows, packed, first, count);
}

bool Slice::check_rows(std::int64_t first, std::int64_t count) noexcept {
  const std::int64_t last = std::min(rows.rows(), first + count);
  for (std::int64_t r = first; r < last; ++r) {
    const std::int64_t at = find_not_finite(rows.element, rows.row<std::byte>(r), rows.width());
    if (at < 0) continue;
    keep_lowest(not_finite, r * rows.width() + at);
    return false;
  }
  return true;
}

void Slice::quantize_panels(std::byte* memory, std::int64_t first, std::int64_t count) noexcept {
  const std::int64_t width = rows.width();
  auto* const values = reinterpret_cast<float*>(memory);
  std::byte* const quantized = memory + row_bytes(Element::f32, width);
  const std::size_t stride = cpu::panel_bytes(target, width), row = row_bytes(target, width);
  for (std::int64_t p = first; p < first + count; ++p) {
    const std::int64_t top = p * cpu::panel_rows;
    const std::int64_t n = std::min(cpu::panel_rows, rows.rows() - top);
    for (std::int64_t r = 0; r < n; ++r) {
      if (cancelled()) return;  // a wide row in a slow format takes milliseconds
      decode_row(rows.element, rows.row<std::byte>(top + r), width, values);
      if (!quantize_row(target, values, width, quantized + static_cast<std::size_t>(r) * row))
        return keep_lowest(too_large, top + r);
    }
    std::byte* const to = packed + static_cast<std::size_t>(first_panel + p) * stride;
    if (layout == Layout::panel16) cpu::pack(tensor(quantized, target, n, width), to, 0, 1);
    else std::memcpy(to, quantized, static_cast<std::size_t>(n) * row);
  }
}

}  // namespace kedge::inline KEDGE_ABI
