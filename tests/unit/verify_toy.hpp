// A toy of two models over few tokens, p and q of which depend on the text, and rounds of
// speculation on it: what verification is tried on until its statistics show.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "kedge/verify/block.hpp"
#include "unit/chi_square.hpp"

namespace kedge::tests {

enum class Method { rejection, block };

struct Toy {
  std::int32_t vocabulary = 4;
  std::int64_t drafts = 3;
  double likeness = 0.5;   // of q to p: 1 is the same
  bool certain = false;    // guesses are q's most likely token, and have no distribution
  std::int32_t words = 0;  // that the drafter knows: the others have q = 0; 0: all
  double top_p = 1;        // of p
  std::uint64_t seed = 1;

  // Probabilities after a text, of all tokens; deterministic noise of the last two tokens.
  std::vector<double> weights(const std::vector<std::int32_t>& text, std::uint64_t salt) const {
    std::uint64_t state = seed * 1000 + salt;
    for (std::size_t i = text.size() < 2 ? 0 : text.size() - 2; i < text.size(); ++i)
      state = state * 31 + static_cast<std::uint64_t>(text[i]) + 1;
    std::mt19937_64 rng(state);
    std::vector<double> w;
    for (std::int32_t t = 0; t < vocabulary; ++t)
      w.push_back(std::exp(3 * static_cast<double>(rng() >> 11) * 0x1p-53));
    return w;
  }
  static void normalize(std::vector<double>& w) {
    double sum = 0;
    for (const double x : w) sum += x;
    for (double& x : w) x /= sum;
  }
  std::vector<double> p(const std::vector<std::int32_t>& text) const {
    std::vector<double> w = weights(text, 1);
    normalize(w);
    if (top_p < 1) {
      std::vector<double> sorted = w;
      std::sort(sorted.rbegin(), sorted.rend());
      double mass = 0, least = 1;
      for (const double x : sorted)
        if (mass < top_p) {
          mass += x;
          least = x;
        }
      for (double& x : w) x = x < least ? 0 : x;
      normalize(w);
    }
    return w;
  }
  std::vector<double> q(const std::vector<std::int32_t>& text) const {
    std::vector<double> ours = weights(text, 1), other = weights(text, 2);
    normalize(ours);
    normalize(other);
    for (std::size_t i = 0; i < ours.size(); ++i)
      ours[i] = likeness * ours[i] + (1 - likeness) * other[i];
    if (words > 0) std::fill(ours.begin() + words, ours.end(), 0);
    normalize(ours);
    return ours;
  }
};

// Lists of tokens with a probability, in an order that is not that of the tokens.
struct Listed {
  std::vector<std::int32_t> tokens;
  std::vector<float> probabilities;
  explicit Listed(const std::vector<double>& p) {
    for (std::size_t i = p.size(); i-- > 0;)
      if (p[i] > 0) {
        tokens.push_back(static_cast<std::int32_t>(i));
        probabilities.push_back(static_cast<float>(p[i]));
      }
  }
  Distribution view() const { return {tokens, probabilities}; }
};

// The lists of all contexts, made once.
struct World {
  explicit World(const Toy& t) : toy(t) {
    for (std::int32_t a = -1; a < toy.vocabulary; ++a)
      for (std::int32_t b = -1; b < toy.vocabulary; ++b) {
        std::vector<std::int32_t> text;
        if (a >= 0) text.push_back(a);
        if (b >= 0) text.push_back(b);
        p.emplace_back(toy.p(text));
        q.emplace_back(toy.q(text));
      }
  }
  // Of a text, by its last two tokens.
  std::size_t context(const std::vector<std::int32_t>& text) const {
    const std::size_t n = text.size();
    const std::int32_t a = n > 1 ? text[n - 2] : -1, b = n > 0 ? text[n - 1] : -1;
    return static_cast<std::size_t>((a + 1) * (toy.vocabulary + 1) + b + 1);
  }
  Toy toy;
  std::vector<Listed> p, q;
};

struct Played {
  std::vector<std::int32_t> text;
  std::int64_t rounds = 0, accepted = 0;
};

// Rounds until there are `length` tokens. `noise` makes the numbers of a round from its position:
// noise(position)(stream, step).
template <class Noise>
Played play(const World& world, Method method, std::int64_t length, Noise&& noise) {
  static auto draft = *draft::Draft::create({.capacity = 8, .probabilities = 256});
  static auto residual = *verify::Residual::create(64);
  const Toy& toy = world.toy;
  Played played;
  while (static_cast<std::int64_t>(played.text.size()) < length) {
    const auto uniform = noise(static_cast<std::int64_t>(played.text.size()));
    draft.clear();
    std::vector<std::int32_t> ahead = played.text;
    for (std::int64_t i = 0; i < toy.drafts; ++i) {
      const Listed& q = world.q[world.context(ahead)];
      const auto best = std::max_element(q.probabilities.begin(), q.probabilities.end());
      const std::int32_t token =
          toy.certain ? q.tokens[static_cast<std::size_t>(best - q.probabilities.begin())]
                      : kedge::draw(q.view(), uniform(noise::Stream::draft, i));
      draft.push(token);
      if (!toy.certain && !draft.set_distribution(i, q.tokens, q.probabilities)) std::abort();
      ahead.push_back(token);
    }
    const auto offer = [&](std::int64_t row) {
      std::vector<std::int32_t> before = played.text;
      before.insert(before.end(), draft.tokens().begin(), draft.tokens().begin() + row);
      return verify::Offered{world.p[world.context(before)].view()};
    };
    const verify::Accepted a = method == Method::block
                                   ? verify::block(draft, offer, uniform, residual)
                                   : verify::rejection(draft, offer, uniform, residual);
    played.text.insert(played.text.end(), draft.tokens().begin(), draft.tokens().begin() + a.count);
    played.text.push_back(a.next);
    ++played.rounds;
    played.accepted += a.count;
  }
  return played;
}

// Of `draws` texts of `length` tokens: whether all texts are as frequent as p makes them.
template <class Noise>
ChiSquare test_texts(const Toy& toy, Method method, std::int64_t length, int draws, Noise&& noise) {
  std::size_t texts = 1;
  for (std::int64_t i = 0; i < length; ++i) texts *= static_cast<std::size_t>(toy.vocabulary);
  std::vector<double> probability(texts, 1);
  for (std::size_t n = 0; n < texts; ++n) {
    std::vector<std::int32_t> text;
    std::size_t rest = n;
    for (std::int64_t i = 0; i < length; ++i) {
      const auto token = static_cast<std::int32_t>(rest % static_cast<std::size_t>(toy.vocabulary));
      rest /= static_cast<std::size_t>(toy.vocabulary);
      probability[n] *= toy.p(text)[static_cast<std::size_t>(token)];
      text.push_back(token);
    }
  }
  const World world(toy);
  std::vector<long> seen(texts);
  for (int i = 0; i < draws; ++i) {
    const Played played =
        play(world, method, length, [&](std::int64_t position) { return noise(i, position); });
    std::size_t n = 0;
    for (std::int64_t at = length; at-- > 0;)
      n = n * static_cast<std::size_t>(toy.vocabulary) +
          static_cast<std::size_t>(played.text[static_cast<std::size_t>(at)]);
    ++seen[n];
  }
  return chi_square(probability, seen);
}

}  // namespace kedge::tests
