#include "model/packer.hpp"

#include <algorithm>
#include <atomic>

#include "kedge/core/block.hpp"
#include "kedge/core/os/fp_env.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "model/finite.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

// Stored bytes of a slice: enough to keep many workers busy for longer than it takes to call them,
// and packed within 20 ms by one.
constexpr std::size_t slice_bytes = std::size_t{4} << 20;
// Between two looks at the cancel flag while reading: 10 ms from a disk of 100 MB/s.
constexpr std::size_t read_bytes = std::size_t{1} << 20;

std::size_t bytes_of_panel(const FileTensor& t) noexcept {
  return static_cast<std::size_t>(cpu::panel_rows) * row_bytes(t.element, t.extent[1]);
}
std::int64_t slice_panels(const FileTensor& t) noexcept {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(slice_bytes / bytes_of_panel(t)));
}
// Stored bytes that are in the buffer at once.
std::size_t buffered(const LoadItem& item) noexcept {
  const FileTensor& t = *item.source;
  if (t.rank == 1) return static_cast<std::size_t>(t.bytes);
  const auto slice = static_cast<std::size_t>(slice_panels(t)) * bytes_of_panel(t);
  return std::min(slice, static_cast<std::size_t>(t.bytes));
}

// Keeps the lowest: what is reported does not depend on which worker was first.
void keep_lowest(std::atomic<std::int64_t>& lowest, std::int64_t value) noexcept {
  std::int64_t found = lowest.load(std::memory_order_relaxed);
  while (value < found && !lowest.compare_exchange_weak(found, value)) {
  }
}

Unexpected not_finite(const FileTensor& t, std::int64_t index, const char* place) noexcept {
  const std::int64_t width = t.extent[t.rank - 1];
  return fail(Code::numeric, t.name.c_str(),
              "expected finite weights, found a NaN or infinity at value %lld (row %lld, column "
              "%lld) in %s",
              static_cast<long long>(index), static_cast<long long>(index / width),
              static_cast<long long>(index % width), place);
}

// What the tasks of a slice share.
struct Slice {
  const std::byte* rows;  // as stored
  std::byte* packed;      // of the whole matrix
  std::int64_t first_row, rows_left, first_panel, panels, panels_per_task;
  const FileTensor* source;
  bool check;
  std::atomic<std::int64_t> bad;
};

void pack_task(void* context, std::size_t task) noexcept {
  auto& s = *static_cast<Slice*>(context);
  const FileTensor& t = *s.source;
  const std::int64_t width = t.extent[1];
  const std::int64_t first = static_cast<std::int64_t>(task) * s.panels_per_task;
  const std::int64_t count = std::min(s.panels_per_task, s.panels - first);
  const Tensor view = tensor(s.rows, t.element, s.rows_left, width);
  if (s.check) {
    const std::int64_t last = std::min(s.rows_left, (first + count) * cpu::panel_rows);
    for (std::int64_t r = first * cpu::panel_rows; r < last; ++r) {
      const std::int64_t at = find_not_finite(t.element, view.row<std::byte>(r), width);
      if (at >= 0) return keep_lowest(s.bad, (s.first_row + r) * width + at);
    }
  }
  const std::size_t stride = cpu::panel_bytes(t.element, width);
  cpu::pack(view, s.packed + static_cast<std::size_t>(s.first_panel) * stride, first, count);
}

}  // namespace

std::size_t Packer::buffer_bytes(std::span<const LoadItem> items) noexcept {
  std::size_t bytes = 0;
  for (const LoadItem& item : items) bytes = std::max(bytes, buffered(item));
  return bytes;
}

Status Packer::reserve(std::span<const LoadItem> items) noexcept {
  for (const LoadItem& item : items) total_ += item.source->bytes;
  KEDGE_TRY(buffer_, Buffer::create(buffer_bytes(items), "reading weights", options_.allocator));
  return {};
}

