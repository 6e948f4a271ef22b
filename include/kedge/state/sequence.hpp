// Sequence: one text's state, which is a length into its cache pages and, for models with recurrent
// layers, the states kept of it (state/recurrent_state.hpp), both under one number. Transaction: a
// call that writes rows beyond that length and then keeps the first n of them. Undo is the length
// that never moved: no state is copied, no token replayed, nothing allocated. Going back is a
// smaller length, a fork is a second list of the same pages and planes.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "kedge/state/kv_cache.hpp"
#include "kedge/state/recurrent_state.hpp"

namespace kedge::inline KEDGE_ABI::io {
class Sink;
class Source;
}  // namespace kedge::inline KEDGE_ABI::io

namespace kedge::inline KEDGE_ABI {

class Transaction;

class KEDGE_API Sequence {
 public:
  // Claims a sequence of the cache and of the recurrent state, if there is one; both must outlive
  // it, and the state have as many sequences as the cache.
  static Result<Sequence> create(KvCache& cache, RecurrentState* recurrent = nullptr) noexcept;
  Sequence() noexcept = default;
  Sequence(Sequence&& other) noexcept { *this = std::move(other); }
  Sequence& operator=(Sequence&& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(recurrent_, other.recurrent_);
    std::swap(index_, other.index_);
    std::swap(length_, other.length_);
    std::swap(open_, other.open_);
    return *this;
  }
  ~Sequence() {
    if (recurrent_ != nullptr) recurrent_->release(index_);
    if (cache_ != nullptr) cache_->release(index_);
  }

  std::int32_t index() const noexcept { return index_; }
  std::int64_t length() const noexcept { return length_; }

  // Room for `rows` rows at positions length() .. length() + rows - 1. One transaction at a time.
  // With a recurrent state the states after the last `keep` rows are kept, as far as its policy
  // goes; a pass that is sure to be committed as a whole asks for 1.
  inline Result<Transaction> begin(
      std::int64_t rows, std::int64_t keep = std::numeric_limits<std::int64_t>::max()) noexcept;
  // The same for rows that form a tree: the first is its root, and a branch of it can be committed.
  // With a recurrent state there are at most tree_rows().
  inline Result<Transaction> begin_tree(std::int64_t rows) noexcept;
  std::int64_t tree_rows() const noexcept {
    if (recurrent_ == nullptr) return std::numeric_limits<std::int64_t>::max();
    const RecurrentPolicy& policy = recurrent_->policy();
    return policy.kind == RecurrentPolicy::Kind::checkpoint ? 1 : policy.depth;
  }

  // Where rewind(length) would go.
  std::int64_t nearest(std::int64_t length) const noexcept {
    return recurrent_ == nullptr ? length : recurrent_->nearest(index_, length);
  }
  // Forgets the positions from `length` on, and before that those of which no recurrent state is
  // kept; returns the new length, which is `length` itself without a recurrent state. Gives back
  // the pages that held only what is forgotten.
  Result<std::int64_t> rewind(std::int64_t length) noexcept;
  // Keeps the recurrent state of a position that is kept at the moment for later rewinds, as far
  // as there is room (RecurrentState::mark). False when it is not; without one all are kept.
  bool mark(std::int64_t position) noexcept {
    return recurrent_ == nullptr || recurrent_->mark(index_, position);
  }

  // Another sequence of the same cache with the same positions, whose pages both share until one
  // writes into the last, half full one: that one copies it (KvCache::copied_pages). States are
  // shared for good; only the columns of their windows are copied (RecurrentState::copied).
  // Code::busy when the cache has no sequence left.
  Result<Sequence> fork() const noexcept;

  // Writes keys and values of all positions and the recurrent state behind them, with the
  // fingerprint of the model that computed them (Model::fingerprint). What stands beside them in
  // their last page is written as zeros. Under which policy the state is kept makes no difference.
  Status save(io::Sink& sink, std::uint64_t fingerprint) const noexcept;
  // Becomes what save() wrote at `offset`; returns where it ended. The cache must have free pages
  // for it beside what this sequence has (rewind(0) gives these back). Errors leave everything as
  // it was: another model, cache element, shapes or format version, a file that is cut short or
  // whose digest does not fit, another length than `expected` (unless -1), no room.
  Result<std::uint64_t> load(const io::Source& source, std::uint64_t offset,
                             std::uint64_t fingerprint, std::int64_t expected = -1) noexcept;

