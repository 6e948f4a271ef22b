#include "plan.hpp"

#include <algorithm>
#include <cstring>

#include "collector.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

namespace {

constexpr std::uint32_t sets_per_pool = 256;

struct Range {
  std::uintptr_t begin, end;
};

// Memory touched since the last barrier.
class Hazards {
 public:
  bool conflicts(const Range& range, bool writes) const noexcept {
    return overlaps(written_, range) || (writes && overlaps(read_, range));
  }
  void note(const Range& range, bool writes) { (writes ? written_ : read_).push_back(range); }
  void clear() noexcept {
    read_.clear();
    written_.clear();
  }

 private:
  static bool overlaps(const std::vector<Range>& list, const Range& range) noexcept {
    return std::any_of(list.begin(), list.end(),
                       [&](const Range& r) { return r.begin < range.end && range.begin < r.end; });
  }
  std::vector<Range> read_, written_;
};

// What the tensors of a node are for, by where they lie.
struct Roles {
  struct Item {
    const std::byte* data;
    bool writes, constant;
  };
  std::vector<Item> items;

  explicit Roles(const PlanNode& node) {
    node.table->tensors(
        node.args,
        [](void* self, Tensor& t, op::Role role) {
          // Weights are no values of the graph, and nobody writes them.
          static_cast<Roles*>(self)->items.push_back(
              {t.data, role != op::Role::input, t.value == 0});
        },
        this);
  }
  bool writes(const std::byte* data) const noexcept {
    return std::any_of(items.begin(), items.end(),
                       [&](const Item& i) { return i.data == data && i.writes; });
  }
  bool constant(const std::byte* data) const noexcept {
    return std::any_of(items.begin(), items.end(),
                       [&](const Item& i) { return i.data == data && i.constant; });
  }
};

void memory_barrier(const Device& device, VkCommandBuffer commands, bool to_host) noexcept {
  VkMemoryBarrier memory{};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
  memory.dstAccessMask = to_host ? VkAccessFlags{VK_ACCESS_HOST_READ_BIT}
                                 : VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  device.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                            to_host ? VkPipelineStageFlags{VK_PIPELINE_STAGE_HOST_BIT}
                                    : VkPipelineStageFlags{VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT},
                            0, 1, &memory, 0, nullptr, 0, nullptr);
}

// Loop iterations of all invocations.
double work_of(const Dispatch& d) noexcept {
  const double groups = double{1} * d.groups[0] * d.groups[1] * d.groups[2];
  return groups * d.constant[0] * static_cast<double>(std::max<std::uint64_t>(d.loops, 1));
}

}  // namespace

// Takes what the kernel of one node dispatches into the recording.
class DevicePlan::Writer final : public Recorder {
 public:
  Writer(DevicePlan& plan, Recording& recording) : plan_(plan), recording_(recording) {}

  const Limits& limits() const noexcept override { return plan_.device_->limits; }

  void begin_node(const Node& node, Roles&& roles) {
    op_ = node.kernel->op;
    roles_ = std::move(roles);
  }

  Status dispatch(const Dispatch& d) noexcept override {
    return guarded(op_, [&] { return append(d); });
  }

  Status finish() {
    if (commands_ == VK_NULL_HANDLE) return {};
    // For the host; what the next piece waits for is at its beginning.
    memory_barrier(*plan_.device_, commands_, true);
    return close();
  }

 private:
  Status append(const Dispatch& d) {
    Device& device = *plan_.device_;
    KEDGE_CHECK(expect_dispatch(device.limits, op_, d));
    const double ms = work_of(d) / device.iterations_per_ms;
    if (commands_ != VK_NULL_HANDLE && device.submission_ms > 0 &&
        recording_.pieces.back().ms + ms > device.submission_ms)
      KEDGE_CHECK(close());
    if (commands_ == VK_NULL_HANDLE) KEDGE_CHECK(open());

    VkDescriptorBufferInfo buffers[Dispatch::max_bindings] = {};
    Range ranges[Dispatch::max_bindings] = {};
    bool writes[Dispatch::max_bindings] = {}, barrier = false;
    for (std::uint32_t i = 0; i < d.bindings; ++i) {
      const Binding& b = d.binding[i];
      if (b.tensor.empty()) {
        buffers[i] = {device.absent->buffer, 0, VK_WHOLE_SIZE};
        continue;
      }
      KEDGE_TRY(buffers[i], locate(i, b));
      if (roles_.constant(b.tensor.data)) continue;
      const auto begin = reinterpret_cast<std::uintptr_t>(b.tensor.data) + b.offset;
      ranges[i] = {begin, begin + buffers[i].range};
      writes[i] = roles_.writes(b.tensor.data);
      barrier = barrier || hazards_.conflicts(ranges[i], writes[i]);
    }
    KEDGE_TRY(const Pipeline pipeline, device.pipeline(d));
    KEDGE_TRY(const VkDescriptorSet set, plan_.descriptor_set(pipeline, {buffers, d.bindings}));
    if (barrier) {
      memory_barrier(device, commands_, false);
      hazards_.clear();
      ++recording_.barriers;
    }
    for (std::uint32_t i = 0; i < d.bindings; ++i)
      if (ranges[i].begin != ranges[i].end) hazards_.note(ranges[i], writes[i]);

    if (pipeline.pipeline != bound_)
      device.CmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
    bound_ = pipeline.pipeline;
    device.CmdBindDescriptorSets(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1,
                                 &set, 0, nullptr);
    if (d.push_bytes != 0)
      device.CmdPushConstants(commands_, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                              d.push_bytes, d.push);
    device.CmdDispatch(commands_, d.groups[0], d.groups[1], d.groups[2]);
    recording_.pieces.back().ms += ms;
    ++recording_.dispatches;
    return {};
  }

