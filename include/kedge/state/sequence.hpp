// Sequence: one text's state, which is a length into its cache pages. Transaction: a call that
// writes rows beyond that length and then keeps the first n of them. Undo is the length that never
// moved: no state is copied, no token replayed, nothing allocated. Going back is a smaller length,
// a fork is a second list of the same pages.
#pragma once

#include <cstdint>
#include <utility>

#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI::io {
class Sink;
class Source;
}  // namespace kedge::inline KEDGE_ABI::io

namespace kedge::inline KEDGE_ABI {

class Transaction;

class KEDGE_API Sequence {
 public:
  // Claims a sequence of the cache, which must outlive it.
  static Result<Sequence> create(KvCache& cache) noexcept {
    KEDGE_TRY(const std::int32_t index, cache.claim());
    Sequence sequence;
    sequence.cache_ = &cache;
    sequence.index_ = index;
    return sequence;
  }
  Sequence() noexcept = default;
  Sequence(Sequence&& other) noexcept { *this = std::move(other); }
  Sequence& operator=(Sequence&& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(index_, other.index_);
    std::swap(length_, other.length_);
    std::swap(open_, other.open_);
    return *this;
  }
  ~Sequence() {
    if (cache_ != nullptr) cache_->release(index_);
  }

  std::int32_t index() const noexcept { return index_; }
  std::int64_t length() const noexcept { return length_; }

  // Room for `rows` rows at positions length() .. length() + rows - 1. One transaction at a time.
  inline Result<Transaction> begin(std::int64_t rows) noexcept;

  // Forgets the positions from `length` on and gives back the pages that held only these.
  Status rewind(std::int64_t length) noexcept {
    if (open_) return fail(Code::busy, "sequence", "a transaction is open");
    if (length < 0 || length > length_)
      return fail(Code::invalid_argument, "sequence", "rewind: expected 0..%lld, found %lld",
                  static_cast<long long>(length_), static_cast<long long>(length));
    length_ = length;
    cache_->shorten(index_, length);
    return {};
  }

  // Another sequence of the same cache with the same positions, whose pages both share until one
  // writes into the last, half full one: that one copies it (KvCache::copied_pages). Code::busy
  // when the cache has no sequence left.
  Result<Sequence> fork() const noexcept {
    if (open_) return fail(Code::busy, "sequence", "a transaction is open");
    KEDGE_TRY(Sequence other, create(*cache_));
    cache_->share(index_, other.index_, length_);
    other.length_ = length_;
    return other;
  }

  // Writes keys and values of all positions, with the fingerprint of the model that computed them
  // (Model::fingerprint). What stands beside them in their last page is written as zeros.
  Status save(io::Sink& sink, std::uint64_t fingerprint) const noexcept;
  // Becomes what save() wrote at `offset`; returns where it ended. The cache must have free pages
  // for it beside what this sequence has (rewind(0) gives these back). Errors leave everything as
  // it was: another model, cache element, shape or format version, a file that is cut short or
  // whose digest does not fit, another length than `expected` (unless -1), no room.
  Result<std::uint64_t> load(const io::Source& source, std::uint64_t offset,
                             std::uint64_t fingerprint, std::int64_t expected = -1) noexcept;

 private:
  friend class Transaction;
  KvCache* cache_ = nullptr;
  std::int32_t index_ = -1;
  std::int64_t length_ = 0;
  bool open_ = false;
};

class [[nodiscard]] Transaction {
 public:
  Transaction(Transaction&& other) noexcept
      : sequence_(std::exchange(other.sequence_, nullptr)), rows_(other.rows_) {}
  Transaction& operator=(Transaction&&) = delete;
  // Not committed: it has never happened.
  ~Transaction() {
    if (sequence_ != nullptr) sequence_->open_ = false;
  }

  std::int64_t first_position() const noexcept { return sequence_->length_; }
  std::int64_t rows() const noexcept { return rows_; }

  // Keeps the first n rows and ends the transaction.
  Status commit(std::int64_t n) noexcept {
    if (sequence_ == nullptr)
      return fail(Code::invalid_argument, "transaction", "it was committed before");
    if (n < 0 || n > rows_)
      return fail(Code::invalid_argument, "transaction", "commit: expected 0..%lld, found %lld",
                  static_cast<long long>(rows_), static_cast<long long>(n));
    sequence_->length_ += n;
    sequence_->open_ = false;
    sequence_ = nullptr;
    return {};
  }

 private:
  friend class Sequence;
  Transaction(Sequence* sequence, std::int64_t rows) noexcept : sequence_(sequence), rows_(rows) {}
  Sequence* sequence_;
  std::int64_t rows_;
};

inline Result<Transaction> Sequence::begin(std::int64_t rows) noexcept {
  if (open_) return fail(Code::busy, "sequence", "a transaction is open; commit or drop it first");
  if (rows < 0)
    return fail(Code::invalid_argument, "sequence", "rows: expected 0 or more, found %lld",
                static_cast<long long>(rows));
  KEDGE_CHECK(cache_->reserve(index_, length_, length_ + rows));
  open_ = true;
  return Transaction(this, rows);
}

}  // namespace kedge::inline KEDGE_ABI