 private:
  friend class Transaction;
  inline Result<Transaction> open(std::int64_t rows, std::int64_t keep, bool tree) noexcept;
  KvCache* cache_ = nullptr;
  RecurrentState* recurrent_ = nullptr;
  std::int32_t index_ = -1;
  std::int64_t length_ = 0;
  bool open_ = false;
};

class [[nodiscard]] Transaction {
 public:
  Transaction(Transaction&& other) noexcept
      : sequence_(std::exchange(other.sequence_, nullptr)),
        rows_(other.rows_),
        tree_(other.tree_) {}
  Transaction& operator=(Transaction&&) = delete;
  // Not committed: it has never happened.
  ~Transaction() {
    if (sequence_ == nullptr) return;
    if (recurrent() != nullptr) recurrent()->abandon(sequence_->index_);
    sequence_->open_ = false;
  }

  std::int64_t first_position() const noexcept { return sequence_->length_; }
  std::int64_t rows() const noexcept { return rows_; }

  // Whether commit(n) can keep the first n rows: with a recurrent state 0 and those whose states
  // are kept, without one all.
  bool can_commit(std::int64_t n) const noexcept {
    return sequence_ != nullptr && n >= 0 && n <= rows_ &&
           (recurrent() == nullptr || recurrent()->can_commit(sequence_->index_, n));
  }
  // Keeps the first n rows and ends the transaction. An error leaves it open.
  Status commit(std::int64_t n) noexcept {
    if (sequence_ == nullptr)
      return fail(Code::invalid_argument, "transaction", "it was committed before");
    if (n < 0 || n > rows_)
      return fail(Code::invalid_argument, "transaction", "commit: expected 0..%lld, found %lld",
                  static_cast<long long>(rows_), static_cast<long long>(n));
    if (recurrent() != nullptr) KEDGE_CHECK(recurrent()->commit(sequence_->index_, n));
    close(n);
    return {};
  }
  // Of a tree: keeps these rows, each the parent of the next, from row 0 on. Those that do not
  // stand together yet are moved, one row of keys and values per layer each (KvCache::moved_rows).
  Status commit(std::span<const std::int32_t> branch) noexcept {
    if (sequence_ == nullptr)
      return fail(Code::invalid_argument, "transaction", "it was committed before");
    bool ascending = tree_ && (branch.empty() || (branch[0] == 0 && branch.back() < rows_));
    for (std::size_t i = 1; i < branch.size(); ++i)
      ascending = ascending && branch[i] > branch[i - 1];
    if (!ascending)
      return fail(Code::invalid_argument, "transaction",
                  "commit of a branch of %zu rows: expected ascending rows of a tree of %lld, from "
                  "0 on",
                  branch.size(), static_cast<long long>(tree_ ? rows_ : 0));
    if (recurrent() != nullptr) KEDGE_CHECK(recurrent()->commit(sequence_->index_, branch));
    const std::int64_t first = sequence_->length_;
    for (std::size_t i = 0; i < branch.size(); ++i)
      if (const auto to = static_cast<std::int64_t>(i); branch[i] != to)
        sequence_->cache_->move_row(sequence_->index_, first + branch[i], first + to);
    close(static_cast<std::int64_t>(branch.size()));
    return {};
  }

 private:
  friend class Sequence;
  Transaction(Sequence* sequence, std::int64_t rows, bool tree) noexcept
      : sequence_(sequence), rows_(rows), tree_(tree) {}
  void close(std::int64_t n) noexcept {
    sequence_->length_ += n;
    sequence_->open_ = false;
    sequence_ = nullptr;
  }
  RecurrentState* recurrent() const noexcept { return sequence_->recurrent_; }
  Sequence* sequence_;
  std::int64_t rows_;
  bool tree_;
};

inline Result<Transaction> Sequence::begin(std::int64_t rows, std::int64_t keep) noexcept {
  return open(rows, keep, false);
}

inline Result<Transaction> Sequence::begin_tree(std::int64_t rows) noexcept {
  return open(rows, rows, true);
}

inline Result<Transaction> Sequence::open(std::int64_t rows, std::int64_t keep,
                                          bool tree) noexcept {
  if (open_) return fail(Code::busy, "sequence", "a transaction is open; commit or drop it first");
  if (rows < 0)
    return fail(Code::invalid_argument, "sequence", "rows: expected 0 or more, found %lld",
                static_cast<long long>(rows));
  KEDGE_CHECK(cache_->reserve(index_, length_, length_ + rows));
  if (recurrent_ != nullptr) KEDGE_CHECK(recurrent_->begin(index_, rows, keep, tree));
  open_ = true;
  return Transaction(this, rows, tree);
}

}  // namespace kedge::inline KEDGE_ABI
