// What gated_delta and conv_state refuse, and that their messages name the numbers.
#include <gtest/gtest.h>

#include "cases/conv_state.hpp"
#include "cases/gated_delta.hpp"
#include "support/operator_call.hpp"

namespace kedge::tests {
namespace {

// `change` spoils arguments that are right; the message must hold every one of `words`.
template <class Op, class Make, class Change>
void expect_refusal(Make make, Change change, const std::vector<std::string>& words) {
  cases::Workspace w(1);
  typename Op::Args a = make(w);
  ASSERT_TRUE(Op::infer(a));
  const Status right = Op::check(a);
  ASSERT_TRUE(right) << right.error().reason;
  const Status right_tables = Op::check_tables(a, a.x.rows());
  ASSERT_TRUE(right_tables) << right_tables.error().reason;
  change(a);
  Status status = Op::check(a);
  if (status) status = Op::check_tables(a, a.x.rows());
  ASSERT_FALSE(status) << "accepted: " << words[0];
  EXPECT_STREQ(status.error().place, Op::name);
  for (const std::string& word : words)
    EXPECT_NE(std::string(status.error().reason).find(word), std::string::npos)
        << "'" << status.error().reason << "' does not have '" << word << "'";
}

TEST(RecurrentErrors, GatedDelta) {
  using Op = op::GatedDelta;
  using Args = Op::Args;
  const auto make = [](cases::Workspace& w) {
    return cases::delta_args(w, {"", 2, 4, 24, 40, false, false, false, cases::Keep::replay}, 5);
  };
  const auto refuse = [&](auto change, std::vector<std::string> words) {
    expect_refusal<Op>(make, change, words);
  };
  const auto run = [](Args& a) -> op::RecurrentRun& { return op::recurrent_run(a.runs, 0); };
  refuse([](Args& a) { a.value_heads = 5; }, {"value_heads", "2", "5"});
  refuse([](Args& a) { a.key_heads = 0; }, {"key_heads 0", "4"});
  refuse([](Args& a) { a.key_dim = 257; }, {"256", "257", "40"});
  refuse([](Args& a) { a.value_dim = 0; }, {"256", "24", "0"});
  refuse([](Args& a) { a.x.extent[1] -= 1; }, {"x: expected 5 x 256", "5 x 255"});
  refuse([](Args& a) { a.decay.extent[1] = 7; }, {"decay", "5 x 4", "96", "5 x 7"});
  refuse([](Args& a) { a.beta.extent[1] = 3; }, {"beta: expected 5 x 4", "5 x 3"});
  refuse([](Args& a) { a.state.extent[1] = 3839; }, {"state", "3840", "3839"});
  refuse([](Args& a) { a.records.extent[1] = 211; }, {"records", "212", "211"});
  refuse([](Args& a) { a.record_slots = 13; }, {"record_slots 13", "67"});
  refuse([](Args& a) { a.y.element = Element::f16; }, {"y: expected f32", "f16"});
  refuse([](Args& a) { a.steps.extent[0] = 4; }, {"steps: expected 5 x 4", "4 x 4"});
  refuse([](Args& a) { a.runs.extent[1] = 8; }, {"runs", "12", "8"});
  refuse([](Args& a) { a.l2_eps = -1; }, {"l2_eps", "-1"});
  refuse([](Args& a) { a.runs.as<op::RecurrentHeader>()->count = 6; }, {"count", "6"});
  refuse([&](Args& a) { run(a).rows = 6; }, {"run 0", "0..5", "below 5"});
  refuse([&](Args& a) { run(a).plane = 2; }, {"plane of run 0", "found 2", "less than 2"});
  refuse([&](Args& a) { run(a).base_plane = 9; }, {"base_plane of run 0", "9", "2"});
  refuse([&](Args& a) { run(a).base_after = 6; }, {"base_after of run 0", "6"});
  refuse([&](Args& a) { run(a).replay = 68; }, {"replay of run 0", "68"});
  refuse([&](Args& a) { run(a).record = 67; }, {"record of run 0", "67"});
  refuse([](Args& a) { op::recurrent_step(a.steps, 3).parent = 3; }, {"row 3", "parent 3"});
  refuse([](Args& a) { op::recurrent_step(a.steps, 3).plane = 2; }, {"plane of row 3", "2"});
  refuse([](Args& a) { op::recurrent_step(a.steps, 3).record = 67; }, {"record of row 3", "67"});
  refuse(
      [](Args& a) {
        op::recurrent_step(a.steps, 3).parent = 1;
        op::recurrent_step(a.steps, 1).record = -1;
      },
      {"row 3", "row 1", "neither"});
}

TEST(RecurrentErrors, ConvState) {
  using Op = op::ConvState;
  using Args = Op::Args;
  const auto make = [](cases::Workspace& w) {
    return cases::conv_args(w, {"", 48, 4, 3, true}, 5);
  };
  const auto refuse = [&](auto change, std::vector<std::string> words) {
    expect_refusal<Op>(make, change, words);
  };
  const auto run = [](Args& a) -> op::RecurrentRun& { return op::recurrent_run(a.runs, 0); };
  refuse([](Args& a) { a.weight.extent[0] = 9; }, {"2 to 8", "9"});
  refuse([](Args& a) { a.weight.extent[0] = 1; }, {"2 to 8", "1"});
  refuse([](Args& a) { a.weight.extent[1] = 47; }, {"weight: expected 4 x 48", "4 x 47"});
  refuse([](Args& a) { a.bias.extent[0] = 47; }, {"bias", "48", "47"});
  refuse([](Args& a) { a.window_slots = 2; }, {"window_slots", "3", "2"});
  refuse([](Args& a) { a.window.extent[0] = 133; }, {"window_slots 67", "133"});
  refuse([](Args& a) { a.window.extent[1] = 40; }, {"window", "48", "40"});
  refuse([&](Args& a) { run(a).columns = 68; }, {"columns of run 0", "68"});
  refuse([&](Args& a) { run(a).column = 134; }, {"column of run 0", "134"});
  refuse([](Args& a) { op::recurrent_step(a.steps, 2).column = 134; }, {"column of row 2", "134"});
  refuse([](Args& a) { op::recurrent_step(a.steps, 2).parent = 4; }, {"row 2", "parent 4"});
}

// Filling says when there is no room, and which sequence it was.
TEST(RecurrentErrors, Filling) {
  cases::Workspace w(1);
  const Tensor runs = w.make(Element::i32, 2, 12), steps = w.make(Element::i32, 5, 4);
  op::begin_recurrent_runs(runs);
  op::RecurrentRun run;
  run.rows = 6;
  run.sequence = 3;
  Status status = op::add_recurrent_run(runs, steps, run);
  ASSERT_FALSE(status);
  EXPECT_STREQ(status.error().reason,
               "sequence 3: rows 0..5, expected to begin at 0 and to end below 5");
  run.rows = 2;
  EXPECT_TRUE(op::add_recurrent_run(runs, steps, run));
  run.first = 2;
  status = op::add_recurrent_run(runs, steps, run);
  ASSERT_FALSE(status);
  EXPECT_STREQ(status.error().reason, "sequence 3: there is room for 1 runs only");
}

}  // namespace
}  // namespace kedge::tests
