// The first contract, operator by operator: the bytes of a row do not depend on how many rows run,
// how a call is split, who runs the work in which order, or the caller's floating-point modes.
#include <algorithm>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "kedge/cases_includes.inc"
#include "kedge/kernel_cpu_includes.inc"
#include "kedge/op_includes.inc"
#include "support/executors.hpp"
#include "support/operator_call.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t most_rows = 16;

// The tensors that hold one entry per row: their first extent follows the row count.
template <class Op>
std::vector<Field<Op>> row_fields(const cases::Case<Op>& c, cpu::Isa isa) {
  OperatorCall<Op> two(c, 2, 1, isa), three(c, 3, 1, isa);
  std::vector<Field<Op>> list;
  for (const auto& f : fields<Op>()) {
    if (f.role == op::Role::scratch) continue;  // every call infers its own
    const Tensor &a = two.args.*f.member, &b = three.args.*f.member;
    if (std::memcmp(a.extent, b.extent, sizeof a.extent) == 0) continue;
    EXPECT_TRUE(a.extent[0] == 2 && b.extent[0] == 3)
        << Op::name << ": " << f.name << " grows with the rows but not along its first extent; "
        << "give the operator a Harness that is not sliceable";
    list.push_back(f);
  }
  return list;
}

// Runs rows [begin, begin + count) of a call as a call of its own, into the same outputs.
template <class Op>
Status run_slice(OperatorCall<Op>& call, const std::vector<Field<Op>>& by_row, const Cpu& cpu,
                 std::int64_t begin, std::int64_t count) {
  typename Op::Args args = call.args;
  for (const auto& f : by_row) {
    Tensor& t = args.*f.member;
    t.data += t.bytes() / static_cast<std::size_t>(t.extent[0]) * static_cast<std::size_t>(begin);
    t.extent[0] = count;
  }
  for (const auto& f : fields<Op>())
    if (f.role == op::Role::scratch) args.*f.member = {};
  call.allocate(args);
  return cpu.run<Op>(args, count);
}

template <class Op>
void check_splits() {
  if constexpr (cases::Harness<Op>::sliceable) {
    for (const auto& c : cases::cases<Op>())
      for (const cpu::Isa isa : available_isas()) {
        SCOPED_TRACE(replay(c, most_rows) + ", " + to_string(isa));
        const Cpu cpu = make_cpu(isa);
        const auto by_row = row_fields(c, isa);
        OperatorCall<Op> whole(c, most_rows, seed(), isa);
        const Status ran = whole.run(cpu);
        ASSERT_TRUE(ran) << ran.error().reason;

        // Row by row, then five random splits.
        std::mt19937_64 random(seed());
        for (int split = 0; split <= 5; ++split) {
          OperatorCall<Op> parts(c, most_rows, seed(), isa);
          std::string cut;
          for (std::int64_t begin = 0; begin < most_rows;) {
            const std::int64_t left = most_rows - begin;
            const std::int64_t count =
                split == 0 ? 1 : 1 + static_cast<std::int64_t>(random()) % left;
            const std::int64_t rows = count < 1 ? 1 : count;
            const Status ran_part = run_slice(parts, by_row, cpu, begin, rows);
            ASSERT_TRUE(ran_part) << ran_part.error().reason;
            begin += rows;
            cut += " " + std::to_string(rows);
          }
          ASSERT_TRUE(same_bytes(whole, parts)) << "split into rows" << cut;
          ASSERT_TRUE(parts.untouched()) << "split into rows" << cut;
        }
      }
  } else {
    GTEST_SKIP() << Op::name << " has a test of its own for splits";
  }
}

// 1..16 rows in a call, the tensors having room for 16: equal bytes in the rows that run, and not
// one byte written in the others.
template <class Op>
void check_row_counts() {
  if constexpr (cases::Harness<Op>::sliceable) {
    for (const auto& c : cases::cases<Op>())
      for (const cpu::Isa isa : available_isas()) {
        const Cpu cpu = make_cpu(isa);
        const auto by_row = row_fields(c, isa);
        const auto written = [](const Field<Op>& f) { return f.written(); };
        if (std::none_of(by_row.begin(), by_row.end(), written))
          GTEST_SKIP() << Op::name << " writes nothing row by row; Splits covers it";
        OperatorCall<Op> whole(c, most_rows, seed(), isa), part(c, most_rows, seed(), isa);
        const Status ran = whole.run(cpu);
        ASSERT_TRUE(ran) << ran.error().reason;
        for (std::int64_t rows = 1; rows < most_rows; ++rows) {
          SCOPED_TRACE(replay(c, rows) + ", " + to_string(isa));
          part.reset();
          const Status ran_part = cpu.run<Op>(part.args, rows);
          ASSERT_TRUE(ran_part) << ran_part.error().reason;
          for (const auto& f : by_row) {
            if (!f.written()) continue;
            const Tensor &all = whole.args.*f.member, &some = part.args.*f.member;
            const std::size_t end =
                some.bytes() / static_cast<std::size_t>(most_rows) * static_cast<std::size_t>(rows);
            ASSERT_EQ(std::memcmp(all.data, some.data, end), 0)
                << f.name << ": bytes differ from those of " << most_rows << " rows";
            ASSERT_EQ(std::memcmp(some.data + end, part.workspace.saved(some.data) + end,
                                  some.bytes() - end),
                      0)
                << f.name << ": a row beyond those of the call was written";
          }
        }
      }
  } else {
    GTEST_SKIP() << Op::name << " has a test of its own for row counts";
  }
}

