#include "common/statistics.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace kedge::tools {

namespace {

double share(std::int64_t a, std::int64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

std::string statistics_line(const Stats& s) {
  std::string line = fmt::format("{:.2f} tokens a round", s.tau());
  if (s.measured_speedup() > 0) line += fmt::format(", {:.2f} x plain", s.measured_speedup());
  if (s.expected_speedup() > 0) line += fmt::format(" (expected {:.2f})", s.expected_speedup());
  if (const double error = s.calibration_error(); error >= 0)
    line += fmt::format(", confidences off by {:.3f}", error);
  std::string reasons;
  for (const Stats::Reason& r : s.reason)
    if (r.text != nullptr && *r.text != 0)
      reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", r.text, r.rounds);
  if (!reasons.empty()) line += "; rounds: " + reasons;
  return line;
}

Table statistics_table(const Stats& s) {
  Table table = Table::of_pairs();
  const double prompt_rate =
      s.prefill_ms > 0 ? 1e3 * static_cast<double>(s.prompt_tokens) / s.prefill_ms : 0;
  table.row({"prompt", fmt::format("{} tokens in {:.1f} ms, {:.1f} tokens/s", s.prompt_tokens,
                                   s.prefill_ms, prompt_rate)});
  table.row({"generated", fmt::format("{} tokens in {:.1f} ms, {:.1f} tokens/s", s.tokens,
                                      s.decode_ms(), s.tokens_per_second())});
  table.row({"rounds", fmt::format("{}, mean acceptance length {:.3f}", s.rounds, s.tau())});
  table.row({"drafts", fmt::format("{} proposed, {} evaluated, {} accepted, {} rows undone",
                                   s.proposed, s.evaluated, s.accepted, s.rejected_rows)});
  if (s.rerun_rows > 0)
    table.row(
        {"evaluated again", fmt::format("{} rows, behind which no state was kept", s.rerun_rows)});
  table.row(
      {"ms per phase",
       fmt::format("prompt {:.1f}, draft {:.1f}, target {:.1f}, verify {:.1f}, commit {:.1f}, "
                   "emit {:.1f}",
                   s.prefill_ms, s.draft_ms, s.target_ms, s.verify_ms, s.commit_ms, s.emit_ms)});
  // Unconditional: the share of all rounds in which the draft held up to and including this place.
  std::string survival;
  for (std::size_t i = 0; i < s.held.size() && s.reached[i] > 0; ++i)
    survival += fmt::format("{}{:.2f}", i == 0 ? "" : " ",
                            static_cast<double>(s.held[i]) / static_cast<double>(s.rounds));
  if (!survival.empty()) table.row({"accepted by position", survival});
  if (s.proposed > 0) table.row({"speculation", statistics_line(s)});
  return table;
}

nlohmann::json statistics_json(const Stats& s) {
  nlohmann::json reached = nlohmann::json::array(), held = reached, width = reached;
  for (std::size_t i = 0; i < s.held.size() && s.reached[i] > 0; ++i) {
    reached.push_back(s.reached[i]);
    held.push_back(s.held[i]);
  }
  std::size_t widest = s.width.size();
  while (widest > 0 && s.width[widest - 1] == 0) --widest;
  for (std::size_t n = 0; n < widest; ++n) width.push_back(s.width[n]);
  nlohmann::json conditional = nlohmann::json::array(), survival = conditional;
  for (std::size_t i = 0; i < s.held.size() && s.reached[i] > 0; ++i) {
    survival.push_back(s.survival(i));
    conditional.push_back(s.conditional(i));
  }
  nlohmann::json sources = nlohmann::json::array(), bins = sources, reasons = sources;
  std::size_t last = s.source.size();
  while (last > 0 && s.source[last - 1].rounds == 0) --last;
  for (std::size_t i = 0; i < last; ++i)
    sources.push_back({{"rounds", s.source[i].rounds},
                       {"proposed", s.source[i].proposed},
                       {"evaluated", s.source[i].evaluated},
                       {"accepted", s.source[i].accepted}});
  for (std::size_t i = 0; i < s.bin.size(); ++i)
    if (const Stats::Bin& b = s.bin[i]; b.guesses > 0)
      bins.push_back({{"from", static_cast<double>(i) / static_cast<double>(s.bin.size())},
                      {"guesses", b.guesses},
                      {"confidence", b.confidence / static_cast<double>(b.guesses)},
                      {"held", share(b.held, b.guesses)}});
  for (const Stats::Reason& r : s.reason)
    if (r.text != nullptr && *r.text != 0)
      reasons.push_back({{"reason", r.text}, {"rounds", r.rounds}, {"drafts", r.drafts}});
  nlohmann::json calibration = {{"bins", bins}};
  if (!bins.empty()) calibration["error"] = s.calibration_error();
  return {{"prompt_tokens", s.prompt_tokens},
          {"survival_by_position", survival},
          {"conditional_by_position", conditional},
          {"sources", sources},
          {"calibration", calibration},
          {"plain_rounds", s.plain_rounds},
          {"plain_round_ms",
           s.plain_rounds > 0 ? s.plain_ms / static_cast<double>(s.plain_rounds) : 0.0},
          {"measured_speedup", s.measured_speedup()},
          {"expected_speedup", s.expected_speedup()},
          {"choices", reasons},
          {"tokens", s.tokens},
          {"rounds", s.rounds},
          {"tau", s.tau()},
          {"tokens_per_second", s.tokens_per_second()},
          {"proposed", s.proposed},
          {"evaluated", s.evaluated},
          {"accepted", s.accepted},
          {"rejected_rows", s.rejected_rows},
          {"rerun_rows", s.rerun_rows},
          {"reached_by_position", reached},
          {"held_by_position", held},
          {"rounds_by_width", width},
          {"prefill_ms", s.prefill_ms},
          {"draft_ms", s.draft_ms},
          {"target_ms", s.target_ms},
          {"verify_ms", s.verify_ms},
          {"commit_ms", s.commit_ms},
          {"emit_ms", s.emit_ms}};
}

}  // namespace kedge::tools
