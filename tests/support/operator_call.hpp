// OperatorCall: one case of one operator with memory of its own, ready to run on the reference or
// on a Cpu, as often as wanted: reset() brings back inputs and unwritten outputs.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "cases/case.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/backend/reference.hpp"
#include "support/isas.hpp"

namespace kedge::tests {

// The tensors of Op::Args by name and role.
template <class Op>
struct Field {
  const char* name;
  Tensor Op::Args::*member;
  op::Role role;
  // State counts: what an operator that only stores leaves behind is its result.
  bool written() const {
    return role == op::Role::output || role == op::Role::inout || role == op::Role::state;
  }
};

template <class Op>
struct CollectFields {
  std::vector<Field<Op>> list;
  void tensor(const char* name, Tensor Op::Args::*member, op::Role role, const char*) {
    list.push_back({name, member, role});
  }
  template <class T>
  void setting(const char*, T Op::Args::*, const char*) {}
};

template <class Op>
std::vector<Field<Op>> fields() {
  CollectFields<Op> collect;
  Op::fields(collect);
  return collect.list;
}

inline Cpu make_cpu(cpu::Isa isa, Executor* executor = nullptr) {
  auto cpu = Cpu::create({isa, executor});
  EXPECT_TRUE(cpu) << cpu.error().reason;
  return *std::move(cpu);
}

// --gtest_random_seed=N picks another seed; without it every run is the same.
inline std::uint64_t seed() {
  const auto flag = static_cast<std::uint64_t>(GTEST_FLAG_GET(random_seed));
  return flag == 0 ? 1 : flag;
}

// What a failure needs to be seen again.
template <class Op>
std::string replay(const cases::Case<Op>& c, std::int64_t rows) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return std::string(Op::name) + ", case '" + c.name + "', " + std::to_string(rows) +
         " rows, seed " + std::to_string(seed()) +
         "; replay with --gtest_filter=" + test->test_suite_name() + "." + test->name() +
         " --gtest_random_seed=" + std::to_string(seed());
}

template <class Op>
class OperatorCall {
 public:
  using Args = typename Op::Args;

  // `isa` empty: for the reference.
  OperatorCall(const cases::Case<Op>& c, std::int64_t row_count, std::uint64_t seed,
               std::optional<cpu::Isa> isa)
      : workspace(seed), args(c.make(workspace, row_count)), rows(row_count) {
    if (isa) {
      const Status prepared = cases::Harness<Op>::prepare_cpu(workspace, args, *isa);
      EXPECT_TRUE(prepared) << Op::name << ": " << prepared.error().reason;
    }
    allocate(args);
    workspace.save();
  }

  // Gives every tensor that infer() sizes its memory.
  void allocate(Args& a) {
    const Status inferred = Op::infer(a);
    EXPECT_TRUE(inferred) << Op::name << ": " << inferred.error().reason;
    for (const auto& f : fields<Op>())
      if (Tensor& t = a.*f.member; !t.empty() && t.data == nullptr)
        t.data = workspace.allocate(t.bytes());
  }

  void reset() { workspace.restore(); }

  Status run_reference() { return Reference::run<Op>(args); }
  Status run(const Cpu& cpu) { return cpu.run<Op>(args, rows); }

  // A tensor as far as it has memory: the view of a cache may reach past its pool's end (a distance
  // between pages counts as a row), and is then seen as one long row.
  Tensor part(const Field<Op>& f) const {
    const Tensor& t = args.*f.member;
    const std::size_t room = workspace.room(t.data);
    if (t.bytes() <= room) return t;
    const ElementTraits element = traits(t.element);
    return tensor(t.data, t.element, 1, room / element.bytes * element.block);
  }

  // Guard bands whole and inputs as they were.
  ::testing::AssertionResult untouched() const {
    if (!workspace.intact()) return ::testing::AssertionFailure() << "a guard band was overwritten";
    for (const auto& f : fields<Op>()) {
      const Tensor& t = args.*f.member;
      if (f.role != op::Role::input || t.empty()) continue;
      const std::byte* saved = workspace.saved(t.data);
      if (saved != nullptr && std::memcmp(saved, t.data, t.bytes()) != 0)
        return ::testing::AssertionFailure() << "input " << f.name << " was overwritten";
    }
    return ::testing::AssertionSuccess();
  }

  cases::Workspace workspace;
  Args args;
  std::int64_t rows;
};

// Whether the first `rows` rows' outputs of two calls have equal bytes; outputs that are not per
// row are compared whole.
template <class Op>
::testing::AssertionResult same_bytes(const OperatorCall<Op>& a, const OperatorCall<Op>& b) {
  bool compared = false;
  for (const auto& f : fields<Op>()) {
    if (!f.written()) continue;
    const Tensor x = a.part(f), y = b.part(f);
    compared = compared || x.bytes() > 0;
    if (x.bytes() != y.bytes())
      return ::testing::AssertionFailure() << "output " << f.name << ": sizes differ";
    const std::size_t bytes = x.bytes();
    if (std::memcmp(x.data, y.data, bytes) == 0) continue;
    std::size_t at = 0, differing = 0;
    for (std::size_t i = bytes; i-- > 0;)
      if (x.data[i] != y.data[i]) {
        at = i;
        ++differing;
      }
    const std::size_t row = row_bytes(x.element, x.width());
    return ::testing::AssertionFailure()
           << "output " << f.name << ": " << differing << " of " << bytes
           << " bytes differ, the first at row " << at / row << ", byte " << at % row;
  }
  if (!compared) return ::testing::AssertionFailure() << "there is nothing to compare";
  return ::testing::AssertionSuccess();
}

}  // namespace kedge::tests