Status Packer::stopped(const FileTensor& source) const noexcept {
  if (options_.cancel == nullptr || !options_.cancel->load(std::memory_order_relaxed)) return {};
  return fail(Code::cancelled, place_, "loading was stopped at %s", source.name.c_str());
}

Status Packer::advance(std::uint64_t bytes, const FileTensor& source) noexcept {
  done_ += bytes;
  const Progress& progress = options_.progress;
  if (progress.report != nullptr &&
      !progress.report(progress.context, "packing weights",
                       static_cast<double>(done_) / static_cast<double>(total_)))
    return fail(Code::cancelled, place_, "loading was stopped at %s", source.name.c_str());
  return {};
}

Result<const std::byte*> Packer::read(const FileTensor& source, std::uint64_t first,
                                      std::size_t size) noexcept {
  KEDGE_CHECK(stopped(source));
  const io::Source& file = *source.source;
  const std::byte* mapped = file.mapped();
  if (mapped != nullptr &&
      reinterpret_cast<std::uintptr_t>(mapped + source.offset + first) % 8 == 0)
    return mapped + source.offset + first;
  for (std::size_t at = 0; at < size; at += read_bytes) {
    if (at != 0) KEDGE_CHECK(stopped(source));
    KEDGE_CHECK(file.read(source.offset + first + at,
                          {buffer_.data() + at, std::min(read_bytes, size - at)}));
  }
  return static_cast<const std::byte*>(buffer_.data());
}

Status Packer::read_vector(const FileTensor& source, const Tensor& target) noexcept {
  KEDGE_TRY(const std::byte* bytes, read(source, 0, static_cast<std::size_t>(source.bytes)));
  if (options_.check_weights) {
    const std::int64_t at = find_not_finite(source.element, bytes, target.width());
    if (at >= 0) return not_finite(source, at, place_);
  }
  decode_row(source.element, bytes, target.width(), target.as<float>());
  return {};
}

Status Packer::pack(const LoadItem& item) noexcept {
  const FileTensor& t = *item.source;
  if (t.rank == 1) {
    KEDGE_CHECK(read_vector(t, *item.target));
    return advance(t.bytes, t);
  }
  const std::int64_t panels = cpu::panel_count(t.extent[0]), step = slice_panels(t);
  const std::size_t row = row_bytes(t.element, t.extent[1]);
  for (std::int64_t first = 0; first < panels; first += step) {
    const std::int64_t first_row = first * cpu::panel_rows;
    const std::int64_t count = std::min(step, panels - first);
    const std::int64_t rows = std::min(count * cpu::panel_rows, t.extent[0] - first_row);
    const std::size_t size = static_cast<std::size_t>(rows) * row;
    KEDGE_TRY(const std::byte* bytes, read(t, static_cast<std::uint64_t>(first_row) * row, size));
    KEDGE_CHECK(pack_panels(item, bytes, first, count));
    KEDGE_CHECK(advance(size, t));
  }
  return {};
}

Status Packer::pack_panels(const LoadItem& item, const std::byte* rows, std::int64_t first,
                           std::int64_t panels) noexcept {
  SerialExecutor serial;
  Executor& executor = options_.executor == nullptr ? serial : *options_.executor;
  const FileTensor& t = *item.source;
  const auto workers = static_cast<std::int64_t>(executor.workers());
  const std::int64_t first_row = first * cpu::panel_rows;
  Slice slice{rows,
              item.target->data,
              first_row,
              std::min(panels * cpu::panel_rows, t.extent[0] - first_row),
              first,
              panels,
              (panels + workers - 1) / workers,
              &t,
              options_.check_weights,
              INT64_MAX};
  const auto tasks = (panels + slice.panels_per_task - 1) / slice.panels_per_task;
  KEDGE_CHECK(executor.tasks(static_cast<std::size_t>(tasks), pack_task, &slice));
  const std::int64_t bad = slice.bad.load();
  return bad == INT64_MAX ? Status() : not_finite(t, bad, place_);
}

}  // namespace kedge::inline KEDGE_ABI
