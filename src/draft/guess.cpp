// The Gumbel-max trick over few candidates (sample/noise.hpp), keyed by the target's token, so that
// a drafter with a smaller vocabulary meets the same noise as its target.
#include "draft/guess.hpp"

#include <algorithm>

#include "kedge/core/math.hpp"
#include "kedge/kernel/cpu/top_k.hpp"
#include "kedge/sample/noise.hpp"

namespace kedge::inline KEDGE_ABI::draft {

Result<Guesser> Guesser::create(const Cpu& cpu, std::int64_t vocabulary, std::int64_t support,
                                const std::int32_t* map, const Allocator& allocator) noexcept {
  if (support < 1 || support > op::TopK::max_k)
    return fail(Code::invalid_argument, "draft", "support: expected 1..%d, found %lld",
                op::TopK::max_k, static_cast<long long>(support));
  Guesser g;
  g.cpu_ = cpu;
  g.map_ = map;
  g.top_.k = static_cast<std::int32_t>(std::min(support, vocabulary));
  g.top_.x = tensor(nullptr, Element::f32, 1, vocabulary);
  KEDGE_CHECK(op::TopK::infer(g.top_));
  Tensor* const parts[] = {&g.top_.index, &g.top_.value, &g.top_.scratch};
  std::size_t bytes = static_cast<std::size_t>(g.top_.k) * 8;  // tokens and probabilities
  for (const Tensor* t : parts) bytes += t->bytes();
  KEDGE_TRY(g.memory_, Buffer::create(bytes, "candidates of guesses", allocator));
  std::byte* at = g.memory_.data() + static_cast<std::size_t>(g.top_.k) * 8;
  for (Tensor* t : parts) {
    t->data = at;
    at += t->bytes();
  }
  return g;
}

Result<std::int32_t> Guesser::push(const Ask& ask, std::int64_t step, const Tensor& logits,
                                   std::int32_t choice, float confidence, Draft& draft) noexcept {
  const double temperature = ask.sampling->temperature;
  if (temperature == 0) {
    draft.push(target(choice), confidence);
    return target(choice);
  }
  top_.x = logits;
  KEDGE_CHECK(cpu_.run<op::TopK>(top_, 1));
  const std::int32_t* index = top_.index.as<std::int32_t>();
  const float* value = top_.value.as<float>();
  auto* tokens = memory_.as<std::int32_t>();
  auto* probabilities = reinterpret_cast<float*>(tokens + top_.k);
  const noise::Place place = ask.share_noise
                                 ? noise::Place{ask.position + step}
                                 : noise::Place{ask.position, noise::Stream::draft, step};
  std::int32_t winner = 0;
  double best = 0, sum = 0;
  for (std::int32_t i = 0; i < top_.k; ++i) {
    tokens[i] = target(index[i]);
    const double score = double{value[i]} / temperature -
                         noise::log_exponential(noise::bits(ask.sampling->seed, place, tokens[i]));
    if (i == 0 || score > best) {
      best = score;
      winner = i;
    }
    const double weight = math::exp((double{value[i]} - double{value[0]}) / temperature);
    probabilities[i] = static_cast<float>(weight);
    sum += weight;
  }
  const std::int32_t token = tokens[winner];
  draft.push(token, confidence);
  if (ask.share_noise) return token;
  for (std::int32_t i = 0; i < top_.k; ++i)
    probabilities[i] = static_cast<float>(double{probabilities[i]} / sum);
  const auto count = static_cast<std::size_t>(top_.k);
  if (draft.set_distribution(draft.size() - 1, {tokens, count}, {probabilities, count}))
    return token;
  draft.cut(draft.size() - 1);
  return -1;
}

}  // namespace kedge::inline KEDGE_ABI::draft
