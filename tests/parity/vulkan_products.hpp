// Products with F32 activations: shapes that the general cases leave out.
#pragma once

#include <random>

#include "cases/case.hpp"
#include "cases/quantized.hpp"
#include "kedge/core/half.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::cases {

// Q8_0 rows as a file has them: scales of every size that F16 has, subnormals among them.
inline Tensor random_q8_0(Workspace& w, std::uint64_t stream, std::int64_t rows,
                          std::int64_t width) {
  const Tensor t = w.make(Element::q8_0, rows, width);
  std::mt19937_64 rng(w.seed() * 1000003 + stream);
  auto* block = t.as<BlockQ8_0>();
  for (std::int64_t i = 0; i < rows * width / 32; ++i) {
    const float scale = i % 7 == 3 ? 3e-6f : 0.001f * static_cast<float>(1 + rng() % 50);
    block[i].d = f32_to_f16(rng() % 2 ? scale : -scale);
    for (auto& q : block[i].q) q = static_cast<std::int8_t>(static_cast<int>(rng() % 256) - 128);
  }
  return t;
}

enum class Add { nothing, residual, in_place, bias };

inline Case<op::Matmul> product(Element weight, int outputs, int width, Add add = Add::nothing) {
  const char* names[] = {"", " + residual", " + residual in place", " + bias"};
  return {std::to_string(outputs) + " x " + std::to_string(width) + " " + to_string(weight) +
              names[static_cast<int>(add)],
          [=](Workspace& w, std::int64_t rows) {
            op::Matmul::Args a;
            a.x = w.random(1, 1.0f, rows, width);
            a.weight = weight == Element::q8_0 ? random_q8_0(w, 2, outputs, width)
                                               : random_matrix(w, weight, 2, 1.0f, outputs, width);
            if (add == Add::bias) a.residual = w.random(3, 10.0f, outputs);
            else if (add != Add::nothing) a.residual = w.random(3, 10.0f, rows, outputs);
            a.y = add == Add::in_place ? a.residual : w.make(Element::f32, rows, outputs);
            return a;
          },
          1e-6,
          {17, 33}};
}

// Every format, with blocks at every alignment.
inline std::vector<Case<op::Matmul>> products_by_format() {
  std::vector<Case<op::Matmul>> list;
  for (const Element weight : weight_elements) {
    const int block = static_cast<int>(traits(weight).block);
    list.push_back(product(weight, 37, 3 * block));
    list.push_back(product(weight, 9, block == 1 ? 131 : 768, Add::bias));
    list.push_back(product(weight, 5, 1024, Add::residual));
  }
  return list;
}

// Long rows, several outputs per lane, ragged numbers of them.
inline std::vector<Case<op::Matmul>> products_by_shape() {
  std::vector<Case<op::Matmul>> list;
  for (const int width : {32, 160, 2048}) list.push_back(product(Element::q8_0, 37, width));
  list.push_back(product(Element::q8_0, 1, 8960));
  list.push_back(product(Element::q8_0, 19, 576, Add::in_place));
  list.push_back(product(Element::q8_0, 131, 64));
  list.push_back(product(Element::q8_0, 517, 64, Add::residual));
  for (const int width : {1, 7, 8, 31, 33}) {
    list.push_back(product(Element::f32, 5, width));
    list.push_back(product(Element::f16, 5, width));
  }
  return list;
}

}  // namespace kedge::cases