  Result<VkDescriptorBufferInfo> locate(std::uint32_t index, const Binding& b) const noexcept {
    const Limits& limits = plan_.device_->limits;
    const Location at = plan_.device_->find(b.tensor.data + b.offset);
    if (at.buffer == VK_NULL_HANDLE)
      return fail(Code::invalid_argument, op_, "binding %u lies in no memory of %s", index,
                  plan_.device_->info.name);
    if (at.offset % limits.binding_alignment != 0)
      return fail(Code::unsupported, op_, "binding %u begins at byte %llu, not a multiple of %u",
                  index, static_cast<unsigned long long>(at.offset), limits.binding_alignment);
    // A layer of a cache reaches past the pool's end by what lies before it, which nobody touches.
    return VkDescriptorBufferInfo{at.buffer, at.offset, std::min(b.bytes, at.left)};
  }

  Status open() {
    KEDGE_TRY(commands_, plan_.commands());
    recording_.pieces.push_back({commands_, 0});
    // Everything that earlier submissions wrote.
    memory_barrier(*plan_.device_, commands_, false);
    return {};
  }
  Status close() {
    const VkResult result = plan_.device_->EndCommandBuffer(commands_);
    commands_ = VK_NULL_HANDLE;
    bound_ = VK_NULL_HANDLE;
    hazards_.clear();
    if (result != VK_SUCCESS) return plan_.device_->refuse("vkEndCommandBuffer", result);
    return {};
  }

  DevicePlan& plan_;
  Recording& recording_;
  const char* op_ = "plan";
  Roles roles_{PlanNode{&no_operator, nullptr, false}};
  Hazards hazards_;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkPipeline bound_ = VK_NULL_HANDLE;

  static constexpr OperatorTable no_operator = {
      "", 0, [](void*, void (*)(void*, Tensor&, op::Role), void*) {}, nullptr};
};

Status expect_dispatch(const Limits& limits, const char* op, const Dispatch& d) noexcept {
  if (d.loops > limits.max_loop)
    return fail(Code::unsupported, op, "%s: %llu loop iterations, this driver stops at %u",
                d.shader->name, static_cast<unsigned long long>(d.loops), limits.max_loop);
  for (std::uint32_t i = 0; i < d.bindings; ++i) {
    const Binding& b = d.binding[i];
    if (b.bytes > limits.max_binding_bytes || b.offset % limits.binding_alignment != 0)
      return fail(
          Code::unsupported, op,
          "binding %u: %llu bytes at %llu; the device binds %llu at multiples of %u", i,
          static_cast<unsigned long long>(b.bytes), static_cast<unsigned long long>(b.offset),
          static_cast<unsigned long long>(limits.max_binding_bytes), limits.binding_alignment);
  }
  return {};
}

Status DevicePlan::prewarm(std::span<const std::int64_t> rows,
                           std::span<const std::int64_t> outputs) {
  if (!device_->has_workers()) return {};
  Collector all(device_->limits);
  for (const Node& n : nodes_)
    for (const std::int64_t count : n.node.outputs ? outputs : rows)
      KEDGE_CHECK(n.kernel->record(n.node.args, count, all));
  return device_->prewarm(all.items);
}

