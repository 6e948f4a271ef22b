// Accelerator: what whole models need of a device that is not the CPU: memory that tensors may lie
// in, and plans that run a graph there. Graphs, models and sessions know this interface alone, so
// that they are ordinary code and need no device's headers; a backend implements it (Vulkan's is in
// kedge::vulkan) and finds the kernel of a node by its operator's name.
//
// Tensors keep addresses: a device hands out mapped memory, and finds the buffer and the offset
// that an address stands for when a plan is compiled. Nothing is looked up while a plan runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI {

struct OperatorTable;

// What memory of a device is for, which decides where it lies.
enum class DeviceMemory : std::uint8_t {
  weights,      // written once by the host, read by kernels
  state,        // written by kernels, at times by the host: caches and recurrent states
  activations,  // touched by kernels alone
  shared,       // small; written before or read after every pass by the host
};

constexpr const char* to_string(DeviceMemory use) noexcept {
  constexpr const char* names[] = {"weights", "state", "activations", "shared"};
  return names[static_cast<unsigned>(use)];
}

// Where parts of a device's memory begin: no Vulkan device may want more of a binding's offset.
constexpr std::size_t device_alignment = 256;

// A node of a graph with its arguments, which point into memory of the device and stay.
struct PlanNode {
  const OperatorTable* table = nullptr;
  void* args = nullptr;
  bool outputs = false;  // runs over the outputs instead of the rows
};

class KEDGE_API AcceleratorPlan {
 public:
  // Of the last run.
  struct Counts {
    std::int64_t dispatches = 0, barriers = 0, submissions = 0;
  };

  virtual ~AcceleratorPlan() = default;
  // Returns when the results can be read. Between submissions `cancel` is looked at: then
  // Code::cancelled, and what was computed is void.
  virtual Status run(std::int64_t rows, std::int64_t outputs,
                     const std::atomic<bool>* cancel) noexcept = 0;
  // The same without waiting: a ticket for poll() and wait(), which must say that it is done before
  // the plan runs again or anything that it uses is freed.
  virtual Result<std::uint64_t> submit(std::int64_t rows, std::int64_t outputs) noexcept = 0;
  virtual Result<bool> poll(std::uint64_t ticket) noexcept = 0;  // never blocks
  virtual Status wait(std::uint64_t ticket) noexcept = 0;
  virtual Counts counts() const noexcept = 0;
};

class KEDGE_API Accelerator {
 public:
  virtual ~Accelerator() = default;

  virtual const char* name() const noexcept = 0;
  // Memory taken from it keeps the device alive; parts of it begin at multiples of
  // device_alignment.
  virtual Allocator memory(DeviceMemory use) noexcept = 0;
  // The most that one allocation may have, and one tensor that a kernel writes or a state.
  virtual std::uint64_t max_allocation() const noexcept = 0;
  virtual std::uint64_t max_tensor() const noexcept = 0;
  // Code::out_of_memory with the bytes asked for, those that are free and the device's name, unless
  // so many can be had now. `purpose` is the place of the error.
  virtual Status expect_room(std::uint64_t bytes, const char* purpose) noexcept = 0;

  // Copies into memory of the device that no running plan uses, whether the host sees it or not.
  virtual Status write(std::byte* to, const void* from, std::size_t bytes) noexcept = 0;
  // Whether the host reads what plans wrote here as fast as its own memory. What it sees through a
  // window of a bus alone is copied by the device first, where it is wanted at all.
  virtual bool readable(const std::byte* /*address*/) noexcept { return false; }

  // Whether there is a kernel for an operator of this name.
  virtual bool has(const char* op) noexcept = 0;

  struct Shape {
    std::int64_t max_rows = 0, max_outputs = 0;
    // Row counts 1..ready_rows and all counts of outputs are made ready at once, others when they
    // are first run.
    std::int64_t ready_rows = 16;
  };
  // An operator without a kernel, or one that refuses its arguments, is an error that names it.
  virtual Result<std::unique_ptr<AcceleratorPlan>> compile(std::span<const PlanNode> nodes,
                                                           const Shape& shape) noexcept = 0;
};

}  // namespace kedge::inline KEDGE_ABI
