// Best against the best fixed length in hindsight, zero included, on a virtual clock.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kedge/spec/best.hpp"
#include "unit/virtual_clock.hpp"

namespace kedge::tests {
namespace {

constexpr double most_regret = 0.02;

window::AnyWindow best() { return *window::AnyWindow::make(window::Best()); }

// Of several texts of one kind together: the best of 17 lengths is partly luck on one.
void expect_no_regret(const std::string& name, const std::vector<Trace>& traces,
                      const Machine& machine, double allowed = most_regret) {
  const Hindsight fixed = best_fixed(traces, machine);
  double ms = 0;
  for (const Trace& trace : traces) {
    auto window = best();
    ms += run(window, trace, machine, 7).ms;
  }
  const double regret = ms / fixed.ms - 1;
  std::printf("  %-28s %-32s fixed %2lld  %8.1f ms  best %8.1f ms  regret %+6.2f %%\n",
              name.c_str(), machine.name, static_cast<long long>(fixed.length), fixed.ms, ms,
              100 * regret);
  EXPECT_LE(regret, allowed) << name << ", " << machine.name;
}

std::vector<Trace> several(const std::vector<Stretch>& stretches, bool copies = false) {
  std::vector<Trace> traces;
  for (std::uint64_t seed = 1; seed <= 12; ++seed)
    traces.push_back(made_up("", stretches, seed, 16, copies));
  return traces;
}

TEST(WindowRegret, StationaryDrafters) {
  for (const Machine& machine : machines())
    for (const double h : {0.0, 0.05, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0})
      expect_no_regret("holds with " + std::to_string(h).substr(0, 4), several({{4000, h}}),
                       machine);
}

TEST(WindowRegret, DraftersThatSwitch) {
  for (const Machine& machine : machines()) {
    std::vector<Stretch> stretches;
    for (int i = 0; i < 20; ++i) stretches.push_back({100, i % 2 == 0 ? 0.95 : 0.02});
    expect_no_regret("copies in stretches of 100", several(stretches, true), machine);
    for (int i = 0; i < 110; ++i) stretches.push_back({100, i % 2 == 0 ? 0.95 : 0.02});
    for (Stretch& s : stretches) s.tokens = 30;
    // Where nine rows cost half as much again as eight and no stretch is longer than two drafts,
    // the wide draft that looks best after a hit mostly runs over the stretch's end.
    const bool step = machine.ratio[8] > 1.4 * machine.ratio[7];
    expect_no_regret("copies in stretches of 30", several(stretches, true), machine,
                     step ? 0.03 : most_regret);
    expect_no_regret("bad for long, then good", several({{1500, 0.0}, {500, 0.95}}, true), machine);
    expect_no_regret("good, then bad for long", several({{300, 0.95}, {1700, 0.0}}, true), machine);
  }
}

// What two drafters say at every token of what SmolLM2 said: prompt lookup, and SmolLM2 without two
// of its layers (tests/golden/layers_out.py). A session keeps its window from text to text, so one
// is used for all. All texts together may lose 2 %. Those of one category are a few hundred tokens,
// and every text may cost two rounds before its drafts rest (Best::Options::worst_loss).
TEST(WindowRegret, RecordedTexts) {
  for (const Machine& machine : machines()) {
    const bool lookup = machine.guess_ms < 0.01;
    const std::vector<Trace> all = recorded(lookup ? KEDGE_GOLDEN_DIR "/traces/smollm2-lookup.txt"
                                                   : KEDGE_GOLDEN_DIR "/traces/smollm2-model.txt");
    ASSERT_GE(all.size(), 40u);
    std::set<std::string> categories{""};
    for (const Trace& trace : all) categories.insert(trace.name.substr(0, trace.name.find(' ')));
    for (const std::string& category : categories) {
      std::vector<Trace> texts;
      for (const Trace& trace : all)
        if (trace.name.starts_with(category)) texts.push_back(trace);
      const Hindsight fixed = best_fixed(texts, machine);
      auto window = best();
      double ms = 0;
      for (const Trace& trace : texts) ms += run(window, trace, machine, 7).ms;
      const double learning = category.empty() ? 0 : 2.5 * machine.plain_ms * double(texts.size());
      std::printf("  %-28s %-32s fixed %2lld  %8.1f ms  best %8.1f ms  %s %+6.2f %%\n",
                  category.empty() ? "recorded, together" : category.c_str(), machine.name,
                  static_cast<long long>(fixed.length), fixed.ms, ms,
                  category.empty() ? "regret" : "but for learning",
                  100 * ((ms - learning) / fixed.ms - 1));
      EXPECT_LE(ms, (1 + most_regret) * fixed.ms + learning) << category << ", " << machine.name;
    }
  }
}

}  // namespace
}  // namespace kedge::tests