Result<std::unique_ptr<DevicePlan>> DevicePlan::create(std::shared_ptr<Device> device,
                                                       std::span<const PlanNode> nodes,
                                                       const Accelerator::Shape& shape) {
  auto plan = std::make_unique<DevicePlan>(std::move(device));
  Device& d = *plan->device_;
  const std::lock_guard lock(d.mutex);
  KEDGE_CHECK(d.usable());
  KEDGE_CHECK(d.self_test(nodes));
  for (const PlanNode& node : nodes) {
    const PlanKernel* kernel = d.kernel(node.table->name);
    if (kernel == nullptr)
      return fail(Code::unsupported, node.table->name, "%s has no kernel for this operator",
                  d.info.name);
    plan->nodes_.push_back({node, kernel});
  }
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = d.family();
  const VkResult result = d.CreateCommandPool(d.handle, &pool, nullptr, &plan->pool_);
  if (result != VK_SUCCESS) return d.refuse("vkCreateCommandPool", result);

  plan->rows_.resize(static_cast<std::size_t>(shape.max_rows));
  plan->outputs_.resize(static_cast<std::size_t>(shape.max_outputs));
  // All rows too: what the kernels refuse about prompts is found now.
  std::vector<std::int64_t> rows{shape.max_rows}, outputs;
  for (std::int64_t n = 1; n <= std::min(shape.ready_rows, shape.max_rows); ++n) rows.push_back(n);
  for (std::int64_t n = 1; n <= shape.max_outputs; ++n) outputs.push_back(n);
  KEDGE_CHECK(plan->prewarm(rows, outputs));
  for (const std::int64_t n : rows) KEDGE_CHECK(plan->ready(n, 0));
  for (const std::int64_t n : outputs) KEDGE_CHECK(plan->ready(0, n));
  return plan;
}

DevicePlan::~DevicePlan() {
  Device& d = *device_;
  const std::lock_guard lock(d.mutex);
  // Nothing is pending: run() waits.
  for (const VkDescriptorPool pool : set_pools_) d.DestroyDescriptorPool(d.handle, pool, nullptr);
  if (pool_ != VK_NULL_HANDLE) d.DestroyCommandPool(d.handle, pool_, nullptr);
}

Result<VkCommandBuffer> DevicePlan::commands() {
  VkCommandBufferAllocateInfo allocate{};
  allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  allocate.commandPool = pool_;
  allocate.commandBufferCount = 1;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkResult result = device_->AllocateCommandBuffers(device_->handle, &allocate, &commands);
  if (result != VK_SUCCESS) return device_->refuse("vkAllocateCommandBuffers", result);
  VkCommandBufferBeginInfo begin{};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  result = device_->BeginCommandBuffer(commands, &begin);
  if (result != VK_SUCCESS) return device_->refuse("vkBeginCommandBuffer", result);
  return commands;
}

Result<VkDescriptorSet> DevicePlan::descriptor_set(
    const Pipeline& pipeline, std::span<const VkDescriptorBufferInfo> buffers) {
  std::vector<std::uint64_t> key{reinterpret_cast<std::uint64_t>(pipeline.set)};
  for (const VkDescriptorBufferInfo& b : buffers)
    key.insert(key.end(), {reinterpret_cast<std::uint64_t>(b.buffer), b.offset, b.range});
  if (const auto found = sets_.find(key); found != sets_.end()) return found->second;

  if (sets_.size() == set_pools_.size() * sets_per_pool) {
    VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                              sets_per_pool * Dispatch::max_bindings};
    VkDescriptorPoolCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    create.maxSets = sets_per_pool;
    create.poolSizeCount = 1;
    create.pPoolSizes = &size;
    set_pools_.reserve(set_pools_.size() + 1);
    VkDescriptorPool pool = VK_NULL_HANDLE;
    const VkResult result = device_->CreateDescriptorPool(device_->handle, &create, nullptr, &pool);
    if (result != VK_SUCCESS) return device_->refuse("vkCreateDescriptorPool", result);
    set_pools_.push_back(pool);
  }
  VkDescriptorSetAllocateInfo allocate{};
  allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  allocate.descriptorPool = set_pools_.back();
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &pipeline.set;
  VkDescriptorSet& set = sets_[std::move(key)];
  const VkResult result = device_->AllocateDescriptorSets(device_->handle, &allocate, &set);
  if (result != VK_SUCCESS) return device_->refuse("vkAllocateDescriptorSets", result);
  VkWriteDescriptorSet writes[Dispatch::max_bindings] = {};
  for (std::uint32_t i = 0; i < buffers.size(); ++i) {
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = set;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  device_->UpdateDescriptorSets(device_->handle, static_cast<std::uint32_t>(buffers.size()), writes,
                                0, nullptr);
  return set;
}

Status DevicePlan::record(bool outputs, std::int64_t count, Recording& recording) {
  Recording made;
  Writer writer(*this, made);
  for (const Node& n : nodes_) {
    if (n.node.outputs != outputs) continue;
    writer.begin_node(n, Roles(n.node));
    KEDGE_CHECK(n.kernel->record(n.node.args, count, writer));
  }
  KEDGE_CHECK(writer.finish());
  recording = std::move(made);
  return {};
}

