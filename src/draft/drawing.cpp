#include "draft/drawing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kedge/core/math.hpp"
#include "kedge/core/os/fp_env.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"
#include "kedge/sample/noise.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

constexpr const char* place = "draft";
// What a guess is drawn from has no more tokens: beyond them is next to nothing, and verification
// looks at all.
constexpr std::int64_t longest_distribution = 256;

bool same(const SamplingOptions& a, const SamplingOptions& b) noexcept {
  return a.temperature == b.temperature && a.top_k == b.top_k && a.top_p == b.top_p &&
         a.min_p == b.min_p && a.repetition_penalty == b.repetition_penalty &&
         a.frequency_penalty == b.frequency_penalty && a.presence_penalty == b.presence_penalty &&
         a.penalty_window == b.penalty_window && a.seed == b.seed &&
         std::equal(a.logit_bias.begin(), a.logit_bias.end(), b.logit_bias.begin(),
                    b.logit_bias.end(), [](const LogitBias& x, const LogitBias& y) {
                      return x.token == y.token && x.bias == y.bias;
                    });
}

}  // namespace

Result<Drawing> Drawing::create(const Options& options) noexcept {
  Drawing drawing;
  drawing.isa_ = options.isa;
  drawing.target_ = options.target;
  drawing.allocator_ = options.allocator;
  if (options.to_target.size() > static_cast<std::size_t>(options.vocabulary))
    return fail(Code::invalid_argument, place,
                "to_target: expected at most the draft's %lld tokens, found %zu",
                static_cast<long long>(options.vocabulary), options.to_target.size());
  for (const std::int32_t id : options.to_target)
    if (id < -1 || id >= options.target)
      return fail(Code::invalid_argument, place, "to_target: expected -1..%lld, found %d",
                  static_cast<long long>(options.target - 1), id);
  const std::size_t map = options.to_target.size();
  const bool place_them = map > 0 || options.vocabulary < options.target;
  const std::size_t placed = place_them ? static_cast<std::size_t>(options.target) : 0;
  KEDGE_TRY(drawing.memory_,
            Buffer::create((map + placed) * sizeof(float), place, options.allocator));
  drawing.to_target_ = {drawing.memory_.as<std::int32_t>(), map};
  drawing.placed_ = {drawing.memory_.as<float>(map * sizeof(float)), placed};
  std::copy(options.to_target.begin(), options.to_target.end(), drawing.to_target_.begin());
  std::fill(drawing.placed_.begin(), drawing.placed_.end(),
            -std::numeric_limits<float>::infinity());
  if (options.ranks) {
    const auto words = static_cast<std::size_t>((options.target + 31) / 32);
    KEDGE_TRY(drawing.allowed_,
              Buffer::create(words * sizeof(std::uint32_t), place, options.allocator));
    std::fill_n(drawing.allowed_.as<std::uint32_t>(), words, ~std::uint32_t{0});
  }
  KEDGE_TRY(drawing.greedy_, Sampler::create(options.isa, options.target, {}, options.allocator));
  return drawing;
}

Status Drawing::prepare(const SamplingOptions& sampling) noexcept {
  if (prepared_ && same(sampling, sampler_.options())) return {};
  prepared_ = false;
  KEDGE_TRY(sampler_, Sampler::create(isa_, target_, sampling, allocator_));
  const auto entries = static_cast<std::size_t>(sampler_.most_tokens());
  KEDGE_TRY(from_, Buffer::create(entries * (8 + sizeof(Entry)), place, allocator_));
  prepared_ = true;
  return {};
}

std::span<const float> Drawing::for_target(std::span<const float> logits) noexcept {
  if (placed_.empty()) return logits.first(static_cast<std::size_t>(target_));
  if (to_target_.empty()) {
    std::copy(logits.begin(), logits.end(), placed_.begin());
  } else {
    for (std::size_t id = 0; id < to_target_.size(); ++id)
      if (to_target_[id] >= 0) placed_[static_cast<std::size_t>(to_target_[id])] = logits[id];
  }
  return placed_;
}

