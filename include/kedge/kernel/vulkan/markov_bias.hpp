// Host side of markov_bias on Vulkan: one invocation per value.
#pragma once

#include "kedge/abi/markov_bias.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/markov_bias.hpp"

KEDGE_DECLARE_SHADER(markov_bias)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::MarkovBias> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::MarkovBias::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::MarkovBias::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.e, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "e", a.e, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "z", a.z, Element::f32));
    // What a head does not have may be missing; what it does not read is not bound.
    const Tensor projection = a.head == op::MarkovBias::vanilla ? Tensor{} : a.projection;
    const Tensor state = a.head == op::MarkovBias::rnn ? a.state : Tensor{};
    if (!projection.empty())
      KEDGE_CHECK(vulkan::expect_element(name, "projection", projection, Element::f32));

    vulkan::Dispatch d(vulkan::shader::markov_bias, lanes);
    d.specialize(abi::MarkovBias::head, static_cast<std::uint32_t>(a.head));
    d.bind(a.e);
    d.bind(projection);
    d.bind(state);
    d.bind(a.z);
    const auto rank = static_cast<std::uint32_t>(a.e.width());
    const auto count = static_cast<std::uint32_t>(rows) * rank;
    d.constants_from(abi::MarkovBias::Push{count, rank});
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (count + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
