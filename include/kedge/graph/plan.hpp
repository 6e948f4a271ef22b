// Plan: a graph frozen for one backend. Values have their place in one arena, arguments point at
// it, and a phase waits for the ones before it only where one reads what another wrote. A plan made
// for 16 rows also runs 5.
#pragma once

#include <memory>
#include <vector>

#include "kedge/backend/accelerator.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/graph/graph.hpp"

namespace kedge::inline KEDGE_ABI {

class KEDGE_API Plan {
 public:
  static Result<Plan> compile(const Graph& graph, const Cpu& cpu,
                              const Allocator& allocator = default_allocator()) noexcept;

  // The same on another device: values lie in its memory, where the host finds only those that are
  // external. All that a node's tensors point to must lie there too.
  static Result<Plan> compile(const Graph& graph, Accelerator& accelerator,
                              const Allocator& allocator = default_allocator()) noexcept;

  // Bytes that the plan of this graph will take, without making it.
  static Result<std::size_t> bytes_needed(const Graph& graph, bool accelerator = false) noexcept;

  // Runs `rows` rows, the first `outputs` entries of the outputs' inputs being filled in. `cancel`
  // as in Cpu::run: afterwards the plan may run again, what it computed being void.
  Status run(std::int64_t rows, std::int64_t outputs,
             const std::atomic<bool>* cancel = nullptr) noexcept;

  // Where a value of the graph lives: inputs are written here before run(), outputs read after it.
  Tensor locate(Tensor value) const noexcept;

  std::size_t arena_bytes() const noexcept { return arena_.size() + shared_.size(); }
  std::size_t bytes() const noexcept { return arena_bytes() + args_.size(); }
  std::size_t phases() const noexcept { return phases_.size(); }
  std::size_t barriers() const noexcept;
  // Null on the CPU. It has submit(), for those who do other things while a pass runs.
  AcceleratorPlan* accelerated() const noexcept { return remote_.get(); }

 private:
  // Offsets of the values in the arena. On an accelerator external ones have an arena of their own.
  struct Places {
    std::vector<std::size_t> offset;
    std::size_t arena = 0, shared = 0;  // bytes
  };
  static Places lay_out(const Graph& graph, bool accelerator);
  static bool is_shared(const Graph& graph, std::size_t value, bool accelerator) noexcept;

  Cpu cpu_;
  Buffer arena_, shared_;
  Buffer args_;
  std::unique_ptr<AcceleratorPlan> remote_;
  std::vector<std::byte*> place_;   // by value id - 1
  std::vector<cpu::Phase> phases_;  // those over the rows, then those over the outputs
  std::size_t outputs_begin_ = 0;
  std::int64_t max_rows_ = 0, max_outputs_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI
