#include "model/packer.hpp"

#include <algorithm>

#include "kedge/core/block.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "model/finite.hpp"
#include "model/slice.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

// Stored bytes of a slice for each worker: packed within 10 ms, and much longer than it takes to
// call the workers.
constexpr std::size_t slice_bytes = std::size_t{512} << 10;
// The same where weights are quantized, which takes some fifty times as long.
constexpr std::size_t quantized_slice_bytes = std::size_t{32} << 10;
constexpr std::size_t most_slice_bytes = std::size_t{8} << 20;
// Between two looks at the cancel flag while reading: 10 ms from a disk of 100 MB/s.
constexpr std::size_t read_bytes = std::size_t{1} << 20;

std::size_t worker_count(const Model::Options& options) noexcept {
  return options.executor == nullptr ? 1 : options.executor->workers();
}
bool quantizes(const LoadItem& item) noexcept {
  return item.source->rank == 2 && item.source->element != item.target->element;
}
std::size_t panel_bytes(const FileTensor& t) noexcept {
  return static_cast<std::size_t>(cpu::panel_rows) * row_bytes(t.element, t.extent[1]);
}
// At least a panel for each worker.
std::size_t slice_panels(const LoadItem& item, std::size_t workers) noexcept {
  const std::size_t bytes = workers * (quantizes(item) ? quantized_slice_bytes : slice_bytes);
  return std::max(std::min(bytes, most_slice_bytes) / panel_bytes(*item.source), workers);
}

Unexpected not_finite(const FileTensor& t, std::int64_t index, const char* place) noexcept {
  const std::int64_t width = t.extent[t.rank - 1];
  return fail(Code::numeric, t.name.c_str(),
              "expected finite weights, found a NaN or infinity at value %lld (row %lld, column "
              "%lld) in %s",
              static_cast<long long>(index), static_cast<long long>(index / width),
              static_cast<long long>(index % width), place);
}

}  // namespace

Packer::Buffers Packer::buffers(std::span<const LoadItem> items,
                                const Model::Options& options) noexcept {
  const std::size_t workers = worker_count(options);
  Buffers b;
  for (const LoadItem& item : items) {
    const FileTensor& t = *item.source;
    std::size_t stored = static_cast<std::size_t>(t.bytes);
    if (t.rank == 2) stored = std::min(stored, slice_panels(item, workers) * panel_bytes(t));
    b.slice = std::max(b.slice, stored);
    if (quantizes(item))
      b.scratch = std::max(
          b.scratch, workers * Slice::scratch_bytes(item.target->element, item.target->width()));
  }
  return b;
}

Status Packer::reserve(std::span<const LoadItem> items) noexcept {
  for (const LoadItem& item : items) total_ += item.source->bytes;
  const Buffers b = buffers(items, options_);
  KEDGE_TRY(slice_, Buffer::create(b.slice, "reading weights", options_.allocator));
  KEDGE_TRY(scratch_, Buffer::create(b.scratch, "quantizing weights", options_.allocator));
  return {};
}

Unexpected Packer::stopped_at(const FileTensor& source) const noexcept {
  return fail(Code::cancelled, place_, "loading was stopped at %s", source.name.c_str());
}

Status Packer::stopped(const FileTensor& source) const noexcept {
  if (options_.cancel == nullptr || !options_.cancel->load(std::memory_order_relaxed)) return {};
  return stopped_at(source);
}

Status Packer::advance(std::uint64_t bytes, const FileTensor& source) noexcept {
  done_ += bytes;
  const Progress& progress = options_.progress;
  if (progress.report != nullptr &&
      !progress.report(progress.context, "packing weights",
                       static_cast<double>(done_) / static_cast<double>(total_)))
    return stopped_at(source);
  return {};
}

Result<const std::byte*> Packer::read(const FileTensor& source, std::uint64_t first,
                                      std::size_t size) noexcept {
  KEDGE_CHECK(stopped(source));
  const io::Source& file = *source.source;
  const std::byte* at = file.mapped();
  if (at != nullptr) {
    at += source.offset + first;
    if (reinterpret_cast<std::uintptr_t>(at) % 8 == 0) return at;
  }
  for (std::size_t done = 0; done < size; done += read_bytes) {
    if (done != 0) KEDGE_CHECK(stopped(source));
    KEDGE_CHECK(file.read(source.offset + first + done,
                          {slice_.data() + done, std::min(read_bytes, size - done)}));
  }
  return static_cast<const std::byte*>(slice_.data());
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
  const std::int64_t panels = cpu::panel_count(t.extent[0]);
  const auto step = static_cast<std::int64_t>(slice_panels(item, worker_count(options_)));
  const std::size_t row = row_bytes(t.element, t.extent[1]);
  for (std::int64_t first = 0; first < panels; first += step) {
    const std::int64_t first_row = first * cpu::panel_rows;
    const std::int64_t count = std::min(step, panels - first);
    const std::int64_t rows = std::min(count * cpu::panel_rows, t.extent[0] - first_row);
    const std::size_t size = static_cast<std::size_t>(rows) * row;
    KEDGE_TRY(const std::byte* bytes, read(t, static_cast<std::uint64_t>(first_row) * row, size));
    KEDGE_CHECK(pack_slice(item, bytes, first, count));
    KEDGE_CHECK(advance(size, t));
  }
  return {};
}

Status Packer::pack_slice(const LoadItem& item, const std::byte* rows, std::int64_t first,
                          std::int64_t panels) noexcept {
  SerialExecutor serial;
  Executor& executor = options_.executor == nullptr ? serial : *options_.executor;
  const auto workers = static_cast<std::int64_t>(worker_count(options_));
  const FileTensor& t = *item.source;
  const std::int64_t first_row = first * cpu::panel_rows, width = t.extent[1];
  const std::int64_t count = std::min(panels * cpu::panel_rows, t.extent[0] - first_row);
  Slice slice{tensor(rows, t.element, count, width),
              item.target->element,
              item.target->data,
              first,
              panels,
              (panels + workers - 1) / workers,
              scratch_.data(),
              options_.check_weights,
              options_.cancel};
  KEDGE_CHECK(executor.tasks(slice.tasks(), Slice::run, &slice));
  if (slice.stopped.load()) return stopped_at(t);
  const std::int64_t bad = slice.not_finite.load(), large = slice.too_large.load();
  if (bad != INT64_MAX) return not_finite(t, first_row * width + bad, place_);
  if (large == INT64_MAX) return {};
  return fail(Code::numeric, t.name.c_str(), "row %lld has a value that %s cannot hold, in %s",
              static_cast<long long>(first_row + large), to_string(slice.target), place_);
}

}  // namespace kedge::inline KEDGE_ABI
