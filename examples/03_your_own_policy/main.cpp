// Attention with a mask of our own beside Kedge's: over 100 keys the window hides nothing and the
// bytes are equal; over 500 it does, and they are not.
#include <cstdio>
#include <cstring>
#include <vector>

#include "../must.hpp"
#include "kedge/state/plain_attention.hpp"
#include "window_attention.hpp"

int main() {
  const auto cpu = must(kedge::Cpu::create({}));
  for (const int keys : {100, 500}) {
    std::vector<float> q(64), k(static_cast<std::size_t>(keys) * 64);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = 0.01f * static_cast<float>(i % 17);
    for (std::size_t i = 0; i < k.size(); ++i) k[i] = 0.02f * static_cast<float>(i % 29);
    const kedge::Tensor kv = kedge::tensor(k.data(), kedge::Element::f32, keys, 64);
    auto plain = must(kedge::make_plain_attention(
        kedge::tensor(q.data(), kedge::Element::f32, 1, 64), kv, kv, {.heads = 2, .kv_heads = 2}));
    const auto run = [&]<class Op>() {
      must(cpu.run<Op>(plain.args, 1));
      const float* y = plain.args.y.as<float>();
      return std::vector<float>(y, y + 64);
    };
    const auto all = run.operator()<kedge::op::Attention>();
    const auto window = run.operator()<WindowAttention>();
    const bool equal = std::memcmp(all.data(), window.data(), all.size() * sizeof(float)) == 0;
    std::printf("%d keys: %s\n", keys, equal ? "equal" : "different");
    if (equal != (keys == 100)) return 1;
  }
}
