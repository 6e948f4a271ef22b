// matmul_argmax: a model's head, y[r][n] = sum_k x[r][k] weight[n][k] and the index and value of
// each row's largest y, found while the products are at hand. Greedy decoding needs no more than
// that: logits of a large vocabulary would go to memory and come back. Bytes are those of matmul
// and of argmax behind it. Runs for the rows whose logits are wanted, as argmax does.
#pragma once

#include "kedge/op/argmax.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct MatmulArgmax {
  static constexpr const char* name = "matmul_argmax";
  static constexpr std::int64_t chunk = 512;  // outputs per entry of the scratch tensors

  struct Args {
    Tensor x, weight, wanted, y, index, value, chunk_index, chunk_value;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, K] f32, or q8_act for a weight in blocks");
    v.tensor("weight", &Args::weight, Role::input, "[N, K]");
    v.tensor("wanted", &Args::wanted, Role::input,
             "[1] i32, 0: nobody reads y, and what it holds is void; optional: it is read");
    v.tensor("y", &Args::y, Role::output, "[rows, N] f32");
    v.tensor("index", &Args::index, Role::output, "[rows, 1] i32; -1 if the row holds a NaN");
    v.tensor("value", &Args::value, Role::output, "[rows, 1] f32");
    v.tensor("chunk_index", &Args::chunk_index, Role::scratch, "[rows, ceil(N / 512)] i32");
    v.tensor("chunk_value", &Args::chunk_value, Role::scratch, "[rows, ceil(N / 512)] f32");
  }

  static Matmul::Args product(const Args& a) noexcept { return {a.x, a.weight, {}, a.y}; }
  static constexpr std::int64_t chunks(const Args& a) noexcept {
    return (a.weight.rows() + chunk - 1) / chunk;
  }

  static Status infer(Args& a) noexcept {
    const std::int64_t rows = a.x.rows();
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, rows, a.weight.rows());
    if (a.index.empty()) a.index = tensor(nullptr, Element::i32, rows, 1);
    if (a.value.empty()) a.value = tensor(nullptr, Element::f32, rows, 1);
    if (a.chunk_index.empty()) a.chunk_index = tensor(nullptr, Element::i32, rows, chunks(a));
    if (a.chunk_value.empty()) a.chunk_value = tensor(nullptr, Element::f32, rows, chunks(a));
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows();
    KEDGE_CHECK(Matmul::check(product(a)));
    if (!a.wanted.empty()) KEDGE_CHECK(expect_shape(name, "wanted", a.wanted, Element::i32, 1, 1));
    if (a.weight.rows() > INT32_MAX)
      return fail(Code::unsupported, name, "weight: expected at most %d rows, found %lld",
                  INT32_MAX, static_cast<long long>(a.weight.rows()));
    KEDGE_CHECK(expect_shape(name, "index", a.index, Element::i32, rows, 1));
    KEDGE_CHECK(expect_shape(name, "value", a.value, Element::f32, rows, 1));
    KEDGE_CHECK(expect_shape(name, "chunk_index", a.chunk_index, Element::i32, rows, chunks(a)));
    return expect_shape(name, "chunk_value", a.chunk_value, Element::f32, rows, chunks(a));
  }

  static Cost cost(const Args& a) noexcept { return Matmul::cost(product(a)); }
};

}  // namespace kedge::inline KEDGE_ABI::op
