// SuffixAutomaton: all substrings of a text and how often each occurs, built token by token
// (Blumer et al. 1985, "The smallest automaton recognizing the subwords of a text"). A state stands
// for substrings that end at the same places; its link leads to the longest suffix of them that
// ends at more places. At most two states and three edges per token.
//
// Occurrences are counted for substrings up to a depth and one more: a new token adds one to every
// state on the path of links from the longest such suffix of the text, so that even a text of one
// token over and over costs no more than that depth per token. Every append can be undone exactly,
// newest first: what it made is at the end of each list, and what it changed is written down.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <new>
#include <span>

#include "kedge/core/buffer.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class SuffixAutomaton {
 public:
  struct Options {
    std::int64_t capacity = 8193;  // tokens
    std::int32_t depth = 64;       // longest suffix that is looked at
    Allocator allocator = default_allocator();
  };

  // Where a suffix stands: a state and how many tokens of it are meant.
  struct Place {
    std::int32_t state = 0, length = 0;
  };

  static Result<SuffixAutomaton> create(const Options& options) noexcept {
    if (options.capacity < 1 || options.capacity > std::int64_t{1} << 28 || options.depth < 1)
      return fail(Code::invalid_argument, "suffix automaton",
                  "expected a capacity of 1..2^28 tokens and a depth of 1 or more, found %lld, %d",
                  static_cast<long long>(options.capacity), options.depth);
    SuffixAutomaton a;
    a.capacity_ = options.capacity;
    a.depth_ = options.depth;
    const auto n = static_cast<std::size_t>(options.capacity);
    const std::size_t states = 2 * n + 1, edges = 3 * n + 4, slots = std::bit_ceil(2 * edges);
    // Redirected edges: each one shortens, by a link, the path that the next append begins with.
    const std::size_t redirected = 2 * n + 2;
    a.slot_mask_ = slots - 1;
    KEDGE_TRY(a.memory_,
              Buffer::create(states * sizeof(State) + edges * sizeof(Edge) + n * sizeof(Step) +
                                 (redirected + slots + n) * sizeof(std::int32_t),
                             "suffix automaton", options.allocator));
    std::byte* memory = a.memory_.data();
    const auto take = [&memory]<class T>(std::span<T>& span, std::size_t count) {
      span = {new (memory) T[count], count};
      memory += count * sizeof(T);
    };
    take(a.states_, states);
    take(a.edges_, edges);
    take(a.steps_, n);
    take(a.redirected_, redirected);
    take(a.slots_, slots);
    take(a.tokens_, n);
    a.clear();
    return a;
  }
  SuffixAutomaton() noexcept = default;

  void clear() noexcept {
    states_[0] = {0, -1, -1, 0};
    state_count_ = 1;
    edge_count_ = redirected_count_ = 0;
    size_ = 0;
    last_ = 0;
    tail_ = {};
    std::fill(slots_.begin(), slots_.end(), -1);
  }

  std::int64_t size() const noexcept { return size_; }
  std::int32_t depth() const noexcept { return depth_; }
  std::span<const std::int32_t> text() const noexcept {
    return tokens_.first(static_cast<std::size_t>(size_));
  }

  // Code::out_of_memory when the text would be longer than the capacity; then nothing changes.
  Status append(std::span<const std::int32_t> tokens) noexcept {
    const auto count = static_cast<std::int64_t>(tokens.size());
    if (count > capacity_ - size_)
      return fail(Code::out_of_memory, "suffix automaton",
                  "history holds %lld tokens, asked for %lld", static_cast<long long>(capacity_),
                  static_cast<long long>(size_ + count));
    for (const std::int32_t token : tokens) append(token);
    return {};
  }
  // The text becomes its first `count` tokens.
  void truncate(std::int64_t count) noexcept {
    while (size_ > std::max<std::int64_t>(count, 0)) undo();
  }

  // The text's longest suffix within the depth.
  Place tail() const noexcept { return within(tail_, depth_); }
  // The next shorter suffix that occurs more often; length 0 is the empty one.
  Place shorter(Place place) const noexcept {
    const std::int32_t link = states_[index(place.state)].link;
    return link < 0 ? Place{0, 0} : Place{link, states_[index(link)].length};
  }
  std::int64_t occurrences(Place place) const noexcept {
    return place.state == 0 ? size_ : states_[index(place.state)].occurrences;
  }
  // With one token more, as far as the depth goes; length 0 where that does not occur.
  Place after(Place place, std::int32_t token) const noexcept { return step(place, token, depth_); }
  // Calls visit(token, occurrences) for everything that followed the place, within the depth; what
  // followed it for the first time last comes first.
  template <class Visit>
  void followers(Place place, Visit&& visit) const noexcept {
    for (std::int32_t e = states_[index(place.state)].first_edge; e >= 0; e = edges_[index(e)].next)
      visit(edges_[index(e)].token, states_[index(edges_[index(e)].target)].occurrences);
  }

 private:
  struct State {
    std::int32_t length, link, first_edge, occurrences;
  };
  struct Edge {
    std::int32_t from, token, target, next;
  };
  struct Step {  // how things stood before a token
    std::int32_t edges, redirected, split, last;
    Place tail;
  };

  static std::size_t index(std::int32_t i) noexcept { return static_cast<std::size_t>(i); }

  std::size_t slot(std::int32_t from, std::int32_t token) const noexcept {
    const std::uint64_t key =
        std::uint64_t{static_cast<std::uint32_t>(from)} << 32 | static_cast<std::uint32_t>(token);
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 20) & slot_mask_;
  }
  std::int32_t find(std::int32_t from, std::int32_t token) const noexcept {
    for (std::size_t s = slot(from, token);; s = (s + 1) & slot_mask_) {
      const std::int32_t e = slots_[s];
      if (e < 0 || (edges_[index(e)].from == from && edges_[index(e)].token == token)) return e;
    }
  }
  void add_edge(std::int32_t from, std::int32_t token, std::int32_t target) noexcept {
    State& state = states_[index(from)];
    std::size_t s = slot(from, token);
    while (slots_[s] >= 0) s = (s + 1) & slot_mask_;
    slots_[s] = edge_count_;
    edges_[index(edge_count_)] = {from, token, target, state.first_edge};
    state.first_edge = edge_count_++;
  }
  // The newest edge: it was the last to take a slot, so that no other one lies behind it.
  // (A list that split() copied goes with its state; its order is of no account then.)
  void remove_edge() noexcept {
    const std::int32_t e = --edge_count_;
    const Edge& edge = edges_[index(e)];
    states_[index(edge.from)].first_edge = edge.next;
    std::size_t s = slot(edge.from, edge.token);
    while (slots_[s] != e) s = (s + 1) & slot_mask_;
    slots_[s] = -1;
  }

  // The state that has the suffix of this length, which may be shorter than the state's longest.
  Place within(Place place, std::int32_t depth) const noexcept {
    place.length = std::min(place.length, depth);
    while (place.state > 0 &&
           states_[index(states_[index(place.state)].link)].length >= place.length)
      place.state = states_[index(place.state)].link;
    return place;
  }
  Place step(Place place, std::int32_t token, std::int32_t depth) const noexcept {
    const std::int32_t edge = find(place.state, token);
    if (edge < 0) return {0, 0};
    return within({edges_[index(edge)].target, place.length + 1}, depth);
  }

  void append(std::int32_t token) noexcept {
    steps_[static_cast<std::size_t>(size_)] = {edge_count_, redirected_count_, -1, last_, tail_};
    tokens_[static_cast<std::size_t>(size_)] = token;
    const std::int32_t made = state_count_++;
    states_[index(made)] = {static_cast<std::int32_t>(size_) + 1, 0, -1, 0};
    std::int32_t p = last_, e = -1;
    for (; p >= 0 && (e = find(p, token)) < 0; p = states_[index(p)].link) add_edge(p, token, made);
    if (p >= 0) {
      const std::int32_t q = edges_[index(e)].target;
      if (states_[index(q)].length == states_[index(p)].length + 1) states_[index(made)].link = q;
      else states_[index(made)].link = split(q, p, token);
    }
    last_ = made;
    ++size_;
    tail_ = step(tail_, token, depth_ + 1);
    for (std::int32_t s = tail_.state; s > 0; s = states_[index(s)].link)
      ++states_[index(s)].occurrences;
  }

  // The substrings of q up to one token more than p's become a state of their own.
  std::int32_t split(std::int32_t q, std::int32_t p, std::int32_t token) noexcept {
    const std::int32_t copy = state_count_++;
    const State old = states_[index(q)];
    states_[index(copy)] = {states_[index(p)].length + 1, old.link, -1, old.occurrences};
    // In the same order: the first stays first.
    std::int32_t end = -1;
    for (std::int32_t e = old.first_edge; e >= 0; e = edges_[index(e)].next) {
      add_edge(copy, edges_[index(e)].token, edges_[index(e)].target);
      const std::int32_t added = edge_count_ - 1;
      if (end >= 0) {
        states_[index(copy)].first_edge = edges_[index(added)].next;
        edges_[index(end)].next = added;
        edges_[index(added)].next = -1;
      }
      end = added;
    }
    for (std::int32_t e; p >= 0 && (e = find(p, token)) >= 0 && edges_[index(e)].target == q;
         p = states_[index(p)].link) {
      edges_[index(e)].target = copy;
      redirected_[index(redirected_count_++)] = e;
    }
    states_[index(q)].link = copy;
    steps_[static_cast<std::size_t>(size_)].split = q;
    // The tail before this token may be one of the substrings that moved.
    if (tail_.state == q && tail_.length <= states_[index(copy)].length) tail_.state = copy;
    return copy;
  }

  void undo() noexcept {
    for (std::int32_t s = tail_.state; s > 0; s = states_[index(s)].link)
      --states_[index(s)].occurrences;
    --size_;
    const Step& step = steps_[static_cast<std::size_t>(size_)];
    while (redirected_count_ > step.redirected)
      edges_[index(redirected_[index(--redirected_count_)])].target = step.split;
    while (edge_count_ > step.edges) remove_edge();
    --state_count_;
    if (step.split >= 0) {
      --state_count_;
      State& q = states_[index(step.split)];
      q.link = states_[index(q.link)].link;
    }
    last_ = step.last;
    tail_ = step.tail;
  }

  Buffer memory_;
  std::span<State> states_;
  std::span<Edge> edges_;
  std::span<Step> steps_;
  std::span<std::int32_t> redirected_, slots_, tokens_;
  std::size_t slot_mask_ = 0;
  std::int64_t capacity_ = 0, size_ = 0;
  std::int32_t depth_ = 64;
  std::int32_t state_count_ = 0, edge_count_ = 0, redirected_count_ = 0;
  std::int32_t last_ = 0;  // the state of the whole text
  Place tail_;
};

}  // namespace kedge::inline KEDGE_ABI::draft
