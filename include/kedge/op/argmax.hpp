// argmax: the index and value of the largest entry of each row; the lowest index where several are
// equal (+0 equals -0). A row that holds a NaN has no largest entry: index -1, value NaN. On the
// CPU it runs for the rows whose logits are wanted (Launch::outputs).
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct Argmax {
  static constexpr const char* name = "argmax";
  static constexpr std::int64_t chunk = 4096;  // values per entry of the scratch tensors

  struct Args {
    Tensor x, index, value, chunk_index, chunk_value;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32");
    v.tensor("index", &Args::index, Role::output, "[rows, 1] i32; -1 if the row holds a NaN");
    v.tensor("value", &Args::value, Role::output, "[rows, 1] f32");
    v.tensor("chunk_index", &Args::chunk_index, Role::scratch, "[rows, ceil(width / 4096)] i32");
    v.tensor("chunk_value", &Args::chunk_value, Role::scratch, "[rows, ceil(width / 4096)] f32");
  }

  static constexpr std::int64_t chunks(const Args& a) noexcept {
    return (a.x.width() + chunk - 1) / chunk;
  }

  static Status infer(Args& a) noexcept {
    const std::int64_t rows = a.x.rows();
    if (a.index.empty()) a.index = tensor(nullptr, Element::i32, rows, 1);
    if (a.value.empty()) a.value = tensor(nullptr, Element::f32, rows, 1);
    if (a.chunk_index.empty()) a.chunk_index = tensor(nullptr, Element::i32, rows, chunks(a));
    if (a.chunk_value.empty()) a.chunk_value = tensor(nullptr, Element::f32, rows, chunks(a));
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), width = a.x.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, width));
    if (width < 1 || width > INT32_MAX)
      return fail(Code::unsupported, name, "x: expected a width of 1 to %d, found %lld", INT32_MAX,
                  static_cast<long long>(width));
    KEDGE_CHECK(expect_shape(name, "index", a.index, Element::i32, rows, 1));
    KEDGE_CHECK(expect_shape(name, "value", a.value, Element::f32, rows, 1));
    KEDGE_CHECK(expect_shape(name, "chunk_index", a.chunk_index, Element::i32, rows, chunks(a)));
    return expect_shape(name, "chunk_value", a.chunk_value, Element::f32, rows, chunks(a));
  }

  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.x.bytes()), static_cast<double>(a.x.rows() * a.x.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
