// The Drafter concept: anything that guesses the next tokens. A drafter is told committed tokens
// only, so undoing a draft costs it nothing; what it learns from feedback is its own affair.
//
// The order of calls: begin(prompt); evaluated() for the prompt's rows as its passes are committed;
// append(first token); then for every round propose(), and when it is committed evaluated() for its
// rows, append(its new tokens), feedback(). A round that fails ends after propose(), which must
// have changed nothing that counts.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"
#include "kedge/draft/draft.hpp"

namespace kedge::inline KEDGE_ABI::draft {

template <class D>
concept Drafter = requires(D& drafter, std::span<const std::int32_t> tokens, const Ask& ask,
                           Draft& draft, const Outcome& outcome) {
  // Forgets everything and begins with this text.
  { drafter.begin(tokens) } -> std::same_as<Status>;
  // Committed tokens, in order; the newest is one that the target has not evaluated yet.
  { drafter.append(tokens) } -> std::same_as<Status>;
  // Guesses what follows the newest token. The draft is empty before, and may stay so.
  { drafter.propose(ask, draft) } -> std::same_as<Status>;
  // Of the last proposal, after its tokens were appended.
  {drafter.feedback(outcome)};
  { drafter.name() } -> std::convertible_to<const char*>;
};

// The text became its first `count` tokens; hidden states of positions before `count` stay known.
// Drafters without it begin again.
template <class D>
concept Truncates = requires(D& drafter, std::int64_t count) {
  { drafter.truncate(count) } -> std::same_as<Status>;
};

// Reads hidden states of the target. taps(): which; k in 0..layers is the residual stream that
// enters layer k (layers: that leaves the last), -1 what stands behind the final norm. evaluated():
// those of committed rows from a position on, f32 [rows, taps * width]. There are no gaps; a
// position that is known already comes again after truncate(), and what was known from it on is
// replaced. Of the newest token nothing is to be read in propose(), even if it is known. The
// tensor is gone when the call returns: a drafter copies it, and makes something of it in
// propose(), so that one which is not asked costs next to nothing.
template <class D>
concept ReadsFeatures = requires(D& drafter, const D& constant, std::int64_t position,
                                 const Tensor& features) {
  { constant.taps() } -> std::same_as<std::span<const std::int32_t>>;
  { drafter.evaluated(position, features) } -> std::same_as<Status>;
};

// A drafter of any type behind one handle, so that Session is no template.
class AnyDrafter {
 public:
  AnyDrafter() noexcept = default;

  template <Drafter D>
  static Result<AnyDrafter> make(D drafter) noexcept {
    AnyDrafter any;
    any.self_.reset(new (std::nothrow) Model<D>(std::move(drafter)));
    if (any.self_ == nullptr) return fail(Code::out_of_memory, "drafter", "no memory");
    return any;
  }

  explicit operator bool() const noexcept { return self_ != nullptr; }
  Status begin(std::span<const std::int32_t> tokens) { return self_->begin(tokens); }
  Status append(std::span<const std::int32_t> tokens) { return self_->append(tokens); }
  Status propose(const Ask& ask, Draft& draft) { return self_->propose(ask, draft); }
  void feedback(const Outcome& outcome) { self_->feedback(outcome); }
  const char* name() const noexcept { return self_ == nullptr ? "none" : self_->name(); }
  bool truncates() const noexcept { return self_ != nullptr && self_->truncates(); }
  Status truncate(std::int64_t count) { return self_->truncate(count); }
  // Empty: reads none, and evaluated() need not be called.
  std::span<const std::int32_t> taps() const noexcept {
    if (self_ == nullptr) return {};
    return self_->taps();
  }
  Status evaluated(std::int64_t position, const Tensor& features) {
    return self_->evaluated(position, features);
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual Status begin(std::span<const std::int32_t>) = 0;
    virtual Status append(std::span<const std::int32_t>) = 0;
    virtual Status propose(const Ask&, Draft&) = 0;
    virtual void feedback(const Outcome&) = 0;
    virtual const char* name() const = 0;
    virtual bool truncates() const = 0;
    virtual Status truncate(std::int64_t) = 0;
    virtual std::span<const std::int32_t> taps() const = 0;
    virtual Status evaluated(std::int64_t, const Tensor&) = 0;
  };
  template <class D>
  struct Model final : Base {
    explicit Model(D d) : drafter(std::move(d)) {}
    Status begin(std::span<const std::int32_t> t) override { return drafter.begin(t); }
    Status append(std::span<const std::int32_t> t) override { return drafter.append(t); }
    Status propose(const Ask& ask, Draft& draft) override { return drafter.propose(ask, draft); }
    void feedback(const Outcome& outcome) override { drafter.feedback(outcome); }
    const char* name() const override { return drafter.name(); }
    // A combination of drafters says at run time whether its members can.
    bool truncates() const override {
      if constexpr (requires { drafter.truncates(); }) return drafter.truncates();
      else return Truncates<D>;
    }
    Status truncate(std::int64_t count) override {
      if constexpr (Truncates<D>) return drafter.truncate(count);
      else return fail(Code::unsupported, drafter.name(), "cannot truncate its text");
    }
    std::span<const std::int32_t> taps() const override {
      if constexpr (ReadsFeatures<D>) return drafter.taps();
      else return {};
    }
    Status evaluated(std::int64_t position, const Tensor& features) override {
      if constexpr (ReadsFeatures<D>) return drafter.evaluated(position, features);
      else return {};
    }
    D drafter;
  };
  std::unique_ptr<Base> self_;
};

}  // namespace kedge::inline KEDGE_ABI::draft
