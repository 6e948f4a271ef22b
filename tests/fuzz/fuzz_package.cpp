#include "fuzz/entries.hpp"
#include "kedge/spec/plan.hpp"

int fuzz_package(const std::uint8_t* data, std::size_t size) {
  using namespace kedge;
  const auto package = io::Package::parse(
      io::Source::memory({reinterpret_cast<const std::byte*>(data), size}, "model-package.json"));
  if (!package) return 0;
  spec::SpeculationSources sources;
  sources.package = &*package;
  [[maybe_unused]] const auto plan = spec::plan_speculation(sources);
  for (const io::DraftStrategy& strategy : package->strategies()) {
    if (strategy.window) {
      const io::WindowPolicy::Bounds b = strategy.window->bounds();
      // The order that windows need, whatever the manifest says.
      if (b.min < 1 || b.min > b.initial || b.initial > b.max || b.max > 31) __builtin_trap();
    }
    [[maybe_unused]] const auto reference = io::DraftReference::parse(strategy.draft_model);
  }
  return 0;
}
