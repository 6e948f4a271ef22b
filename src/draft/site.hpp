// Site: where a drafter's plans run and its memory lies, which is where its target is. Private to
// the compiled library.
#pragma once

#include "kedge/graph/plan.hpp"
#include "kedge/model/model.hpp"

namespace kedge::inline KEDGE_ABI::draft {

struct Site {
  const Cpu& cpu;
  Accelerator* device;  // null: the CPU
  const Allocator& allocator;

  Graph graph(std::int64_t rows, std::int64_t outputs) const noexcept {
    return Graph(rows, outputs,
                 device == nullptr ? Graph::Activations::rounded : Graph::Activations::floats);
  }
  Result<Plan> compile(const Graph& graph) const noexcept {
    return device == nullptr ? Plan::compile(graph, cpu, allocator)
                             : Plan::compile(graph, *device, allocator);
  }
  // Of caches and states (KvCache::Options::storage): none on the CPU.
  Allocator storage() const noexcept {
    return device == nullptr ? Allocator{} : device->memory(DeviceMemory::state);
  }
};

}  // namespace kedge::inline KEDGE_ABI::draft