// Of an entry of `logits`, unless the drafter has said how likely it is or nobody asks.
float Drawing::probability(const Row& row, std::span<const float> logits, std::int32_t token,
                           const Ask& ask) const noexcept {
  const bool asked = ask.confidences || ask.least_confidence > 0;
  if (!asked || !std::isnan(row.confidence)) return row.confidence;
  const double temperature = ask.sampling->temperature;
  const os::ScopedFpEnv fp;
  const cpu::SampleRowUnit& unit = cpu::sample_row_unit(isa_);
  const auto count = static_cast<std::int64_t>(logits.size());
  const double scale = temperature > 0 ? 1 / temperature : 1;
  const bool known = row.largest >= 0 && logits.data() == row.logits.data();
  const float largest =
      known ? logits[static_cast<std::size_t>(row.largest)] : unit.largest(logits.data(), count);
  const float sum =
      unit.quick_sum_of_exponentials(logits.data(), count, largest, static_cast<float>(scale));
  const double distance =
      static_cast<double>(logits[static_cast<std::size_t>(token)]) - static_cast<double>(largest);
  return static_cast<float>(math::exp(distance * scale) / static_cast<double>(sum));
}

Result<Drawing::Drawn> Drawing::draw(const Row& row, const Ask& ask,
                                     std::span<const std::int32_t> text, const Draft& draft,
                                     std::int64_t most) noexcept {
  const double temperature = ask.sampling->temperature;
  // Unknown where the draft's largest is no token of the target's: then all are looked at.
  const std::int32_t largest = target_of(row.largest);
  if (sampler_.plain_greedy() && largest >= 0)
    return Drawn{largest, probability(row, row.logits, row.largest, ask), {}};
  Sampler::Draw d;
  d.logits = for_target(row.logits);
  d.largest = largest;
  d.position = ask.position + draft.size();
  d.text = text;
  d.drafts = draft.tokens();
  if (!ask.share_noise && temperature > 0 && most > 0)
    return draw_apart(d, ask, draft.size(), most);
  // Without the target's noise and without room for more the guess is the most probable token.
  Sampler& sampler = ask.share_noise || temperature == 0 ? sampler_ : greedy_;
  KEDGE_TRY(const std::int32_t token, sampler.choose(d));
  return Drawn{token, probability(row, d.logits, token, ask), {}};
}

Result<std::int32_t> Drawing::guess(const Row& row, const Ask& ask,
                                    std::span<const std::int32_t> text, std::int64_t left,
                                    Draft& draft) noexcept {
  KEDGE_TRY(Drawn drawn, draw(row, ask, text, draft, draft.room() / left));
  if (!std::isnan(row.confidence)) drawn.confidence = row.confidence;
  if (drawn.confidence < ask.least_confidence) return -1;
  const std::int64_t guess = draft.size();
  draft.push(drawn.token, drawn.confidence);
  if (!drawn.from.empty())
    KEDGE_CHECK(draft.set_distribution(guess, drawn.from.tokens, drawn.from.probabilities));
  return drawn.token;
}