// Makes sure that there are commands for these counts, under the device's lock.
Status DevicePlan::ready(std::int64_t rows, std::int64_t outputs) {
  const auto make = [&](bool part, std::vector<Recording>& list, std::int64_t count) -> Status {
    if (count == 0) return {};
    Recording& recording = list[static_cast<std::size_t>(count - 1)];
    if (!recording.pieces.empty()) return {};
    KEDGE_CHECK(record(part, count, recording));
    if (batch_.capacity() < recording.pieces.size() * 2)
      batch_.reserve(recording.pieces.size() * 4);
    return {};
  };
  KEDGE_CHECK(make(false, rows_, rows));
  return make(true, outputs_, outputs);
}

Status DevicePlan::begin(std::int64_t rows, std::int64_t outputs, const std::atomic<bool>* cancel,
                         std::uint64_t& last) {
  Device& d = *device_;
  {
    const std::lock_guard lock(d.mutex);
    KEDGE_CHECK(ready(rows, outputs));
  }
  counts_ = {};
  std::uint64_t before = 0;
  double ms = 0;
  batch_.clear();
  const auto flush = [&]() -> Status {
    if (batch_.empty()) return {};
    if (cancel != nullptr) {
      if (before != 0) KEDGE_CHECK(d.wait(before));
      if (cancel->load(std::memory_order_relaxed))
        return fail(Code::cancelled, "plan", "stopped between two submissions");
    }
    before = last;
    const std::lock_guard lock(d.mutex);
    KEDGE_TRY(last, d.submit(batch_));
    ++counts_.submissions;
    batch_.clear();
    ms = 0;
    return {};
  };
  const auto add = [&](const Recording& recording) -> Status {
    counts_.dispatches += recording.dispatches;
    counts_.barriers += recording.barriers;
    for (const Recording::Piece& piece : recording.pieces) {
      if (d.submission_ms > 0 && ms + piece.ms > d.submission_ms) KEDGE_CHECK(flush());
      batch_.push_back(piece.commands);
      ms += piece.ms;
    }
    return {};
  };
  if (rows > 0) KEDGE_CHECK(add(rows_[static_cast<std::size_t>(rows - 1)]));
  if (outputs > 0) KEDGE_CHECK(add(outputs_[static_cast<std::size_t>(outputs - 1)]));
  return flush();
}

Status DevicePlan::run(std::int64_t rows, std::int64_t outputs,
                       const std::atomic<bool>* cancel) noexcept {
  return guarded("plan", [&]() -> Status {
    std::uint64_t last = 0;
    Status status = begin(rows, outputs, cancel, last);
    // What was submitted uses memory that the caller may free, so it is waited for in any case.
    if (last != 0)
      if (const Status waited = device_->wait(last); !waited && status) status = waited;
    return status;
  });
}

Result<std::uint64_t> DevicePlan::submit(std::int64_t rows, std::int64_t outputs) noexcept {
  return guarded("plan", [&]() -> Result<std::uint64_t> {
    if (rows < 0 || rows > std::ssize(rows_) || outputs < 0 || outputs > std::ssize(outputs_))
      return fail(Code::invalid_argument, "plan",
                  "expected at most %zu rows and %zu outputs, found %lld and %lld", rows_.size(),
                  outputs_.size(), static_cast<long long>(rows), static_cast<long long>(outputs));
    std::uint64_t last = 0;
    const Status status = begin(rows, outputs, nullptr, last);
    if (status) return last;
    if (last != 0)
      if (const Status waited = device_->wait(last); !waited) return unexpected(waited.error());
    return unexpected(status.error());
  });
}

Result<std::unique_ptr<AcceleratorPlan>> Device::compile(std::span<const PlanNode> nodes,
                                                         const Shape& shape) noexcept {
  return guarded(info.name, [&]() -> Result<std::unique_ptr<AcceleratorPlan>> {
    KEDGE_TRY(std::unique_ptr<DevicePlan> plan,
              DevicePlan::create(weak_from_this().lock(), nodes, shape));
    return std::unique_ptr<AcceleratorPlan>(std::move(plan));
  });
}

Status Device::add_kernel(const PlanKernel& kernel) {
  kernels_.push_back(kernel);
  return {};
}

const PlanKernel* Device::kernel(const char* op) const noexcept {
  for (auto it = kernels_.rbegin(); it != kernels_.rend(); ++it)
    if (std::strcmp(it->op, op) == 0) return &*it;
  for (const PlanKernel& kernel : built_in_kernels())
    if (std::strcmp(kernel.op, op) == 0) return &kernel;
  return nullptr;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
