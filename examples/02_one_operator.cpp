// One operator at once: two rows are normalised on the best instruction set of this machine.
#include <cstdio>

#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "must.hpp"

int main() {
  float x[2][4] = {{1, 2, 3, 4}, {4, -4, 4, -4}}, weight[4] = {1, 1, 1, 2}, y[2][4];
  using enum kedge::Element;
  const kedge::op::RmsNorm::Args args = {kedge::tensor(x, f32, 2, 4), kedge::tensor(weight, f32, 4),
                                         kedge::tensor(y, f32, 2, 4)};
  const auto cpu = must(kedge::Cpu::create({}));
  must(cpu.run<kedge::op::RmsNorm>(args, 2));
  for (const auto& row : y) std::printf("%.6f %.6f %.6f %.6f\n", row[0], row[1], row[2], row[3]);
}
