// The Drafter concept: anything that guesses the next tokens. A drafter sees only committed tokens,
// so undoing a draft costs it nothing; what it learns from feedback is its own affair.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::draft {

// What a drafter proposed; tokens live in the buffer that the caller passed.
struct Proposal {
  std::int64_t count = 0;
};

template <class D>
concept Drafter = requires(D& drafter, std::span<const std::int32_t> tokens,
                           std::span<std::int32_t> out, std::int64_t n) {
  // Forgets everything and begins with this prompt.
  { drafter.begin(tokens) } -> std::same_as<Status>;
  // Committed tokens, in order; the newest is the one that the model has not seen yet.
  { drafter.append(tokens) } -> std::same_as<Status>;
  // Fills `out` with at most out.size() guesses for what follows the newest token.
  { drafter.propose(out) } -> std::same_as<Result<Proposal>>;
  // How many of the last proposal's tokens were evaluated and how many of these held.
  {drafter.feedback(n, n)};
  { drafter.name() } -> std::convertible_to<const char*>;
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
  Result<Proposal> propose(std::span<std::int32_t> out) { return self_->propose(out); }
  void feedback(std::int64_t evaluated, std::int64_t accepted) {
    self_->feedback(evaluated, accepted);
  }
  const char* name() const noexcept { return self_ == nullptr ? "none" : self_->name(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual Status begin(std::span<const std::int32_t>) = 0;
    virtual Status append(std::span<const std::int32_t>) = 0;
    virtual Result<Proposal> propose(std::span<std::int32_t>) = 0;
    virtual void feedback(std::int64_t, std::int64_t) = 0;
    virtual const char* name() const = 0;
  };
  template <class D>
  struct Model final : Base {
    explicit Model(D d) : drafter(std::move(d)) {}
    Status begin(std::span<const std::int32_t> t) override { return drafter.begin(t); }
    Status append(std::span<const std::int32_t> t) override { return drafter.append(t); }
    Result<Proposal> propose(std::span<std::int32_t> out) override { return drafter.propose(out); }
    void feedback(std::int64_t evaluated, std::int64_t accepted) override {
      drafter.feedback(evaluated, accepted);
    }
    const char* name() const override { return drafter.name(); }
    D drafter;
  };
  std::unique_ptr<Base> self_;
};

}  // namespace kedge::inline KEDGE_ABI::draft
