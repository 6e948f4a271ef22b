#include "model/packer.hpp"

#include <algorithm>

#include "kedge/core/block.hpp"
#include "kedge/core/math.hpp"
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
  return item.is_matrix() && item.source->element != item.target->element;
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
    if (item.is_matrix()) stored = std::min(stored, slice_panels(item, workers) * panel_bytes(t));
    b.slice = std::max(b.slice, stored);
    if (quantizes(item))
      b.scratch = std::max(
          b.scratch, workers * Slice::scratch_bytes(item.target->element, item.target->width()));
    if (options.accelerator && !item.is_matrix()) b.made = std::max(b.made, item.bytes);
    if (options.accelerator && quantizes(item))
      b.made = std::max(b.made, slice_panels(item, workers) *
                                    cpu::panel_bytes(item.target->element, item.target->width()));
  }
  return b;
}

Status Packer::reserve(std::span<const LoadItem> items) noexcept {
  for (const LoadItem& item : items) total_ += item.stored();
  const Buffers b = buffers(items, options_);
  KEDGE_TRY(slice_, Buffer::create(b.slice, "reading weights", options_.allocator));
  KEDGE_TRY(scratch_, Buffer::create(b.scratch, "quantizing weights", options_.allocator));
  KEDGE_TRY(made_, Buffer::create(b.made, "weights for the device", options_.allocator));
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
  const std::byte* at = source.source->mapped();
  if (at != nullptr) {
    at += source.offset + first;
    if (reinterpret_cast<std::uintptr_t>(at) % 8 == 0) return at;
  }
  KEDGE_CHECK(read_into(source, first, {slice_.data(), size}));
  return static_cast<const std::byte*>(slice_.data());
}

