// One case of an operator on Vulkan: against the reference, and a row's bytes for every number of
// rows. The limit is a normalized squared error, sum((y - reference)^2) / sum(reference^2): an
// error in arithmetic order stays far below, an error in an index far above.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "cases/case.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/backend/vulkan.hpp"

namespace kedge::cases {

constexpr double largest_error = 1e-11;
constexpr std::uint64_t vulkan_seed = 20;

inline std::string text(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.place + ": " + error.reason;
}

// Any device will do, a software one, too. Skips (see KEDGE_SKIP_WITHOUT) only when the machine has
// no loader, driver or device; a device that fails is a failure.
inline std::optional<Vulkan> open_vulkan(Vulkan::Options options, std::string& why) {
  options.allow_cpu = true;
  auto vulkan = Vulkan::create(options);
  if (vulkan) return *std::move(vulkan);
  why = text(vulkan.error());
  if (vulkan.error().code != Code::not_found) ADD_FAILURE() << why;
  return std::nullopt;
}

#define KEDGE_OPEN_VULKAN(name, ...)                                         \
  std::string name##_why;                                                    \
  auto name##_opened = ::kedge::cases::open_vulkan(__VA_ARGS__, name##_why); \
  if (!name##_opened) GTEST_SKIP() << name##_why;                            \
  [[maybe_unused]] const ::kedge::Vulkan& name = *name##_opened

// Every tensor of Args: visit(name, tensor, role).
template <class Args, class Visit>
struct TensorWalker {
  Args& args;
  Visit& visit;
  void tensor(const char* name, Tensor Args::*member, op::Role role, const char*) {
    if (!(args.*member).empty()) visit(name, args.*member, role);
  }
  template <class T>
  void setting(const char*, T Args::*, const char*) {}
};
template <class Op, class Visit>
void for_each_tensor(typename Op::Args& args, Visit visit) {
  Op::fields(TensorWalker<typename Op::Args, Visit>{args, visit});
}

inline bool is_output(op::Role role) { return role == op::Role::output || role == op::Role::inout; }

// The CPU's products over blocks take int8 activations; the same values as F32 are Vulkan's case.
template <class Args>
void adapt(Args& a, Workspace& w) {
  if constexpr (requires { a.x, a.weight, a.residual; }) {
    if (a.x.element != Element::q8_act) return;
    const Tensor x = w.make(Element::f32, a.x.rows(), a.x.width());
    for (std::int64_t r = 0; r < x.rows(); ++r)
      decode_row(Element::q8_act, a.x.template row<std::byte>(r), x.width(),
                 x.template row<float>(r));
    a.x = x;
  }
}

template <class Op>
class Parity {
 public:
  Parity(const Vulkan& vulkan, const Case<Op>& item) : vulkan_(vulkan), case_(item) {}

  // False: Vulkan has no kernel for the case and says so.
  bool run() {
    SCOPED_TRACE(std::string(Op::name) + ", " + case_.name + ", seed " +
                 std::to_string(vulkan_seed));
    Call sixteen(*this, 16);
    const Status status = sixteen.run(16);
    if (!status && status.error().code == Code::unsupported) return false;
    if (!status) {
      ADD_FAILURE() << text(status.error());
      return true;
    }
    sixteen.expect_reference();
    for (const std::int64_t rows : case_.rows) {
      Call more(*this, rows);
      const Status ran = more.run(rows);
      if (!ran) ADD_FAILURE() << rows << " rows: " << text(ran.error());
      else more.expect_reference();
      if (Harness<Op>::sliceable) more.expect_rows_of(sixteen, 16 < rows ? 16 : rows);
    }
    if (!Harness<Op>::sliceable) {  // rows see one another; vulkan_state_test has the rest
      for (const std::int64_t rows : {1, 2, 3, 7, 15}) {
        Call fewer(*this, rows);
        const Status ran = fewer.run(rows);
        if (!ran) ADD_FAILURE() << rows << " rows: " << text(ran.error());
        else fewer.expect_reference();
      }
      return true;
    }
    for (std::int64_t rows = 1; rows < 16; ++rows) {
      Call fewer(*this, 16);
      const Status ran = fewer.run(rows);
      if (!ran) ADD_FAILURE() << rows << " rows: " << text(ran.error());
      fewer.expect_rows_of(sixteen, rows);
      fewer.expect_untouched_after(rows);
    }
    for (std::int64_t row = 0; row < 16; ++row) {
      Call alone(*this, 1);
      alone.take_row(Call(*this, 16), row);
      const Status ran = alone.run(1);
      if (!ran) ADD_FAILURE() << "row " << row << ": " << text(ran.error());
      alone.expect_row_of(sixteen, row);
    }
    return true;
  }

  // The same twice, for what watches how it is done: many rows, and one.
  bool run_briefly() {
    SCOPED_TRACE(std::string(Op::name) + ", " + case_.name);
    bool ran = false;
    for (const std::int64_t rows :
         {case_.rows.empty() ? std::int64_t{5} : case_.rows.front(), std::int64_t{1}}) {
      Call call(*this, rows);
      const Status status = call.run(rows);
      if (!status && status.error().code == Code::unsupported) continue;
      EXPECT_TRUE(status) << text(status.error());
      if (status) call.expect_reference();
      ran = true;
    }
    return ran;
  }

 private:
  // Arguments of the case for a number of rows, and what running them gave.
  struct Call {
    const Parity& parity;
    std::int64_t rows;
    Workspace workspace{vulkan_seed};
    typename Op::Args args;
    std::vector<std::vector<std::byte>> before;  // of each output

    Call(const Parity& p, std::int64_t n) : parity(p), rows(n) {
      args = p.case_.make(workspace, n);
      adapt(args, workspace);
      EXPECT_TRUE(Op::infer(args));
      for_each_tensor<Op>(args, [&](const char*, Tensor& t, op::Role) {
        if (t.data == nullptr) t.data = workspace.allocate(t.bytes());
      });
    }
    Call(const Call&) = delete;

    std::vector<Tensor> tensors(bool outputs_only) {
      std::vector<Tensor> list;
      for_each_tensor<Op>(args, [&](const char*, const Tensor& t, op::Role role) {
        if (!outputs_only || is_output(role)) list.push_back(t);
      });
      return list;
    }

    Status run(std::int64_t count) {
      before.clear();
      for (const Tensor& t : tensors(true)) before.emplace_back(t.data, t.data + t.bytes());
      Status status = parity.vulkan_.template run<Op>(args, count);
      EXPECT_TRUE(workspace.intact());
      return status;
    }

    void expect_reference() {
      Call other(parity, rows);
      ASSERT_TRUE(Reference::run<Op>(other.args));
      const auto ours = tensors(true), reference = other.tensors(true);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        if (ours[i].element == Element::i32) {
          EXPECT_EQ(0, std::memcmp(ours[i].data, reference[i].data, ours[i].bytes()))
              << rows << " rows, output " << i;
          continue;
        }
        ASSERT_EQ(ours[i].element, Element::f32);
        double error = 0, total = 0;
        std::int64_t unlike = 0;
        for (std::int64_t k = 0; k < ours[i].rows() * ours[i].width(); ++k) {
          const double y = ours[i].template as<float>()[k],
                       r = reference[i].template as<float>()[k];
          if (!std::isfinite(r)) {
            unlike += !(y == r || (std::isnan(y) && std::isnan(r)));
            continue;
          }
          error += (y - r) * (y - r);
          total += r * r;
        }
        EXPECT_EQ(unlike, 0) << rows << " rows, output " << i << ": infinite values or NaNs";
        EXPECT_LE(error, largest_error * total) << rows << " rows, output " << i;
      }
      expect_states(other);
    }

    // What a call leaves beside outputs: the same bytes, or F32 as near as outputs.
    void expect_states(Call& other) {
      std::vector<Tensor> mine, theirs;
      const auto into = [](std::vector<Tensor>& list) {
        return [&list](const char*, const Tensor& t, op::Role role) {
          if (role == op::Role::state) list.push_back(t);
        };
      };
      for_each_tensor<Op>(args, into(mine));
      for_each_tensor<Op>(other.args, into(theirs));
      for (std::size_t i = 0; i < mine.size(); ++i) {
        // A layer's cache reaches past the end of its memory.
        const std::size_t bytes = std::min(mine[i].bytes(), workspace.room(mine[i].data));
        if (std::memcmp(mine[i].data, theirs[i].data, bytes) == 0) continue;
        ASSERT_TRUE(mine[i].element == Element::f32 && parity.case_.tolerance > 0)
            << rows << " rows, state " << i << " differs";
        double error = 0, total = 0;
        for (std::size_t k = 0; k < bytes / 4; ++k) {
          const double y = mine[i].template as<float>()[k], r = theirs[i].template as<float>()[k];
          error += (y - r) * (y - r);
          total += r * r;
        }
        EXPECT_LE(error, largest_error * total) << rows << " rows, state " << i;
      }
    }

    static std::size_t row_size(const Tensor& t) { return row_bytes(t.element, t.width()); }

    void expect_rows_of(Call& other, std::int64_t count) {
      const auto mine = tensors(true), theirs = other.tensors(true);
      for (std::size_t i = 0; i < mine.size(); ++i)
        EXPECT_EQ(0, std::memcmp(mine[i].data, theirs[i].data,
                                 static_cast<std::size_t>(count) * row_size(mine[i])))
            << "the first " << count << " rows of a run over " << rows
            << " differ from those of 16";
    }
    void expect_row_of(Call& other, std::int64_t row) {
      const auto mine = tensors(true), theirs = other.tensors(true);
      for (std::size_t i = 0; i < mine.size(); ++i)
        EXPECT_EQ(
            0, std::memcmp(mine[i].data, theirs[i].template row<std::byte>(row), row_size(mine[i])))
            << "row " << row << " alone differs from the same row among 16";
    }
    void expect_untouched_after(std::int64_t count) {
      const auto mine = tensors(true);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        const std::size_t kept = static_cast<std::size_t>(count) * row_size(mine[i]);
        EXPECT_EQ(
            0, std::memcmp(mine[i].data + kept, before[i].data() + kept, before[i].size() - kept))
            << "rows after " << count << " were written";
      }
    }
    // Of every tensor that has a row per row of the call: `row` of the other call's.
    void take_row(const Call& other, std::int64_t row) {
      Call& source = const_cast<Call&>(other);
      const auto mine = tensors(false), theirs = source.tensors(false);
      for (std::size_t i = 0; i < mine.size(); ++i)
        if (mine[i].extent[0] != theirs[i].extent[0])
          std::memcpy(mine[i].data,
                      theirs[i].data + static_cast<std::size_t>(row) * mine[i].bytes(),
                      mine[i].bytes());
    }
  };

  const Vulkan& vulkan_;
  const Case<Op>& case_;
};

// Both forms of reductions on every device; the rest of Options must not matter for a result.
class VulkanParity : public ::testing::TestWithParam<bool> {
 protected:
  Vulkan::Options options() const {
    Vulkan::Options options;
    options.subgroups = GetParam();
    return options;
  }
};

inline std::string reduction_name(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "subgroup" : "shared";
}

}  // namespace kedge::cases
