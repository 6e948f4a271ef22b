#include "kedge/spec/best.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kedge::inline KEDGE_ABI::window {

namespace {

// Drafts that take less of a plain round than this are asked for in every round,
constexpr double negligible = 0.004;
// those below this in so many rounds that they take as much, when they are not used.
constexpr double small = 0.05;

}  // namespace

void Best::begin() noexcept {
  acceptance_.begin();
  now_.size = later_.size = 0;
  after_hit_ = false;
  // A new text owes nothing for the last, and cannot live on its gains.
  balance_ms_ = total_ms_ = 0;
  run_ms_ = 0;
  rounds_ = 0;
  idle_ = 0;
  tries_ms_ = 2 * costs_.plain_ms();
}

void Best::choose(const char* reason, std::int64_t length, double tokens, double ms) noexcept {
  choice_ = {reason, length, tokens, ms, costs_.plain_ms()};
}

bool Best::cheap(std::int64_t most) const noexcept {
  return draft_cost_.known() && draft_cost_.ms(most) < small * costs_.plain_ms();
}

// What is won or lost by luck grows with the root of the rounds.
bool Best::rests() const noexcept {
  const double lost = options_.worst_loss + 0.3 * std::sqrt(static_cast<double>(rounds_));
  return balance_ms_ < -lost * costs_.plain_ms() - options_.explore * total_ms_;
}

// By what drafts were worth lately: how often they got so long, times how likely that is to hold.
std::int64_t Best::longest_worth_asking(std::int64_t most, double& quotient) const noexcept {
  const double plain = costs_.plain_ms();
  double tokens = 1, survival = 1, worth = 0, worthiest = 0, guesses = 0, pass = plain;
  std::int64_t best = 0, with_worth = 0;
  quotient = 0;
  for (std::int64_t k = 1; k <= most; ++k) {
    const auto i = static_cast<std::size_t>(k - 1);
    survival *= acceptance_.holds({source_, k - 1, draft::Draft::unknown, after_hit_});
    // A hit shows that a good stretch has begun, which is worth more than its own tokens.
    if (k == 1 && !after_hit_) worth = survival * hit_worth_ms_;
    const double reach = offered_[std::min(i, offered_.size() - 1)].share(1, 1);
    tokens += reach * survival;
    guesses += reach;
    // A drafter that has nothing to offer takes little time, and a pass has the rows of what was
    // offered only.
    pass += reach * (costs_.hopeful_ms(1 + k) - costs_.hopeful_ms(k));
    const double ms = draft_cost_.ms(guesses) + pass;
    if (tokens * plain > quotient * ms) {
      quotient = tokens * plain / ms;
      best = k;
    }
    if (tokens * plain + worth > worthiest * ms) {
      worthiest = (tokens * plain + worth) / ms;
      with_worth = k;
    }
  }
  if (quotient > 1 + options_.margin || worthiest <= 1 + options_.margin) return best;
  quotient = worthiest;
  return with_worth;
}

// What guesses are worth behind those that are asked for, and what more rows cost, is never seen
// unless somebody looks. By what is believed of them, looking loses this much; it may, now and
// then. Drafts beyond seven guesses say enough of those behind: to look further there only measured
// more widths, which lost 1.7 % (window_regret_test, drafts that hold with 0.95).
std::int64_t Best::longer(std::int64_t length, std::int64_t most) noexcept {
  const std::int64_t tried = std::min(most, 2 * length + 1);
  if (length < 1 || length > 7 || tried == length ||
      offered_[static_cast<std::size_t>(tried - 1)].share(1, 1) < 0.5)
    return length;
  double tokens = 1, survival = 1, tokens_asked = 1;
  for (std::int64_t k = 1; k <= tried; ++k) {
    survival *= acceptance_.holds({source_, k - 1, draft::Draft::unknown, after_hit_});
    tokens += survival;
    if (k == length) tokens_asked = tokens;
  }
  const double ms = draft_cost_.ms(length) + costs_.ms(1 + length);
  const double loss = draft_cost_.ms(tried) + costs_.ms(1 + tried) - ms * tokens / tokens_asked;
  if (looks_ms_ < loss) return length;
  looks_ms_ -= std::max(loss, 0.0);
  looking_ = true;
  return tried;
}

