#pragma once

#include "cases/case.hpp"
#include "kedge/op/markov_bias.hpp"

namespace kedge::cases {

template <>
inline std::vector<Case<op::MarkovBias>> cases<op::MarkovBias>() {
  std::vector<Case<op::MarkovBias>> list;
  const auto add = [&list](std::int32_t head, int rank, float spread, Element out,
                           double tolerance) {
    constexpr const char* names[] = {"vanilla", "gated", "rnn"};
    list.push_back({std::string(names[head]) + " of rank " + std::to_string(rank) + ", spread " +
                        std::to_string(static_cast<int>(spread)) + ", to " + to_string(out),
                    [=](Workspace& w, std::int64_t rows) {
                      op::MarkovBias::Args a;
                      a.e = w.random(1, 1.0f, rows, rank);
                      if (head != op::MarkovBias::vanilla)
                        a.projection = w.random(2, spread, rows, head == 2 ? 3 * rank : rank);
                      if (head == op::MarkovBias::rnn) a.state = w.random(3, 0.5f, rows, rank);
                      a.z = w.make(out, rows, rank);
                      a.head = head;
                      return a;
                    },
                    tolerance,
                    {33}});
  };
  // F32: e^x within 2 ulp and a few roundings, doubled for tanh; int8: one step of max/127.
  constexpr double few_ulp = 1e-6, step = 1.01 / 127;
  for (const int rank : {1, 15, 17, 64, 256, 272, 512}) {
    add(op::MarkovBias::vanilla, rank, 1, Element::f32, 0);
    add(op::MarkovBias::gated, rank, 3, Element::f32, few_ulp);
    // tanh near 0 is the difference of two numbers near 1: exact beside 1, not beside itself.
    if (rank > 1) add(op::MarkovBias::rnn, rank, 3, Element::f32, few_ulp);
  }
  for (const std::int32_t head : {0, 1, 2}) add(head, 288, 3, Element::q8_act, step);
  add(op::MarkovBias::gated, 64, 60, Element::f32, few_ulp);
  add(op::MarkovBias::rnn, 64, 60, Element::f32, few_ulp);
  return list;
}

}  // namespace kedge::cases
