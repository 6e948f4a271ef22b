// Simple windows: a fixed length, a threshold on the drafter's confidence, and the lengths of an
// earlier run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kedge/spec/window.hpp"

namespace kedge::inline KEDGE_ABI::window {

// Always the same length, as far as there is room.
class Fixed {
 public:
  explicit Fixed(std::int64_t length) noexcept : length_(std::max<std::int64_t>(length, 0)) {}
  void begin() noexcept {}
  std::int64_t ask(std::int64_t most, std::int64_t) noexcept { return std::min(most, length_); }
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) noexcept {
    return std::min({most, length_, draft.size()});
  }
  void learn(const Trial&) noexcept {}
  const char* name() const noexcept { return "fixed"; }

 private:
  std::int64_t length_;
};

// Cuts a draft before the first guess whose confidence (or the product of all up to it, the
// probability that they all hold) is below a threshold. Guesses of unknown confidence stay.
class Confidence {
 public:
  struct Options {
    double threshold = 0.5;  // 0: none is cut
    bool product = false;
    std::int64_t min = 0, max = 31;  // guesses
  };
  explicit Confidence(const Options& options) noexcept : options_(options) {}
  void begin() noexcept {}
  std::int64_t ask(std::int64_t most, std::int64_t) noexcept {
    return std::min(most, options_.max);
  }
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) noexcept {
    const std::int64_t end = std::min({most, options_.max, draft.size()});
    double product = 1;
    for (std::int64_t i = 0; i < end; ++i) {
      // A comparison with NaN, which is unknown, is false.
      const auto confidence = static_cast<double>(draft.confidences()[static_cast<std::size_t>(i)]);
      if (confidence < 1) product *= std::max(confidence, 0.0);
      const bool low =
          options_.product ? product < options_.threshold : confidence < options_.threshold;
      if (low && i >= options_.min) return i;
    }
    return end;
  }
  void learn(const Trial&) noexcept {}
  const char* name() const noexcept { return "confidence"; }

 private:
  Options options_;
};

// Replays an earlier run round by round, so that rejection and block verification, whose text
// depends on the lengths, give that run's text. Behind its end rounds are plain.
class Recorded {
 public:
  struct Length {
    std::int32_t asked = 0, kept = 0;
  };
  // The list is copied.
  static Result<Recorded> create(std::span<const Length> lengths,
                                 const Allocator& allocator = default_allocator()) noexcept {
    for (const Length& one : lengths)
      if (one.asked < 0 || one.kept < 0 || one.kept > one.asked)
        return fail(Code::invalid_argument, "recorded window",
                    "round %td: expected 0 <= kept <= asked, found %d kept of %d asked",
                    &one - lengths.data(), one.kept, one.asked);
    Recorded recorded;
    KEDGE_TRY(recorded.memory_, Buffer::create(lengths.size_bytes(), "recorded window", allocator));
    std::copy(lengths.begin(), lengths.end(), recorded.memory_.as<Length>());
    recorded.count_ = lengths.size();
    return recorded;
  }
  void begin() noexcept { next_ = 0; }
  std::int64_t ask(std::int64_t most, std::int64_t) noexcept {
    return std::min<std::int64_t>(most, now().asked);
  }
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) noexcept {
    return std::min({most, static_cast<std::int64_t>(now().kept), draft.size()});
  }
  void learn(const Trial&) noexcept { ++next_; }
  const char* name() const noexcept { return "recorded"; }

 private:
  Recorded() noexcept = default;
  Length now() const noexcept {
    return next_ < count_ ? memory_.as<const Length>()[next_] : Length{};
  }
  Buffer memory_;
  std::size_t count_ = 0, next_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::window
