// A device that hands everything through and counts what is asked of it.
#pragma once

#include <memory>
#include <string_view>

#include "kedge/backend/accelerator.hpp"

namespace kedge::tests {

struct Counting {
  Allocator inner;
  std::int64_t calls = 0;

  Allocator allocator() {
    return {[](void* self, std::size_t bytes, std::size_t alignment) noexcept -> void* {
              auto& c = *static_cast<Counting*>(self);
              ++c.calls;
              return c.inner.allocate(c.inner.context, bytes, alignment);
            },
            [](void* self, void* memory, std::size_t bytes, std::size_t alignment) noexcept {
              auto& c = *static_cast<Counting*>(self);
              c.inner.deallocate(c.inner.context, memory, bytes, alignment);
            },
            this, nullptr};
  }
};

class CountedPlan final : public AcceleratorPlan {
 public:
  CountedPlan(std::unique_ptr<AcceleratorPlan> plan, std::int64_t& runs)
      : plan_(std::move(plan)), runs_(runs) {}
  Status run(std::int64_t rows, std::int64_t outputs,
             const std::atomic<bool>* cancel) noexcept override {
    ++runs_;
    return plan_->run(rows, outputs, cancel);
  }
  Result<std::uint64_t> submit(std::int64_t rows, std::int64_t outputs) noexcept override {
    ++runs_;
    return plan_->submit(rows, outputs);
  }
  Result<bool> poll(std::uint64_t ticket) noexcept override { return plan_->poll(ticket); }
  Status wait(std::uint64_t ticket) noexcept override { return plan_->wait(ticket); }
  Counts counts() const noexcept override { return plan_->counts(); }

 private:
  std::unique_ptr<AcceleratorPlan> plan_;
  std::int64_t& runs_;  // of the device, which outlives its plans
};

// Hands through to the device and counts what is asked of it.
class Counted final : public Accelerator {
 public:
  // Not readable: as a GPU whose memory the host sees through a bus at most.
  explicit Counted(std::shared_ptr<Accelerator> device, bool readable = true)
      : device_(std::move(device)), readable_(readable) {
    for (const DeviceMemory use : {DeviceMemory::weights, DeviceMemory::state,
                                   DeviceMemory::activations, DeviceMemory::shared})
      memory_[static_cast<unsigned>(use)].inner = device_->memory(use);
  }
  const char* name() const noexcept override { return device_->name(); }
  Allocator memory(DeviceMemory use) noexcept override {
    return memory_[static_cast<unsigned>(use)].allocator();
  }
  std::uint64_t max_allocation() const noexcept override { return device_->max_allocation(); }
  std::uint64_t max_tensor() const noexcept override { return device_->max_tensor(); }
  Status expect_room(std::uint64_t bytes, const char* purpose) noexcept override {
    return device_->expect_room(bytes, purpose);
  }
  Status write(std::byte* to, const void* from, std::size_t bytes) noexcept override {
    return device_->write(to, from, bytes);
  }
  bool readable(const std::byte* address) noexcept override {
    return readable_ && device_->readable(address);
  }
  bool has(const char* op) noexcept override { return device_->has(op); }
  Result<std::unique_ptr<AcceleratorPlan>> compile(std::span<const PlanNode> nodes,
                                                   const Shape& shape) noexcept override {
    KEDGE_TRY(std::unique_ptr<AcceleratorPlan> plan, device_->compile(nodes, shape));
    const bool copies =
        nodes.size() == 1 && std::string_view(nodes[0].table->name) == "place_columns";
    return std::unique_ptr<AcceleratorPlan>(
        std::make_unique<CountedPlan>(std::move(plan), copies ? copies_ : passes_));
  }
  // Runs of plans that only copy, and of all others.
  std::int64_t copies() const noexcept { return copies_; }
  std::int64_t passes() const noexcept { return passes_; }
  std::int64_t calls() const noexcept {
    std::int64_t sum = 0;
    for (const Counting& c : memory_) sum += c.calls;
    return sum;
  }

 private:
  std::shared_ptr<Accelerator> device_;
  bool readable_;
  Counting memory_[4];
  std::int64_t passes_ = 0, copies_ = 0;
};

}  // namespace kedge::tests
