// Slice: some panels of a matrix on their way from a file's rows into their packed form: checked,
// quantized where the element changes, packed. A task is a part that one worker does. Private to
// the compiled library.
#pragma once

#include <atomic>
#include <cstdint>

#include "kedge/model/model.hpp"

namespace kedge::inline KEDGE_ABI {

struct Slice {
  Tensor rows;     // as stored, `first_panel` on
  Element target;  // of the packed matrix
  // Panels of the whole packed matrix; rows of this slice alone, if they are not as in the file.
  Layout layout;
  std::byte* packed;
  std::int64_t first_panel, panels, panels_per_task;
  std::byte* scratch;  // scratch_bytes() per task, when the element changes
  bool check;
  const std::atomic<bool>* cancel;  // may be null; once seen, the slice is left as it is
  std::atomic<bool> stopped{false};
  // The lowest value that is not finite and the lowest row that the target cannot hold, counted in
  // the slice: what is reported does not depend on which worker was first.
  std::atomic<std::int64_t> not_finite{INT64_MAX}, too_large{INT64_MAX};

  // What a task needs to quantize: a row of F32 and a panel's rows in their new format.
  static std::size_t scratch_bytes(Element target, std::int64_t width) noexcept;
  std::size_t tasks() const noexcept {
    return static_cast<std::size_t>((panels + panels_per_task - 1) / panels_per_task);
  }
  static void run(void* slice, std::size_t task) noexcept;  // an Executor::TaskBody

 private:
  bool cancelled() noexcept {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) stopped = true;
    return stopped.load(std::memory_order_relaxed);
  }
  bool check_rows(std::int64_t first, std::int64_t count) noexcept;
  void quantize_panels(std::byte* memory, std::int64_t first, std::int64_t count) noexcept;
};

}  // namespace kedge::inline KEDGE_ABI
