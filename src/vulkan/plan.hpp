// DevicePlan: a graph as recorded command buffers. Kernels are asked once per number of rows what
// they dispatch; what they record is replayed, so nothing that changes from pass to pass but the
// number of rows may be in it: positions, pages and the like are data that shaders read.
//   descriptor sets   written once; dispatches that bind the same share one, over all row counts
//   barriers          only where a dispatch touches what an earlier one wrote, or writes what one
//   read recordings        one per number of rows, and one per number of outputs submissions cut
//   where the estimated work of one would be too long
// A plan belongs to one thread at a time; the device's queue is shared by many.
#pragma once

#include <map>
#include <vector>

#include "device.hpp"
#include "kedge/graph/graph.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

class DevicePlan final : public AcceleratorPlan {
 public:
  static Result<std::unique_ptr<DevicePlan>> create(std::shared_ptr<Device> device,
                                                    std::span<const PlanNode> nodes,
                                                    const Accelerator::Shape& shape);
  explicit DevicePlan(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  DevicePlan(const DevicePlan&) = delete;
  ~DevicePlan() override;

  Status run(std::int64_t rows, std::int64_t outputs,
             const std::atomic<bool>* cancel) noexcept override;
  Result<std::uint64_t> submit(std::int64_t rows, std::int64_t outputs) noexcept override;
  Result<bool> poll(std::uint64_t ticket) noexcept override { return device_->poll(ticket); }
  Status wait(std::uint64_t ticket) noexcept override { return device_->wait(ticket); }
  Counts counts() const noexcept override { return counts_; }

 private:
  // Commands for one number of rows, in pieces that may be submitted apart.
  struct Recording {
    struct Piece {
      VkCommandBuffer commands;
      double ms;  // estimated
    };
    std::vector<Piece> pieces;
    std::int64_t dispatches = 0, barriers = 0;
  };
  struct Node {
    PlanNode node;
    const PlanKernel* kernel;
  };
  class Writer;

  // Submits all pieces, at most two submissions being under way where there is a flag to look at;
  // the ticket of the last one, 0 for none.
  Status begin(std::int64_t rows, std::int64_t outputs, const std::atomic<bool>* cancel,
               std::uint64_t& last);
  Status prewarm(std::span<const std::int64_t> rows, std::span<const std::int64_t> outputs);
  Status ready(std::int64_t rows, std::int64_t outputs);
  Status record(bool outputs, std::int64_t count, Recording& recording);
  Result<VkCommandBuffer> commands();
  Result<VkDescriptorSet> descriptor_set(const Pipeline& pipeline,
                                         std::span<const VkDescriptorBufferInfo> buffers);
  std::shared_ptr<Device> device_;
  std::vector<Node> nodes_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::vector<VkDescriptorPool> set_pools_;
  std::map<std::vector<std::uint64_t>, VkDescriptorSet> sets_;  // by layout and what is bound
  std::vector<Recording> rows_, outputs_;                       // by count - 1
  std::vector<VkCommandBuffer> batch_;                          // of one submission
  Counts counts_;
};

}  // namespace kedge::inline KEDGE_ABI::vulkan