std::int64_t Best::ask(std::int64_t most, std::int64_t) noexcept {
  now_.size = 0;
  trying_ = looking_ = false;
  most = std::min({most, options_.max, room});
  choose("nothing to draft", 0, 1, costs_.plain_ms());
  if (most <= 0) return 0;
  choose("nothing proposed", 0, 1, costs_.plain_ms());
  if (!costs_.known()) {
    choose("first rounds are plain", 0, 1, 0);
    return std::min<std::int64_t>(most, 8);  // its cost, and whether it would have held
  }
  if (!draft_cost_.known()) return most;
  if (cheap(most)) {
    // While drafts are of no use, ask in so few rounds that it does not matter.
    const double share = draft_cost_.ms(most) / costs_.plain_ms();
    const bool used = after_hit_ || share < negligible;
    const auto every = static_cast<std::int64_t>(share / negligible) + 1;
    if (used || ++idle_ >= every) {
      idle_ = 0;
      return most;
    }
    choose("drafts fail lately", 0, 1, costs_.plain_ms());
    return 0;
  }
  double quotient = 0;
  const std::int64_t length = longest_worth_asking(most, quotient);
  if (quotient > 1 + options_.margin && !rests()) return longer(length, most);
  const std::int64_t probe = std::max<std::int64_t>(1, length);
  const double cost = draft_cost_.ms(probe) + costs_.ms(1 + probe) - costs_.plain_ms();
  if (tries_ms_ >= cost) {
    tries_ms_ -= cost;
    trying_ = true;
    return probe;
  }
  choose(rests() ? "drafts have cost too much" : "drafts would not pay", 0, 1, costs_.plain_ms());
  return 0;
}

std::int64_t Best::keep(const draft::Draft& draft, std::int64_t most) noexcept {
  most = std::min({most, draft.size(), options_.max, room});
  now_.source = source_ = draft.source;
  now_.after_hit = after_hit_;
  now_.matched = 0;
  now_.size = 0;
  bool drawn = false;
  for (std::int64_t i = 0; i < most; ++i) drawn = drawn || !draft.distribution(i).empty();
  const bool chain = draft.chain();
  for (std::int64_t i = 0; i < most; ++i) {
    const auto n = static_cast<std::size_t>(i);
    now_.tokens[n] = draft.tokens()[n];
    // A drafter may take the guess's own probability for its confidence, and guesses that were
    // drawn must not be chosen by what was drawn (spec/window.hpp).
    now_.confidences[n] = drawn ? draft::Draft::unknown : draft.confidences()[n];
  }
  // What a guess that was drawn would have been worth, its token alone does not say.
  now_.size = chain && !drawn ? most : 0;
  if (!costs_.known() || most <= 0) return 0;

  double tokens = 1, best_rate = 0, best_tokens = 1;
  std::int64_t best = 0;
  std::array<double, room> survival{};
  const double plain = costs_.plain_ms();
  const double sunk = cheap(most) ? 0 : draft_cost_.ms(most);
  for (std::int64_t k = 0; k <= most; ++k) {
    if (k > 0) {
      const auto i = static_cast<std::size_t>(k - 1);
      const std::int32_t parent = draft.parents()[i];
      std::int64_t depth = 0;
      for (std::int32_t at = parent; at >= 0; at = draft.parents()[static_cast<std::size_t>(at)])
        ++depth;
      // In a tree, of the guesses behind one only one can hold; the first is the likeliest.
      bool first = true;
      for (std::size_t other = 0; other < i && !chain; ++other)
        first = first && draft.parents()[other] != parent;
      const double holds =
          acceptance_.holds({now_.source, depth, now_.confidences[i], now_.after_hit});
      survival[i] = (parent < 0 ? 1 : survival[static_cast<std::size_t>(parent)]) *
                    (first ? holds : 0.4 * (1 - holds));
      tokens += survival[i];
    }
    const double rate = tokens / (sunk + costs_.hopeful_ms(1 + k));
    const double needed = k == 0 ? 0 : best == 0 ? best_rate * (1 + options_.margin) : best_rate;
    if (rate > needed) {
      best = k;
      best_rate = rate;
      best_tokens = tokens;
    } else if (drawn && k > 0) {
      break;  // what is behind must not be looked at (spec/window.hpp)
    }
  }
  if (looking_) {
    best = most;
    choose("a longer try", best, tokens, sunk + costs_.ms(1 + best));
  } else if (trying_) {
    best = std::max<std::int64_t>(best, 1);
    choose("a try", best, best_tokens, sunk + costs_.ms(1 + best));
  } else if (best > 0 && rests()) {
    choose("drafts have cost too much", 0, 1, sunk + plain);
    best = 0;
  } else if (best == 0 && now_.size == 0 && tries_ms_ >= costs_.ms(2) - plain) {
    tries_ms_ -= costs_.ms(2) - plain;
    best = 1;
    choose("a try", best, best_tokens, sunk + costs_.ms(2));
  } else {
    choose(best > 0 ? "most tokens per second" : "drafts would not pay", best, best_tokens,
           sunk + costs_.ms(1 + best));
  }
  return best;
}