Status Packer::read_into(const FileTensor& source, std::uint64_t first,
                         std::span<std::byte> to) noexcept {
  for (std::size_t done = 0; done < to.size(); done += read_bytes) {
    KEDGE_CHECK(stopped(source));
    KEDGE_CHECK(source.source->read(source.offset + first + done,
                                    to.subspan(done, std::min(read_bytes, to.size() - done))));
  }
  return {};
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

// Of [channels, ..., taps] into F32 [taps, channels].
Status Packer::read_taps(const FileTensor& source, const Tensor& target) noexcept {
  KEDGE_TRY(const std::byte* bytes, read(source, 0, static_cast<std::size_t>(source.bytes)));
  const std::int64_t taps = target.rows(), channels = target.width();
  const std::size_t stride = row_bytes(source.element, taps);
  float row[256];  // room for a block of any format, which the compiler cannot rule out
  for (std::int64_t c = 0; c < channels; ++c, bytes += stride) {
    if (options_.check_weights) {
      const std::int64_t at = find_not_finite(source.element, bytes, taps);
      if (at >= 0) return not_finite(source, c * taps + at, place_);
    }
    decode_row(source.element, bytes, taps, row);
    for (std::int64_t t = 0; t < taps; ++t) target.row<float>(t)[c] = row[t];
  }
  return {};
}

void Packer::convert(Conversion conversion, const Tensor& vector) noexcept {
  float* const values = vector.as<float>();
  for (std::int64_t i = 0; i < vector.width() && conversion != Conversion::none; ++i)
    values[i] = conversion == Conversion::add_one ? 1.0f + values[i]
                                                  : -static_cast<float>(math::exp(values[i]));
}

Status Packer::send(const LoadItem& item, std::size_t offset, const std::byte* bytes,
                    std::size_t size, Hash& digest) noexcept {
  digest.add({bytes, size});
  return options_.accelerator->write(item.target->data + offset, bytes, size);
}

Status Packer::pack_vector(LoadItem& item) noexcept {
  Tensor target = *item.target;
  if (options_.accelerator) target.data = made_.data();
  if (target.rank == 2) {
    KEDGE_CHECK(read_taps(*item.source, target));
  } else {
    KEDGE_CHECK(read_vector(*item.source, target));
    convert(item.conversion, target);
  }
  if (options_.accelerator) {
    Hash digest;
    KEDGE_CHECK(send(item, 0, target.data, target.bytes(), digest));
    item.digest = digest.value();
  }
  return advance(item.source->bytes, *item.source);
}

Status Packer::pack(LoadItem& item) noexcept {
  if (!item.is_matrix()) return pack_vector(item);
  const FileTensor& t = *item.source;
  Hash digest;
  const std::int64_t all = item.target->rows(), panels = cpu::panel_count(all);
  const auto step = static_cast<std::int64_t>(slice_panels(item, worker_count(options_)));
  for (std::int64_t first = 0; first < panels; first += step) {
    const std::int64_t count = std::min(step, panels - first);
    const std::int64_t first_row = first * cpu::panel_rows;
    const std::int64_t rows = std::min(count * cpu::panel_rows, all - first_row);
    KEDGE_TRY(const std::byte* bytes, read_rows(item, first_row, rows));
    KEDGE_CHECK(pack_slice(item, bytes, first, count));
    if (options_.accelerator) {
      const std::size_t row = row_bytes(item.target->element, item.target->width());
      KEDGE_CHECK(send(item, static_cast<std::size_t>(first_row) * row,
                       quantizes(item) ? made_.data() : bytes, static_cast<std::size_t>(rows) * row,
                       digest));
    }
    KEDGE_CHECK(advance(static_cast<std::uint64_t>(rows) * row_bytes(t.element, t.extent[1]), t));
  }
  if (options_.accelerator) item.digest = digest.value();
  return {};
}

// Rows of the target as they are stored: together, or gathered from their runs.
Result<const std::byte*> Packer::read_rows(const LoadItem& item, std::int64_t first,
                                           std::int64_t count) noexcept {
  const FileTensor& t = *item.source;
  const std::size_t row = row_bytes(t.element, t.extent[1]);
  const auto bytes = [row](std::int64_t rows) { return static_cast<std::size_t>(rows) * row; };
  if (item.runs.run == 0) return read(t, bytes(first), bytes(count));
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t left = item.runs.run - (first + done) % item.runs.run;
    const std::int64_t rows = std::min(left, count - done);
    KEDGE_CHECK(read_into(t, bytes(item.runs.source(first + done)),
                          {slice_.data() + bytes(done), bytes(rows)}));
    done += rows;
  }
  return static_cast<const std::byte*>(slice_.data());
}

Status Packer::pack_slice(const LoadItem& item, const std::byte* rows, std::int64_t first,
                          std::int64_t panels) noexcept {
  SerialExecutor serial;
  Executor& executor = options_.executor == nullptr ? serial : *options_.executor;
  const auto workers = static_cast<std::int64_t>(worker_count(options_));
  const FileTensor& t = *item.source;
  const std::int64_t first_row = first * cpu::panel_rows, width = t.extent[1];
  const std::int64_t count = std::min(panels * cpu::panel_rows, item.target->rows() - first_row);
  const bool device = options_.accelerator != nullptr;
  Slice slice{tensor(rows, t.element, count, width),
              item.target->element,
              device ? Layout::row_major : Layout::panel16,
              device ? made_.data() : item.target->data,
              device ? 0 : first,
              panels,
              (panels + workers - 1) / workers,
              scratch_.data(),
              options_.check_weights,
              options_.cancel};
  KEDGE_CHECK(executor.tasks(slice.tasks(), Slice::run, &slice));
  if (slice.stopped.load()) return stopped_at(t);
  const std::int64_t bad = slice.not_finite.load(), large = slice.too_large.load();
  // Counted in the file, whatever rows were taken.
  if (bad != INT64_MAX)
    return not_finite(t, item.runs.source(first_row + bad / width) * width + bad % width, place_);
  if (large == INT64_MAX) return {};
  return fail(Code::numeric, t.name.c_str(), "row %lld has a value that %s cannot hold, in %s",
              static_cast<long long>(item.runs.source(first_row + large)), to_string(slice.target),
              place_);
}

}  // namespace kedge::inline KEDGE_ABI
