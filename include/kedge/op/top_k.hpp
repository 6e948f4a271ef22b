// top_k: the k largest entries of each row, largest first, equal ones (+0 equals -0) by lowest
// index. A row that holds a NaN has no order: every index is -1 and every value NaN. On the CPU it
// runs for the rows whose logits are wanted (Launch::outputs).
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct TopK {
  static constexpr const char* name = "top_k";
  static constexpr std::int64_t chunk = 4096;  // values that share one list in `scratch`
  static constexpr std::int32_t max_k = 256;

  struct Args {
    Tensor x, index, value, scratch;
    std::int32_t k = 1;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32");
    v.tensor("index", &Args::index, Role::output, "[rows, k] i32; -1 if the row holds a NaN");
    v.tensor("value", &Args::value, Role::output, "[rows, k] f32");
    v.tensor("scratch", &Args::scratch, Role::scratch, "[rows, 2 * k * ceil(width / 4096)] i32");
    v.setting("k", &Args::k, "how many, 1 to 256 and at most the width");
  }

  static constexpr std::int64_t chunks(const Args& a) noexcept {
    return (a.x.width() + chunk - 1) / chunk;
  }
  static constexpr std::int64_t scratch_width(const Args& a) noexcept {
    return 2 * std::int64_t{a.k} * chunks(a);
  }

  static Status infer(Args& a) noexcept {
    KEDGE_CHECK(check_k(a));
    const std::int64_t rows = a.x.rows();
    if (a.index.empty()) a.index = tensor(nullptr, Element::i32, rows, a.k);
    if (a.value.empty()) a.value = tensor(nullptr, Element::f32, rows, a.k);
    if (a.scratch.empty()) a.scratch = tensor(nullptr, Element::i32, rows, scratch_width(a));
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), width = a.x.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, width));
    if (width < 1 || width > INT32_MAX)
      return fail(Code::unsupported, name, "x: expected a width of 1 to %d, found %lld", INT32_MAX,
                  static_cast<long long>(width));
    KEDGE_CHECK(check_k(a));
    KEDGE_CHECK(expect_shape(name, "index", a.index, Element::i32, rows, a.k));
    KEDGE_CHECK(expect_shape(name, "value", a.value, Element::f32, rows, a.k));
    return expect_shape(name, "scratch", a.scratch, Element::i32, rows, scratch_width(a));
  }

  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.x.bytes()), static_cast<double>(a.x.rows() * a.x.width())};
  }

 private:
  static Status check_k(const Args& a) noexcept {
    if (a.k < 1 || a.k > max_k || a.k > a.x.width())
      return fail(Code::invalid_argument, name,
                  "k: expected 1 to %d and at most the width %lld, found %d", max_k,
                  static_cast<long long>(a.x.width()), a.k);
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
