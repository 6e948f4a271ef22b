// A decode loop on Vulkan: after its first rounds the library asks neither operator new nor its
// allocator nor the device for memory. What the driver does inside of a submission with the C
// library's malloc is its own affair, so only the first two are counted, on the loop's thread.
#include <cstdlib>
#include <new>

#include "exact/counted_device.hpp"
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

// `need` of every row: whole logits are copied behind each pass, unless the host reads them there.
void expect_no_allocations(bool readable, Need need) {
  const auto device = std::make_shared<Counted>(vulkan_device(), readable);
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
  session->set_least_need(need);
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

TEST(VulkanAllocations, DecodeLoopMakesNone) {
  KEDGE_NEED_VULKAN_DEVICE();
  expect_no_allocations(true, Need::argmax);
}

TEST(VulkanAllocations, CopiedLogitsMakeNone) {
  KEDGE_NEED_VULKAN_DEVICE();
  expect_no_allocations(false, Need::logits);
}

}  // namespace
}  // namespace kedge::tests