Result<std::int64_t> Drawing::rank(std::span<const float> logits, const Ask& ask,
                                   std::span<const std::int32_t> text,
                                   std::span<const std::int32_t> guesses,
                                   std::span<Ranked> ranked) noexcept {
  Sampler::Draw d;
  d.logits = for_target(logits);
  d.position = ask.position + static_cast<std::int64_t>(guesses.size());
  d.text = text;
  d.drafts = guesses;
  auto* allowed = allowed_.as<std::uint32_t>();
  const auto word = [](std::int32_t token) { return static_cast<std::size_t>(token) / 32; };
  const auto bit = [](std::int32_t token) { return std::uint32_t{1} << (token % 32); };
  std::size_t count = 0;
  Status failed = {};
  for (; count < ranked.size(); ++count) {
    const Result<std::int32_t> token = sampler_.choose(d);
    if (!token) {  // there may be fewer that can be drawn at all
      if (count == 0) failed = unexpected(token.error());
      break;
    }
    ranked[count].token = *token;
    allowed[word(*token)] &= ~bit(*token);
    d.allowed = {allowed, word(static_cast<std::int32_t>(target_) - 1) + 1};
  }
  for (std::size_t i = 0; i < count; ++i) allowed[word(ranked[i].token)] |= bit(ranked[i].token);
  KEDGE_CHECK(failed);

  const os::ScopedFpEnv fp;
  const double temperature = ask.sampling->temperature;
  const auto score = [&](std::int32_t token) {
    const double x = d.logits[static_cast<std::size_t>(token)];
    if (temperature == 0) return x;
    const std::uint64_t bits = noise::bits(ask.sampling->seed, d.position, token);
    return x - temperature * noise::log_exponential(bits);
  };
  double largest = score(ranked[0].token), sum = 0;
  if (temperature == 0) {
    const auto all = static_cast<std::int64_t>(d.logits.size());
    const cpu::SampleRowUnit& unit = cpu::sample_row_unit(isa_);
    const float top = unit.largest(d.logits.data(), all);
    sum = unit.sum_of_exponentials(d.logits.data(), all, top, 1);
    largest = top;
  } else {  // beyond the ranked ones is little
    for (std::size_t i = 0; i < count; ++i) sum += math::exp(score(ranked[i].token) - largest);
  }
  for (Ranked& r : ranked.first(count))
    r.chance = static_cast<float>(math::exp(score(r.token) - largest) / sum);
  return static_cast<std::int64_t>(count);
}

// With noise of its own. A guess may be drawn from any distribution that is said: the most probable
// tokens are enough, and spare verification the others.
Result<Drawing::Drawn> Drawing::draw_apart(const Sampler::Draw& d, const Ask& ask,
                                           std::int64_t step, std::int64_t most) noexcept {
  const auto room = static_cast<std::size_t>(sampler_.most_tokens());
  const std::span<std::int32_t> tokens(from_.as<std::int32_t>(), room);
  const std::span<float> probabilities(from_.as<float>(4 * room), room);
  const std::span<Entry> entries(from_.as<Entry>(8 * room), room);
  KEDGE_TRY(Distribution q, sampler_.distribution(d, tokens, probabilities));
  const auto kept = static_cast<std::size_t>(std::min(most, longest_distribution));
  if (const std::size_t count = q.tokens.size(); count > kept) {
    for (std::size_t i = 0; i < count; ++i) entries[i] = {q.probabilities[i], q.tokens[i]};
    const auto before = [](const Entry& a, const Entry& b) {
      return a.probability > b.probability || (a.probability == b.probability && a.token < b.token);
    };
    const auto end = entries.begin() + static_cast<std::ptrdiff_t>(kept);
    std::nth_element(entries.begin(), end, entries.begin() + static_cast<std::ptrdiff_t>(count),
                     before);
    std::sort(entries.begin(), end, before);
    float sum = 0;
    for (std::size_t i = 0; i < kept; ++i) sum += entries[i].probability;
    for (std::size_t i = 0; i < kept; ++i) {
      tokens[i] = entries[i].token;
      probabilities[i] = entries[i].probability / sum;
    }
    q = {tokens.first(kept), probabilities.first(kept)};
  }
  const std::int32_t token = kedge::draw(
      q, noise::uniform(ask.sampling->seed, {ask.position, noise::Stream::draft, step}));
  if (token < 0) return fail(Code::numeric, place, "a distribution without probability");
  return Drawn{token, *std::max_element(q.probabilities.begin(), q.probabilities.end()), q};
}

}  // namespace kedge::inline KEDGE_ABI::draft
