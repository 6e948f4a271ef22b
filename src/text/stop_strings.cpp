#include "kedge/text/stop_strings.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "guard.hpp"
#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {

// Aho and Corasick's automaton: a node for every beginning of a stop, and from each a link to the
// longest other beginning that it ends with. Edges are found by search, not in a table of 256, so
// memory stays linear in the stops.
struct StopStrings::Impl {
  struct Node {
    std::uint32_t edges = 0, edge_count = 0;  // into edges, ascending by byte
    std::uint32_t link = 0;
    std::uint32_t depth = 0;  // bytes of the beginning
    std::int32_t stop = -1;   // the longest stop that ends here
    std::uint32_t stop_length = 0;
  };
  struct Edge {
    unsigned char byte;
    std::uint32_t node;
  };
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::size_t longest = 0;

  static constexpr std::uint32_t none = 0xFFFFFFFF;
  std::uint32_t child(std::uint32_t node, unsigned char byte) const noexcept {
    const Edge* const begin = edges.data() + nodes[node].edges;
    const Edge* const end = begin + nodes[node].edge_count;
    const Edge* const at =
        std::lower_bound(begin, end, byte, [](Edge a, unsigned char b) { return a.byte < b; });
    return at != end && at->byte == byte ? at->node : none;
  }
  std::uint32_t next(std::uint32_t node, unsigned char byte) const noexcept {
    for (;; node = nodes[node].link) {
      const std::uint32_t to = child(node, byte);
      if (to != none) return to;
      if (node == 0) return 0;
    }
  }
  void build(std::span<const std::string_view> stops);
};

namespace {

// The stops in [first, last) of the sorted list share their first `depth` bytes: one node.
struct Group {
  std::size_t first, last;
  std::uint32_t depth, node;
};

}  // namespace

void StopStrings::Impl::build(std::span<const std::string_view> stops) {
  std::vector<std::size_t> order(stops.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  // std::string_view compares by unsigned bytes. Of equal stops the first in the list counts.
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return stops[a] < stops[b]; });
  nodes.emplace_back();
  // By depth, so that a node's link, which is nearer to the root, is ready before it.
  std::vector<Group> groups = {{0, order.size(), 0, 0}};
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group group = groups[g];
    std::size_t i = group.first;
    Node& ending = nodes[group.node];
    while (i < group.last && stops[order[i]].size() == group.depth) ++i;
    if (i > group.first) {
      ending.stop = static_cast<std::int32_t>(order[group.first]);
      ending.stop_length = group.depth;
    } else {  // what ends at the link ends here too
      ending.stop = nodes[ending.link].stop;
      ending.stop_length = nodes[ending.link].stop_length;
    }
    nodes[group.node].edges = static_cast<std::uint32_t>(edges.size());
    while (i < group.last) {
      const auto byte = static_cast<unsigned char>(stops[order[i]][group.depth]);
      std::size_t end = i + 1;
      while (end < group.last &&
             static_cast<unsigned char>(stops[order[end]][group.depth]) == byte) {
        ++end;
      }
      const auto to = static_cast<std::uint32_t>(nodes.size());
      Node node;
      node.depth = group.depth + 1;
      node.link = group.node == 0 ? 0 : next(nodes[group.node].link, byte);
      nodes.push_back(node);
      edges.push_back({byte, to});
      ++nodes[group.node].edge_count;
      groups.push_back({i, end, group.depth + 1, to});
      i = end;
    }
  }
}

Result<StopStrings> StopStrings::create(Tokenizer tokenizer,
                                        std::span<const std::string_view> stops,
                                        Options options) noexcept {
  return guarded("stop strings", [&]() -> Result<StopStrings> {
    auto impl = std::make_shared<Impl>();
    std::size_t bytes = 0;
    constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
    for (std::size_t i = 0; i < stops.size(); ++i) {
      if (stops[i].empty())
        return fail(Code::invalid_argument, "stop strings", "stop %zu is empty", i);
      if (stops[i].size() > most - bytes) {
        return fail(Code::invalid_argument, "stop strings", "expected at most %zu bytes in all",
                    most);
      }
      bytes += stops[i].size();
      impl->longest = std::max(impl->longest, stops[i].size());
    }
    impl->build(stops);
    return StopStrings(std::move(tokenizer), std::move(impl), options.skip_special);
  });
}

std::size_t StopStrings::longest() const noexcept { return impl_->longest; }

bool StopStrings::push(State& state, std::string_view bytes) const noexcept {
  if (state.stopped()) return true;
  for (const char c : bytes) {
    ++state.bytes;
    state.node = impl_->next(state.node, static_cast<unsigned char>(c));
    const Impl::Node& node = impl_->nodes[state.node];
    if (node.stop >= 0) {
      state.stop = node.stop;
      state.keep = state.bytes - node.stop_length;
      return true;
    }
  }
  state.keep = state.bytes - impl_->nodes[state.node].depth;
  return false;
}

bool StopStrings::push(State& state, std::int32_t token) const noexcept {
  if (state.stopped()) return true;
  ++state.tokens;
  if (skip_special_ && tokenizer_.is_special(token)) return false;
  return push(state, tokenizer_.token_bytes(token));
}

void StopStrings::finish(State& state) const noexcept {
  if (state.stopped()) return;
  state.keep = state.bytes;
  state.node = 0;
}

Result<TextStream> TextStream::create(StopStrings stops) noexcept {
  return guarded("text stream", [&]() -> Result<TextStream> {
    // Held: less than a stop, and up to 3 bytes of a character before it. Then a token comes.
    const std::size_t size = stops.longest() + 3 + stops.tokenizer().longest_token();
    auto buffer = std::make_unique<char[]>(size);
    return TextStream(std::move(stops), std::move(buffer));
  });
}

std::string_view TextStream::give(std::size_t count) noexcept {
  given_ = count;
  held_ -= count;
  out_ += count;
  return {buffer_.get(), count};
}

std::string_view TextStream::push(std::int32_t token) noexcept {
  if (state_.stopped()) return {};
  std::memmove(buffer_.get(), buffer_.get() + given_, held_);
  given_ = 0;
  const std::uint64_t before = state_.bytes;
  const bool stopped = stops_.push(state_, token);
  // After a stop the bytes behind it are not looked at; those before it are all that is wanted.
  const std::string_view bytes = stops_.tokenizer().token_bytes(token);
  const auto added = static_cast<std::size_t>(state_.bytes - before);
  if (added > 0) std::memcpy(buffer_.get() + held_, bytes.data(), added);
  held_ += added;
  const auto certain = static_cast<std::size_t>(state_.keep - out_);
  if (stopped) {
    const std::string_view text = give(certain);
    held_ = 0;
    return text;
  }
  return give(utf8_complete_prefix({buffer_.get(), certain}));
}

std::string_view TextStream::finish() noexcept {
  std::memmove(buffer_.get(), buffer_.get() + given_, held_);
  const std::string_view text(buffer_.get(), held_);
  given_ = held_ = 0;
  out_ = 0;
  state_ = {};
  return text;
}

}  // namespace kedge::inline KEDGE_ABI::text