struct NamedExecutor {
  std::string name;
  std::unique_ptr<Executor> executor;
};

std::vector<NamedExecutor> executors() {
  std::vector<NamedExecutor> list;
  list.push_back({"serial", std::make_unique<SerialExecutor>()});
  list.push_back({"reversed tasks", std::make_unique<TasksOnlyExecutor>(2, true)});
  list.push_back({"5 workers, tasks only", std::make_unique<TasksOnlyExecutor>(5, false)});
  for (const unsigned workers : {2u, 3u}) {
    auto pool = make_pool_executor(workers);
    EXPECT_TRUE(pool) << pool.error().reason;
    if (pool) list.push_back({"pool of " + std::to_string(workers), *std::move(pool)});
    auto openmp = make_openmp_executor(workers);
    if (openmp) list.push_back({"OpenMP, " + std::to_string(workers), *std::move(openmp)});
    else EXPECT_EQ(openmp.error().code, Code::unsupported);
  }
  return list;
}

template <class Op>
void check_executors() {
  const auto list = executors();
  for (const auto& c : cases::cases<Op>())
    for (const cpu::Isa isa : available_isas())
      for (const std::int64_t rows : {1, 5, 16}) {
        SCOPED_TRACE(replay(c, rows) + ", " + to_string(isa));
        OperatorCall<Op> alone(c, rows, seed(), isa), call(c, rows, seed(), isa);
        const Status ran = alone.run(make_cpu(isa));
        ASSERT_TRUE(ran) << ran.error().reason;
        for (const auto& [name, executor] : list) {
          call.reset();
          const Status ran_by = call.run(make_cpu(isa, executor.get()));
          ASSERT_TRUE(ran_by) << name << ": " << ran_by.error().reason;
          ASSERT_TRUE(same_bytes(alone, call)) << "executor: " << name;
          ASSERT_TRUE(call.untouched()) << "executor: " << name;
        }
      }
}

#if defined(__x86_64__)
template <class Op>
void check_modes() {
  struct Mode {
    const char* name;
    unsigned mxcsr;  // all exceptions masked, as by default
  };
  constexpr Mode modes[] = {{"FTZ and DAZ", 0x9FC0},
                            {"round down", 0x3F80},
                            {"round up", 0x5F80},
                            {"round toward zero", 0x7F80},
                            {"FTZ, DAZ, round up", 0xDFC0}};
  const unsigned before = _mm_getcsr();
  for (const Mode& mode : modes) {
    // Threads inherit the modes of the thread that starts them: the hostile ones here.
    _mm_setcsr(mode.mxcsr);
    auto pool = make_pool_executor(2);
    _mm_setcsr(before);
    ASSERT_TRUE(pool) << pool.error().reason;
    TasksOnlyExecutor tasks(3, true);
    Executor* const list[] = {nullptr, pool->get(), &tasks};
    for (const auto& c : cases::cases<Op>())
      for (const cpu::Isa isa : available_isas()) {
        constexpr std::int64_t rows = 3;
        SCOPED_TRACE(replay(c, rows) + ", " + to_string(isa) + ", " + mode.name);
        OperatorCall<Op> plain(c, rows, seed(), isa), call(c, rows, seed(), isa);
        const Status ran = plain.run(make_cpu(isa));
        ASSERT_TRUE(ran) << ran.error().reason;
        for (Executor* executor : list) {
          call.reset();
          const Cpu cpu = make_cpu(isa, executor);
          _mm_setcsr(mode.mxcsr);
          const Status ran_so = call.run(cpu);
          const unsigned after = _mm_getcsr();
          _mm_setcsr(before);
          ASSERT_TRUE(ran_so) << ran_so.error().reason;
          ASSERT_EQ(after, mode.mxcsr) << "the caller's modes were changed";
          ASSERT_TRUE(same_bytes(plain, call));
        }
      }
  }
}
#endif

#define KEDGE_OP(stem, Type)                              \
  TEST(Splits, stem) { check_splits<op::Type>(); }        \
  TEST(RowCounts, stem) { check_row_counts<op::Type>(); } \
  TEST(Executors, stem) { check_executors<op::Type>(); }
#include "kedge/ops.inc"
#undef KEDGE_OP

#if defined(__x86_64__)
#define KEDGE_OP(stem, Type) \
  TEST(CallersModes, stem) { check_modes<op::Type>(); }
#include "kedge/ops.inc"
#undef KEDGE_OP
#endif

}  // namespace
}  // namespace kedge::tests
