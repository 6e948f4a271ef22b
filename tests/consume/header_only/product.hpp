// A normalised row, rounded to int8, times a matrix in Q8_0: what the two ways to have Kedge must
// agree on byte for byte. NAME is the function's name.
#include <cstdint>
#include <vector>

std::vector<float> NAME(int rows, int outputs, int width);

std::vector<float> NAME(int rows, int outputs, int width) {
  using namespace kedge;
  std::uint32_t state = 7;
  const auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<std::int32_t>(state) >> 8) / 8388608.0f;
  };
  const auto size = [](int a, int b) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
  };
  std::vector<float> x(size(rows, width)), norm(size(1, width)), y(size(rows, outputs));
  for (float& v : x) v = next();
  for (float& v : norm) v = next();
  std::vector<BlockQ8_0> blocks(size(outputs, width / 32));
  for (BlockQ8_0& block : blocks) {
    block.d = f32_to_f16(0.01f + 0.001f * next());
    for (auto& q : block.q) q = static_cast<std::int8_t>(127.0f * next());
  }
  const Tensor weight = tensor(blocks.data(), Element::q8_0, outputs, width);
  std::vector<std::byte> packed(cpu::packed_bytes(Element::q8_0, outputs, width));
  cpu::pack(weight, packed.data(), 0, cpu::panel_count(outputs));
  Tensor panels = weight;
  panels.data = packed.data();
  panels.layout = Layout::panel16;
  std::vector<BlockQ8Act> rounded(size(rows, width / 32));
  const Tensor h = tensor(rounded.data(), Element::q8_act, rows, width);
  const auto cpu = Cpu::create({});
  if (!cpu) return {};
  if (!cpu->run<op::RmsNorm>({tensor(x.data(), Element::f32, rows, width),
                              tensor(norm.data(), Element::f32, width), h},
                             rows))
    return {};
  if (!cpu->run<op::Matmul>({h, panels, {}, tensor(y.data(), Element::f32, rows, outputs)}, rows))
    return {};
  return y;
}
