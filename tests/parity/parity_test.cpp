// Every operator of kedge_add_op, every case, 1 to 16 rows and the case's own counts: each ISA
// against the reference within the case's tolerance, and against scalar's bytes.
#include <cmath>
#include <cstdio>

#include "kedge/cases_includes.inc"
#include "kedge/kernel_cpu_includes.inc"
#include "kedge/kernel_ref_includes.inc"
#include "kedge/op_includes.inc"
#include "support/operator_call.hpp"

namespace kedge::tests {
namespace {

// |found - expected| <= tolerance * max|expected| of the row; tolerance 0 wants equal bytes.
::testing::AssertionResult close(const char* name, const Tensor& expected, const Tensor& found,
                                 double tolerance) {
  if (expected.element != found.element || expected.rows() != found.rows() ||
      expected.width() != found.width())
    return ::testing::AssertionFailure() << name << ": the shapes differ";
  const auto width = static_cast<std::size_t>(expected.width());
  std::vector<float> e(width), f(width);
  std::size_t outside = 0;
  double worst = -1, worst_expected = 0, worst_found = 0, worst_limit = 0;
  std::int64_t worst_row = 0, worst_at = 0;
  for (std::int64_t r = 0; r < expected.rows(); ++r) {
    double limit = 0;
    const std::byte *e_row = expected.row<std::byte>(r), *f_row = found.row<std::byte>(r);
    if (expected.element == Element::i32) {
      for (std::size_t i = 0; i < width; ++i) {
        e[i] = 0;  // compared as integers: a difference counts as infinite
        f[i] = expected.row<std::int32_t>(r)[i] == found.row<std::int32_t>(r)[i] ? 0.0f : INFINITY;
      }
    } else {
      decode_row(expected.element, e_row, expected.width(), e.data());
      decode_row(found.element, f_row, found.width(), f.data());
      for (const float value : e)
        if (std::isfinite(value)) limit = std::fmax(limit, tolerance * std::fabs(value));
    }
    for (std::size_t i = 0; i < width; ++i) {
      const bool same_kind = std::isnan(e[i])   ? std::isnan(f[i])
                             : std::isinf(e[i]) ? e[i] == f[i]
                                                : std::isfinite(f[i]);
      const double error = !same_kind            ? INFINITY
                           : std::isfinite(e[i]) ? std::fabs(double(f[i]) - e[i])
                                                 : 0.0;
      if (error > limit) ++outside;
      if (error > worst) {
        worst = error;
        worst_row = r;
        worst_at = static_cast<std::int64_t>(i);
        worst_expected = e[i];
        worst_found = f[i];
        worst_limit = limit;
      }
    }
    if (expected.element == Element::i32 && f[static_cast<std::size_t>(worst_at)] != 0 &&
        worst_row == r) {
      worst_expected = expected.row<std::int32_t>(r)[worst_at];
      worst_found = found.row<std::int32_t>(r)[worst_at];
    }
    if (tolerance == 0 && outside == 0 &&
        std::memcmp(e_row, f_row, row_bytes(expected.element, expected.width())) != 0)
      return ::testing::AssertionFailure()
             << name << ": row " << r << " has equal values but other bytes";
  }
  if (outside == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << name << " (" << to_string(expected.element) << "): " << outside
         << " values outside the tolerance " << tolerance << "; worst at row " << worst_row
         << ", position " << worst_at << ": expected " << worst_expected << ", found "
         << worst_found << ", error " << worst << ", allowed " << worst_limit;
}

template <class Op>
void check_operator() {
  std::vector<cpu::Isa> isas = available_isas();
  const auto list = cases::cases<Op>();
  ASSERT_FALSE(list.empty()) << Op::name << " has no cases";
  for (const auto& c : list) {
    std::vector<std::int64_t> row_counts = c.rows;
    for (std::int64_t rows = 1; rows <= 16; ++rows) row_counts.push_back(rows);
    for (const std::int64_t rows : row_counts) {
      SCOPED_TRACE(replay(c, rows));
      OperatorCall<Op> reference(c, rows, seed(), std::nullopt);
      const Status defined = reference.run_reference();
      ASSERT_TRUE(defined) << defined.error().reason;
      ASSERT_TRUE(reference.untouched()) << "by the reference";
      std::optional<OperatorCall<Op>> scalar;
      for (const cpu::Isa isa : isas) {
        SCOPED_TRACE(to_string(isa));
        OperatorCall<Op> call(c, rows, seed(), isa);
        const Status ran = call.run(make_cpu(isa));
        ASSERT_TRUE(ran) << ran.error().reason;
        ASSERT_TRUE(call.untouched());
        for (const auto& f : fields<Op>()) {
          if (!f.written()) continue;
          ASSERT_TRUE(close(f.name, reference.part(f), call.part(f), c.tolerance));
        }
        ASSERT_TRUE(same_bytes(call, call)) << "a case that compares nothing";
        if (scalar) {
          ASSERT_TRUE(same_bytes(*scalar, call)) << "compared with scalar";
        } else {
          scalar.emplace(std::move(call));
        }
      }
    }
  }
}

// So that a log shows what ran: an ISA that the processor lacks is not tested.
TEST(Parity, IsasOfThisProcessor) {
  for (const cpu::Isa isa : cpu::isas)
    std::printf("  %s: %s\n", to_string(isa), cpu::isa_available(isa) ? "tested" : "SKIPPED");
  EXPECT_TRUE(cpu::isa_available(cpu::Isa::scalar));
}

#define KEDGE_OP(stem, Type) \
  TEST(Parity, stem) { check_operator<op::Type>(); }
#include "kedge/ops.inc"
#undef KEDGE_OP

}  // namespace
}  // namespace kedge::tests
