// Constraint: which tokens may come next, as a value. The rules are one immutable object that any
// number of handles share; where in the rules a text stands is a small state that callers copy. So
// drafts are checked ahead and undone by forgetting a state.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI {

struct ConstraintState {
  std::uint64_t word[2] = {0, 0};
  friend constexpr bool operator==(const ConstraintState&, const ConstraintState&) = default;
};

// What make() asks for. All functions are pure and fit for any number of threads.
//   ConstraintState start() const noexcept;            before the first generated token
//   void mask(const ConstraintState&, std::span<std::uint32_t> words) const noexcept;
//     sets bit t % 32 of words[t / 32] for every token t that may come next; all are 0 before
//   bool allows(const ConstraintState&, std::int32_t token) const noexcept;   one bit of the mask
//   ConstraintState advance(const ConstraintState&, std::int32_t token) const noexcept;
//     after a token that it allows
//   bool accepts_end(const ConstraintState&) const noexcept;   whether the text may end here
// End tokens are the caller's affair: they are allowed where accepts_end() is true, whatever the
// mask says, and do not advance the state.
class Constraint {
 public:
  struct Table {
    ConstraintState (*start)(const void* self) noexcept;
    void (*mask)(const void* self, const ConstraintState& state,
                 std::span<std::uint32_t> words) noexcept;
    bool (*allows)(const void* self, const ConstraintState& state, std::int32_t token) noexcept;
    ConstraintState (*advance)(const void* self, const ConstraintState& state,
                               std::int32_t token) noexcept;
    bool (*accepts_end)(const void* self, const ConstraintState& state) noexcept;
    void (*destroy)(const void* self) noexcept;  // may be null
  };

  Constraint() noexcept = default;
  // Rules of the caller's own making; `self` is destroyed with the last handle.
  static Result<Constraint> make(const void* self, const Table& table) noexcept {
    Constraint constraint;
    constraint.shared_ = new (std::nothrow) Shared{table, self, {1}};
    if (constraint.shared_ == nullptr) return fail(Code::out_of_memory, "constraint", "no memory");
    return constraint;
  }
  template <class Rules>
  static Result<Constraint> make(Rules rules) noexcept {
    const auto* self = new (std::nothrow) Rules(std::move(rules));
    if (self == nullptr) return fail(Code::out_of_memory, "constraint", "no memory");
    auto constraint = make(self, table_of<Rules>());
    if (!constraint) delete self;
    return constraint;
  }

  Constraint(const Constraint& other) noexcept : shared_(other.shared_) {
    if (shared_ != nullptr) shared_->handles.fetch_add(1, std::memory_order_relaxed);
  }
  Constraint(Constraint&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  Constraint& operator=(Constraint other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~Constraint() {
    if (shared_ == nullptr || shared_->handles.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (shared_->table.destroy != nullptr) shared_->table.destroy(shared_->self);
    delete shared_;
  }

  explicit operator bool() const noexcept { return shared_ != nullptr; }
  ConstraintState start() const noexcept { return shared_->table.start(shared_->self); }
  void mask(const ConstraintState& state, std::span<std::uint32_t> words) const noexcept {
    for (std::uint32_t& word : words) word = 0;
    shared_->table.mask(shared_->self, state, words);
  }
  bool allows(const ConstraintState& state, std::int32_t token) const noexcept {
    return shared_->table.allows(shared_->self, state, token);
  }
  ConstraintState advance(const ConstraintState& state, std::int32_t token) const noexcept {
    return shared_->table.advance(shared_->self, state, token);
  }
  bool accepts_end(const ConstraintState& state) const noexcept {
    return shared_->table.accepts_end(shared_->self, state);
  }

 private:
  struct Shared {
    Table table;
    const void* self;
    std::atomic<std::int64_t> handles;
  };

  template <class Rules>
  static constexpr Table table_of() noexcept {
    return {[](const void* self) noexcept { return static_cast<const Rules*>(self)->start(); },
            [](const void* self, const ConstraintState& state,
               std::span<std::uint32_t> words) noexcept {
              static_cast<const Rules*>(self)->mask(state, words);
            },
            [](const void* self, const ConstraintState& state, std::int32_t token) noexcept {
              return static_cast<const Rules*>(self)->allows(state, token);
            },
            [](const void* self, const ConstraintState& state, std::int32_t token) noexcept {
              return static_cast<const Rules*>(self)->advance(state, token);
            },
            [](const void* self, const ConstraintState& state) noexcept {
              return static_cast<const Rules*>(self)->accepts_end(state);
            },
            [](const void* self) noexcept { delete static_cast<const Rules*>(self); }};
  }

  Shared* shared_ = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI
