// What comes back from a device: of a greedy text the choices alone, and whole logits, with the
// bytes that the device made, for those who ask for them.
#include "exact/counted_device.hpp"
#include "exact/decode.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/io/source.hpp"
#include "support/vulkan_device.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t count = 40;

struct Case {
  std::shared_ptr<Counted> device;
  Session session;
  std::vector<std::int32_t> prompt;

  explicit Case(bool readable) : device(std::make_shared<Counted>(vulkan_device(), readable)) {
    const std::vector<std::byte> bytes = make_tiny(tiny_spec(Element::f32)).write();
    auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
    Model::Options where;
    where.accelerator = device;
    const auto model = Model::load(*file, where);
    Session::Options room;
    room.context = 96;
    room.max_draft = 4;
    room.prefill_rows = 16;
    auto made = Session::create(*model, room);
    EXPECT_TRUE(made) << show(made.error());
    session = *std::move(made);
    session.set_drafter(*draft::AnyDrafter::make(*draft::Lookup::create({})));
    prompt = random_tokens(9, 21, (*model)->config().vocabulary);
  }
  std::vector<std::int32_t> greedy() {
    EXPECT_TRUE(session.begin(prompt));
    while (std::ssize(session.text()) < std::ssize(prompt) + count)
      if (const auto round = session.round(4); !round) {
        ADD_FAILURE() << show(round.error());
        break;
      }
    return {session.text().begin(), session.text().begin() + std::ssize(prompt) + count};
  }
};

TEST(VulkanReadback, GreedyTextsNeedOnlyChoices) {
  KEDGE_NEED_VULKAN_DEVICE();
  Case slow(false), fast(true);
  const auto text = slow.greedy();
  EXPECT_EQ(text, fast.greedy());
  EXPECT_GT(slow.session.stats().proposed, 0);
  EXPECT_GT(slow.device->passes(), 0);
  EXPECT_EQ(slow.device->copies(), 0) << "logits of a greedy text came to the host";
}

TEST(VulkanReadback, CopiedLogitsHaveTheSameBytes) {
  KEDGE_NEED_VULKAN_DEVICE();
  Case slow(false), fast(true);
  const Decoded a = must_decode(slow.session, slow.prompt, count),
                b = must_decode(fast.session, fast.prompt, count);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_TRUE(same_bytes(a.logits, b.logits));
  // A pass for the prompt's first 16 tokens, whose logits nobody wants.
  EXPECT_EQ(slow.device->copies(), static_cast<std::int64_t>(a.rounds.size()) + 1);
  EXPECT_EQ(fast.device->copies(), 0);
}

// With a flag to look at, a pass is waited for before what stands behind it is submitted.
TEST(VulkanReadback, CopiesWithAFlagToLookAt) {
  KEDGE_NEED_VULKAN_DEVICE();
  Case flagged(false), plain(false);
  const std::atomic<bool> cancel{false};
  for (Case* c : {&flagged, &plain}) {
    c->session.set_least_need(Need::logits);
    ASSERT_TRUE(c->session.begin(c->prompt));
  }
  for (int i = 0; i < 5; ++i) {
    RoundOptions options;
    options.limit = 3;
    ASSERT_TRUE(plain.session.round(options));
    options.cancel = &cancel;
    ASSERT_TRUE(flagged.session.round(options));
    const auto a = flagged.session.forward().logits(0), b = plain.session.forward().logits(0);
    ASSERT_EQ(a.size(), b.size());
    ASSERT_FALSE(a.empty());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << "round " << i;
  }
  EXPECT_EQ(flagged.device->copies(), plain.device->copies());
}

}  // namespace
}  // namespace kedge::tests
