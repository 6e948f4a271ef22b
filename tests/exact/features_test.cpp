// What a session hands to a drafter that reads hidden states: those of every committed position,
// once and in order, whatever was drafted, undone, rewound and extended, and the bytes that a plain
// pass over the text gives.
#include <gtest/gtest.h>

#include <cstring>

#include "exact/errors.hpp"
#include "exact/thicket.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {
namespace {

using Tokens = std::vector<std::int32_t>;
using Rows = std::vector<std::vector<float>>;
const std::vector<std::int32_t> taps = {1, tap_normed};

// Thicket, with a note of all that it is shown.
struct Reader : Thicket {
  std::shared_ptr<Rows> rows;
  bool fails = false;

  Status begin(std::span<const std::int32_t> tokens) {
    rows->clear();
    return Thicket::begin(tokens);
  }
  Status truncate(std::int64_t count) {
    if (static_cast<std::int64_t>(rows->size()) > count)
      rows->resize(static_cast<std::size_t>(count));
    return Thicket::truncate(count);
  }
  std::span<const std::int32_t> taps() const { return kedge::tests::taps; }
  Status evaluated(std::int64_t position, const Tensor& features) {
    if (fails) return fail(Code::device, "reader", "evaluated fails");
    EXPECT_LE(position, static_cast<std::int64_t>(rows->size())) << "a gap";
    rows->resize(static_cast<std::size_t>(position));
    for (std::int64_t r = 0; r < features.rows(); ++r)
      rows->emplace_back(features.row<float>(r), features.row<float>(r) + features.width());
    return {};
  }
  Status propose(const draft::Ask& ask, draft::Draft& draft) {
    EXPECT_GE(static_cast<std::int64_t>(rows->size()), size - 1);
    EXPECT_EQ(ask.position, size);
    if (ask.tree) return Thicket::propose(ask, draft);
    // Checkpoints take chains.
    for (std::int64_t i = 0; i < std::min<std::int64_t>(ask.count, 3); ++i)
      draft.push(size + i < static_cast<std::int64_t>(text->size())
                     ? (*text)[static_cast<std::size_t>(size + i)]
                     : 0);
    return {};
  }
};

Reader make_reader(const Tokens& text, const Model& model) {
  Reader reader;
  reader.text = &text;
  reader.vocabulary = static_cast<std::int32_t>(model.config().vocabulary);
  reader.seen = std::make_shared<Thicket::Seen>();
  reader.rows = std::make_shared<Rows>();
  return reader;
}

// Of a plain pass, one row at a time.
Rows plain_rows(const std::shared_ptr<const Model>& model, std::span<const std::int32_t> text,
                Session::Options options) {
  options.taps = taps;
  options.prefill_rows = 1;
  Rows rows;
  auto session = Session::create(model, options);
  EXPECT_TRUE(session) << show(session.error());
  for (const std::int32_t token : text) {
    EXPECT_TRUE(session->extend({&token, 1}));
    EXPECT_TRUE(session->rewind(session->length()));
    const Tensor f = session->forward().features();
    rows.emplace_back(f.row<float>(0), f.row<float>(0) + f.width());
    EXPECT_EQ(session->length(), static_cast<std::int64_t>(rows.size()) - 1);
  }
  return rows;
}

void expect_rows(const Rows& found, const Rows& expected, std::size_t count, const char* what) {
  ASSERT_GE(found.size(), count) << what;
  for (std::size_t i = 0; i < count; ++i)
    ASSERT_EQ(0, std::memcmp(found[i].data(), expected[i].data(), 4 * expected[i].size()))
        << what << ", position " << i;
}

Tokens plain_text(const std::shared_ptr<const Model>& model, std::int64_t prompt, std::size_t size,
                  const Session::Options& options) {
  auto session = Session::create(model, options);
  EXPECT_TRUE(session->begin(random_tokens(7, prompt, model->config().vocabulary)));
  while (session->text().size() < size) EXPECT_TRUE(session->round(1));
  return {session->text().begin(), session->text().end()};
}

void expect_features(const std::shared_ptr<const Model>& model, Session::Options options,
                     const char* what) {
  constexpr std::int64_t prompt = 40;
  const Tokens text = plain_text(model, prompt, 120, options);
  const Rows expected = plain_rows(model, text, options);
  options.taps = taps;
  options.prefill_rows = 16;
  auto session = Session::create(model, options);
  ASSERT_TRUE(session) << show(session.error());
  Reader reader = make_reader(text, *model);
  const std::shared_ptr<Rows> rows = reader.rows;
  session->set_drafter(*draft::AnyDrafter::make(reader));
  ASSERT_TRUE(session->begin(std::span(text).first(prompt)));
  expect_rows(*rows, expected, prompt, what);
  const auto go_on = [&](std::size_t size) {
    while (session->text().size() < size) {
      const auto round = session->round(static_cast<std::int64_t>(size - session->text().size()));
      ASSERT_TRUE(round) << what << ": " << show(round.error());
    }
    ASSERT_TRUE(std::equal(session->text().begin(), session->text().end(), text.begin())) << what;
    expect_rows(*rows, expected, session->text().size() - 1, what);
  };
  ASSERT_NO_FATAL_FAILURE(go_on(100));
  EXPECT_GT(session->stats().accepted, 10) << what;
  for (const std::int64_t size : {99, 90, 60, 41}) {
    ASSERT_TRUE(session->rewind(size));
    ASSERT_NO_FATAL_FAILURE(go_on(static_cast<std::size_t>(size) + 18));
  }
  // Another text, and this one again.
  ASSERT_TRUE(session->rewind(30));
  ASSERT_TRUE(session->extend(random_tokens(8, 20, model->config().vocabulary)));
  ASSERT_TRUE(session->rewind(25));
  ASSERT_TRUE(session->extend(std::span(text).subspan(25, 30)));
  ASSERT_NO_FATAL_FAILURE(go_on(120));
}

TEST(Features, OfEveryCommittedPosition) {
  const auto model = load_tiny(tiny_spec({Element::q4_0, "qwen3"}, 4));
  ASSERT_NE(model, nullptr);
  expect_features(model, {}, "qwen3");
}

TEST(Features, OfHybridsUnderEveryPolicy) {
  auto model = Model::load(KEDGE_GOLDEN_DIR "/hybrid/two.gguf", {});
  ASSERT_TRUE(model) << show(model.error());
  for (const RecurrentOptions::Choice choice :
       {RecurrentOptions::Choice::replay, RecurrentOptions::Choice::snapshots,
        RecurrentOptions::Choice::checkpoint}) {
    Session::Options options;
    options.recurrent.choice = choice;
    expect_features(*model, options, to_string(choice));
  }
}

TEST(Features, ADrafterMayComeLateButNotReadOthers) {
  const auto model = load_tiny(tiny_spec({Element::f32}, 4));
  const Tokens prompt = random_tokens(7, 10, model->config().vocabulary);
  const Tokens none;
  const auto reader = [&](bool fails) {
    Reader r = make_reader(none, *model);
    r.fails = fails;
    return *draft::AnyDrafter::make(std::move(r));
  };
  Session::Options options;
  options.taps = taps;
  auto session = Session::create(model, options);
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->begin(prompt));
  session->set_drafter(reader(false));
  ASSERT_TRUE(session->round(5));
  EXPECT_EQ(session->stats().rerun_rows, 10);
  ASSERT_TRUE(session->round(5));
  EXPECT_EQ(session->stats().rerun_rows, 10) << "once";
  // One that fails is a round's last error, never the text's.
  session->set_drafter(reader(true));
  EXPECT_TRUE(fails_with(session->begin(prompt), Code::device, {"reader", "evaluated"}));
  EXPECT_EQ(session->length(), 0);
  const std::vector<std::int32_t> other = {tap_normed, 1};
  options.taps = other;
  auto wrong = Session::create(model, options);
  wrong->set_drafter(reader(false));
  EXPECT_TRUE(
      fails_with(wrong->begin(prompt), Code::invalid_argument, {"thicket", "hidden states"}));
  EXPECT_EQ(wrong->length(), 0);
}

}  // namespace
}  // namespace kedge::tests
