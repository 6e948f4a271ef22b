// clip: y = x, but not below `low` and not above `high`. A policy like those of Kedge.
#pragma once

#include "kedge/backend/cpu.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/kernel/cpu/chunk.hpp"

namespace app {

using namespace kedge;

struct Clip {
  static constexpr const char* name = "clip";
  struct Args {
    Tensor x, y;
    float low = 0, high = 1;
  };
  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, op::Role::input, "[rows, width] f32");
    v.tensor("y", &Args::y, op::Role::output, "[rows, width] f32");
    v.setting("low", &Args::low, "nothing is below");
    v.setting("high", &Args::high, "nothing is above");
  }
  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.x.width());
    return {};
  }
  static Status check(const Args& a) noexcept {
    KEDGE_CHECK(op::expect_shape(name, "x", a.x, Element::f32, a.x.rows(), a.x.width()));
    return op::expect_shape(name, "y", a.y, Element::f32, a.x.rows(), a.x.width());
  }
  static op::Cost cost(const Args& a) noexcept {
    return {2.0 * static_cast<double>(a.x.bytes()), 0};
  }
};

struct ClipUnit {
  cpu::PhaseBody body;
};
KEDGE_DECLARE_UNITS(ClipUnit, clip)

}  // namespace app

template <>
struct kedge::Kernel<kedge::Cpu, app::Clip> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const app::Clip::Args&) noexcept {
    cpu::PhaseList list;
    list.item[list.count++] = {app::clip_unit(isa).body, cpu::one_unit_per_row};
    return list;
  }
};
template <>
struct kedge::Kernel<kedge::Reference, app::Clip> {
  static void run(const app::Clip::Args& a) {
    for (std::int64_t i = 0; i < a.x.rows() * a.x.width(); ++i) {
      const float x = a.x.as<float>()[i];
      a.y.as<float>()[i] = x < a.low ? a.low : x > a.high ? a.high : x;
    }
  }
};
