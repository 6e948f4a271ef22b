// Both on every ISA of this machine and, where there is a device, on Vulkan: near the reference,
// and the same bytes on every ISA.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "clip.hpp"
#include "kedge/state/plain_attention.hpp"
#include "window_attention.hpp"
#if defined(WITH_VULKAN)
#include "clip_vulkan.hpp"
#endif

using namespace kedge;

static std::vector<float> numbers(std::size_t count) {
  std::vector<float> list(count);
  std::uint32_t state = 1;
  for (float& v : list) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<std::int32_t>(state) >> 8) / 8388608.0f;
  }
  return list;
}
static std::vector<cpu::Isa> isas() {
  std::vector<cpu::Isa> list;
  for (const cpu::Isa isa : cpu::isas)
    if (cpu::isa_available(isa)) list.push_back(isa);
  return list;
}
static int failed(const char* what, const char* where) {
  std::fprintf(stderr, "%s is wrong: %s\n", what, where);
  return 1;
}

static int check_clip() {
  const int rows = 3, width = 37;
  const std::vector<float> x = numbers(rows * width);
  std::vector<float> expected(x.size()), found(x.size());
  app::Clip::Args args;
  args.x = tensor(x.data(), Element::f32, rows, width);
  args.y = tensor(expected.data(), Element::f32, rows, width);
  args.low = -0.5f;
  args.high = 0.25f;
  if (!Reference::run<app::Clip>(args)) return failed("clip", "reference");
  args.y.data = reinterpret_cast<std::byte*>(found.data());
  for (const cpu::Isa isa : isas()) {
    const auto cpu = Cpu::create({isa, nullptr});
    if (!cpu || !cpu->run<app::Clip>(args, rows) || found != expected)
      return failed("clip", to_string(isa));
  }
#if defined(WITH_VULKAN)
  Vulkan::Options options;
  options.allow_cpu = true;
  const auto vulkan = Vulkan::create(options);
  if (vulkan) {
    found.assign(found.size(), 0.0f);
    const Status status = vulkan->run<app::Clip>(args, rows);
    if (!status) return failed("clip", status.error().reason);
    if (found != expected) return failed("clip", "vulkan");
    std::puts("clip on vulkan");
  } else {
    std::printf("no vulkan: %s\n", vulkan.error().reason);
  }
#endif
  return 0;
}

static int check_window(std::int64_t rows, Element cache) {
  const std::int64_t keys = 700, heads = 4, kv_heads = 2, head_dim = 32;
  const auto q = numbers(static_cast<std::size_t>(rows * heads * head_dim));
  const auto k = numbers(static_cast<std::size_t>(keys * kv_heads * head_dim));
  auto v = numbers(static_cast<std::size_t>(keys * kv_heads * head_dim));
  // What no row sees may be anything.
  const std::int64_t unseen = keys - rows - 70;
  for (std::int64_t i = 0; i < unseen * kv_heads * head_dim; ++i)
    v[static_cast<std::size_t>(i)] = NAN;
  PlainAttentionOptions options;
  options.heads = static_cast<std::int32_t>(heads);
  options.kv_heads = static_cast<std::int32_t>(kv_heads);
  options.cache = cache;
  auto plain =
      make_plain_attention(tensor(q.data(), Element::f32, rows, heads * head_dim),
                           tensor(k.data(), Element::f32, keys, kv_heads * head_dim),
                           tensor(v.data(), Element::f32, keys, kv_heads * head_dim), options);
  if (!plain) return failed("window", plain.error().reason);
  const auto values = [&] {
    const float* y = plain->args.y.as<float>();
    return std::vector<float>(y, y + rows * heads * head_dim);
  };
  if (!Reference::run<app::WindowAttention>(plain->args)) return failed("window", "reference");
  const std::vector<float> expected = values();
  std::vector<float> first;
  for (const cpu::Isa isa : isas()) {
    const auto cpu = Cpu::create({isa, nullptr});
    if (!cpu || !cpu->run<app::WindowAttention>(plain->args, rows))
      return failed("window", to_string(isa));
    const std::vector<float> found = values();
    for (std::size_t i = 0; i < found.size(); ++i)
      if (!(std::fabs(found[i] - expected[i]) < 1e-5f)) return failed("window", to_string(isa));
    if (first.empty()) first = found;
    if (std::memcmp(first.data(), found.data(), first.size() * sizeof(float)) != 0)
      return failed("window's bytes", to_string(isa));
  }
  return 0;
}

int main() {
  if (const int status = check_clip(); status != 0) return status;
  for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{5}, std::int64_t{40}})
    for (const Element cache : {Element::f32, Element::f16})
      if (const int status = check_window(rows, cache); status != 0) return status;
  std::puts("own operator and own mask");
}