spec::Acceptance::Guess Best::guess_of(const Shadow& shadow, std::int64_t i) const noexcept {
  return {shadow.source, i, shadow.confidences[static_cast<std::size_t>(i)], shadow.after_hit};
}

// Compares guesses with new tokens; false when all is known about them.
bool Best::follow(Shadow& shadow, std::span<const std::int32_t> tokens) noexcept {
  for (const std::int32_t token : tokens) {
    if (shadow.matched >= shadow.size) return false;
    const bool held = shadow.tokens[static_cast<std::size_t>(shadow.matched)] == token;
    acceptance_.see(guess_of(shadow, shadow.matched), held);
    if (!held) return false;
    ++shadow.matched;
  }
  return shadow.matched < shadow.size;
}

void Best::learn(const Trial& t) noexcept {
  const double pass_ms = t.target_ms + t.other_ms;
  const double plain_before = costs_.plain_ms();
  const bool was_hit = after_hit_;
  costs_.see(t.rows, pass_ms);
  if (t.asked > 0) {
    draft_cost_.see(t.proposed, t.draft_ms);
    for (std::int64_t i = 0; i < std::min(t.asked, room); ++i)
      offered_[static_cast<std::size_t>(i)].see(t.proposed > i);
  }

  const bool shadows = now_.size > 0 && !t.tokens.empty();
  if (shadows) {
    // An older draft first: what it says of these tokens was said earlier.
    if (later_.size > 0 && !follow(later_, t.tokens)) later_.size = 0;
    const bool open = follow(now_, t.tokens);
    after_hit_ = now_.matched > 0;
    // One that broke off where its last evaluated guess was rejected has nothing more to say.
    if (open && later_.size == 0) later_ = now_;
  } else {
    if (later_.size > 0 && (t.tokens.empty() || !follow(later_, t.tokens))) later_.size = 0;
    if (t.kept > 0) {
      Shadow& shadow = now_;
      for (std::int64_t i = 0; i < std::min(t.evaluated, room); ++i)
        acceptance_.see(guess_of(shadow, i), i < t.accepted);
      after_hit_ = t.accepted > 0;
    }
  }

  const double plain = costs_.plain_ms();
  if (!(plain_before > 0)) {
    tries_ms_ = 2 * plain;
    return;
  }
  const double most = 8 * plain;
  double won = 0;
  total_ms_ += t.round_ms();
  ++rounds_;
  if (t.kept > 0 || (t.asked > 0 && !cheap(t.asked)))
    // By estimates of both: times themselves have outliers, which estimates leave out.
    won = static_cast<double>(1 + t.accepted) * plain - costs_.ms(t.rows) -
          (t.asked > 0 ? draft_cost_.ms(t.proposed) : 0);
  if (t.asked == 0) acceptance_.rest(source_);
  // What a hit led to: all that was won until the next miss.
  if (was_hit) run_ms_ += won;
  if (was_hit && !after_hit_) {
    hit_worth_ms_ += 0.2 * (std::max(run_ms_, 0.0) - hit_worth_ms_);
    run_ms_ = 0;
  }
  balance_ms_ += won;
  tries_ms_ += std::max(options_.explore * t.round_ms(), options_.reinvest * won);
  tries_ms_ = std::min(most, tries_ms_);
  looks_ms_ = std::min(2 * plain, looks_ms_ + options_.look * t.round_ms());
  // A guess that would have held shows that the bad stretch is over.
  if (shadows && t.kept == 0 && now_.matched > 0 && rests()) balance_ms_ += 0.25 * plain;
}

}  // namespace kedge::inline KEDGE_ABI::window
