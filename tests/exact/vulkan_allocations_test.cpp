// A decode loop on Vulkan: after its first rounds the library asks neither operator new nor its
// allocator nor the device for memory. What the driver does inside of a submission with the C
// library's malloc is its own affair, so only the first two are counted, on the loop's thread.
#include <cstdlib>
#include <new>

#include "exact/tiny_model.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/io/source.hpp"
#include "kedge/spec/session.hpp"
#include "support/vulkan_device.hpp"

namespace {
thread_local std::int64_t news = 0;
}

// All other forms of new call these two.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++news;
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace kedge::tests {
namespace {

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

// Hands through to the device and counts what is asked of it.
class Counted final : public Accelerator {
 public:
  explicit Counted(std::shared_ptr<Accelerator> device) : device_(std::move(device)) {
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
  bool has(const char* op) noexcept override { return device_->has(op); }
  Result<std::unique_ptr<AcceleratorPlan>> compile(std::span<const PlanNode> nodes,
                                                   const Shape& shape) noexcept override {
    return device_->compile(nodes, shape);
  }
  std::int64_t calls() const noexcept {
    std::int64_t sum = 0;
    for (const Counting& c : memory_) sum += c.calls;
    return sum;
  }

 private:
  std::shared_ptr<Accelerator> device_;
  Counting memory_[4];
};

TEST(VulkanAllocations, DecodeLoopMakesNone) {
  KEDGE_NEED_VULKAN_DEVICE();
  const auto device = std::make_shared<Counted>(vulkan_device());
  const std::vector<std::byte> bytes = make_tiny(tiny_spec(Element::f32)).write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  Model::Options where;
  where.accelerator = device;
  const auto model = Model::load(*file, where);
  ASSERT_TRUE(model);
  Counting host{default_allocator()};
  Session::Options room;
  room.context = 128;
  room.max_draft = 4;
  room.prefill_rows = 16;
  room.allocator = host.allocator();
  auto session = Session::create(*model, room);
  ASSERT_TRUE(session);
  auto lookup = draft::Lookup::create({});
  ASSERT_TRUE(lookup);
  session->set_drafter(*draft::AnyDrafter::make(*std::move(lookup)));
  ASSERT_TRUE(session->begin(random_tokens(9, 21, (*model)->config().vocabulary)));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(session->round(4));
  EXPECT_GT(news, 0);
  EXPECT_GT(host.calls, 0);
  EXPECT_GT(device->calls(), 0);
  const std::int64_t before[] = {news, host.calls, device->calls()};
  bool ok = true;
  int rounds = 0;
  while (ok && session->text().size() < 110) ok = session->round(5).has_value(), ++rounds;
  const std::int64_t after[] = {news, host.calls, device->calls()};
  EXPECT_TRUE(ok);
  EXPECT_GT(rounds, 5);
  EXPECT_EQ(after[0], before[0]) << "operator new";
  EXPECT_EQ(after[1], before[1]) << "the host's allocator";
  EXPECT_EQ(after[2], before[2]) << "memory of the device";
}

}  // namespace
}  // namespace kedge::tests
