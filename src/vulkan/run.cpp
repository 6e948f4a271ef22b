#include "run.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

namespace {

// Takes a kernel's dispatches down and refuses those that the device would refuse, or worse,
// accept.
class List final : public Recorder {
 public:
  List(const Limits& limits, const char* op) : limits_(limits), op_(op) {}
  const Limits& limits() const noexcept override { return limits_; }

  Status dispatch(const Dispatch& d) noexcept override {
    KEDGE_CHECK(expect_dispatch(limits_, op_, d));
    return guarded(op_, [&]() -> Status {
      items.push_back(d);
      return {};
    });
  }

  std::vector<Dispatch> items;

 private:
  const Limits& limits_;
  const char* op_;
};

// Device buffers of a call: one per distinct memory, so that an output may be an input, too.
struct Mirror {
  struct Item {
    const char* name;
    std::byte* data;
    std::uint64_t bytes;
    bool out;
    std::unique_ptr<Memory> memory;
  };
  std::vector<Item> items;

  Status add(const char* op, const Arguments::Item& argument) {
    const std::uint64_t bytes = argument.bytes;
    const bool out = argument.role != op::Role::input && argument.role != op::Role::scratch;
    if (argument.tensor.data == nullptr)
      return fail(Code::invalid_argument, op, "argument %s has no memory", argument.name);
    for (Item& item : items) {
      std::byte* const begin = argument.tensor.data;
      if (begin == item.data && bytes == item.bytes) {
        item.out |= out;
        return {};
      }
      if (begin < item.data + item.bytes && item.data < begin + bytes)
        return fail(Code::unsupported, op, "arguments %s and %s overlap in part", item.name,
                    argument.name);
    }
    items.push_back({argument.name, argument.tensor.data, bytes, out, std::make_unique<Memory>()});
    return {};
  }
  const Memory* find(const Tensor& tensor) const noexcept {
    for (const Item& item : items)
      if (item.data == tensor.data) return item.memory.get();
    return nullptr;
  }
};

constexpr std::uint64_t whole(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

// Descriptor sets of one submission.
struct Pool {
  Device& device;
  VkDescriptorPool pool = VK_NULL_HANDLE;
  ~Pool() {
    if (pool != VK_NULL_HANDLE) device.DestroyDescriptorPool(device.handle, pool, nullptr);
  }
};

Result<VkDescriptorSet> bind(Device& device, Pool& pool, const Pipeline& pipeline, const char* op,
                             const Dispatch& d, const Mirror& mirror) noexcept {
  VkDescriptorSetAllocateInfo allocate{};
  allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  allocate.descriptorPool = pool.pool;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &pipeline.set;
  VkDescriptorSet set = VK_NULL_HANDLE;
  const VkResult result = device.AllocateDescriptorSets(device.handle, &allocate, &set);
  if (result != VK_SUCCESS) return device.refuse("vkAllocateDescriptorSets", result);
  VkDescriptorBufferInfo buffers[Dispatch::max_bindings] = {};
  VkWriteDescriptorSet writes[Dispatch::max_bindings] = {};
  for (std::uint32_t i = 0; i < d.bindings; ++i) {
    const Binding& b = d.binding[i];
    if (b.tensor.empty()) {
      buffers[i] = {device.absent->buffer, 0, VK_WHOLE_SIZE};
    } else {
      const Memory* memory = mirror.find(b.tensor);
      if (memory == nullptr || b.offset + b.bytes > whole(memory->size))
        return fail(Code::invalid_argument, op, "%s: binding %u is no argument of the operator",
                    d.shader->name, i);
      buffers[i] = {memory->buffer, b.offset, b.bytes};
    }
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = set;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  device.UpdateDescriptorSets(device.handle, d.bindings, writes, 0, nullptr);
  return set;
}

Status execute(Device& device, const char* op, const List& list, const Mirror& mirror) {
  Pool pool{device};
  std::uint32_t buffers = 0;
  for (const Dispatch& d : list.items) buffers += d.bindings;
  VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, buffers};
  VkDescriptorPoolCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  create.maxSets = static_cast<std::uint32_t>(list.items.size());
  create.poolSizeCount = 1;
  create.pPoolSizes = &size;
  const VkResult result = device.CreateDescriptorPool(device.handle, &create, nullptr, &pool.pool);
  if (result != VK_SUCCESS) return device.refuse("vkCreateDescriptorPool", result);

  struct Ready {
    Pipeline pipeline;
    VkDescriptorSet set;
  };
  std::vector<Ready> ready;
  for (const Dispatch& d : list.items) {
    KEDGE_TRY(const Pipeline pipeline, device.pipeline(d));
    KEDGE_TRY(const VkDescriptorSet set, bind(device, pool, pipeline, op, d, mirror));
    ready.push_back({pipeline, set});
  }
  KEDGE_TRY(VkCommandBuffer commands, device.begin());
  for (std::size_t i = 0; i < ready.size(); ++i) {
    const Dispatch& d = list.items[i];
    const auto& [pipeline, set] = ready[i];
    device.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
    device.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1,
                                 &set, 0, nullptr);
    if (d.push_bytes != 0)
      device.CmdPushConstants(commands, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                              d.push_bytes, d.push);
    device.CmdDispatch(commands, d.groups[0], d.groups[1], d.groups[2]);
    device.barrier(commands);
  }
  return device.submit_and_wait(commands);
}

}  // namespace

Status run_operator(Device& device, const char* op, const Arguments& arguments, RecordBody record,
                    const void* args, std::int64_t rows) {
  if (arguments.dropped != 0)
    return fail(Code::unsupported, op, "%d tensors, at most %d can be bound",
                arguments.count + arguments.dropped, Arguments::max);
  KEDGE_CHECK(device.usable());
  List list(device.limits, op);
  KEDGE_CHECK(record(args, rows, list));
  if (list.items.empty()) return {};

  Mirror mirror;
  for (int i = 0; i < arguments.count; ++i) KEDGE_CHECK(mirror.add(op, arguments.item[i]));
  for (Mirror::Item& item : mirror.items) {
    KEDGE_CHECK(device.allocate(item.bytes, item.name, Device::Place::device, *item.memory));
    // Outputs, too: rows beyond `rows` keep what they hold.
    KEDGE_CHECK(device.upload(*item.memory, item.data, item.bytes, 0));
  }
  KEDGE_CHECK(execute(device, op, list, mirror));
  for (const Mirror::Item& item : mirror.items)
    if (item.out) KEDGE_CHECK(device.readback(*item.memory, item.data, item.bytes, 0));
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
