#pragma once

#include "cases/case.hpp"
#include "cases/quantized.hpp"
#include "kedge/op/matmul_argmax.hpp"

namespace kedge::cases {

template <>
struct Harness<op::MatmulArgmax> {
  static constexpr bool sliceable = true;
  static Status prepare_cpu(Workspace& w, op::MatmulArgmax::Args& a, cpu::Isa) {
    a.weight = packed(w, a.weight);
    return {};
  }
};

// Formats and shapes of products have cases of their own (cases/matmul.hpp); these have several
// chunks, a broken last one, and formats of every family.
template <>
inline std::vector<Case<op::MatmulArgmax>> cases<op::MatmulArgmax>() {
  std::vector<Case<op::MatmulArgmax>> list;
  const auto add = [&list](Element element, int n, int k) {
    list.push_back(
        {std::string(to_string(element)) + " N " + std::to_string(n) + " K " + std::to_string(k),
         [=](Workspace& w, std::int64_t rows) {
           op::MatmulArgmax::Args a;
           a.x = random_matrix(w, op::Matmul::activation(element), 1, 1.0f, rows, k);
           a.weight = random_matrix(w, element, 2, 0.5f, n, k);
           return a;
         },
         2e-5,  // as matmul's
         {17, 33}});
  };
  for (const Element element : {Element::f32, Element::bf16, Element::q4_0, Element::q6_k})
    for (const int n : {2, 511, 512, 513, 1100})
      add(element, n, element == Element::q6_k ? 256 : 96);
  add(Element::q8_0, 5000, 64);
  return list;
}

}  // namespace kedge::cases
