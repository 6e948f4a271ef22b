#include "kedge/state/sequence.hpp"

namespace kedge::inline KEDGE_ABI {

Result<Sequence> Sequence::create(KvCache& cache, RecurrentState* recurrent) noexcept {
  if (recurrent != nullptr && recurrent->sequences() < cache.sequences())
    return fail(Code::invalid_argument, "sequence",
                "recurrent state: expected at least the %lld sequences of the cache, found %lld",
                static_cast<long long>(cache.sequences()),
                static_cast<long long>(recurrent->sequences()));
  KEDGE_TRY(const std::int32_t index, cache.claim());
  Sequence sequence;
  sequence.cache_ = &cache;
  sequence.index_ = index;
  if (recurrent != nullptr) KEDGE_CHECK(recurrent->claim(index));
  sequence.recurrent_ = recurrent;
  return sequence;
}

Result<std::int64_t> Sequence::rewind(std::int64_t length) noexcept {
  if (open_) return fail(Code::busy, "sequence", "a transaction is open");
  if (length < 0 || length > length_)
    return fail(Code::invalid_argument, "sequence", "rewind: expected 0..%lld, found %lld",
                static_cast<long long>(length_), static_cast<long long>(length));
  if (recurrent_ != nullptr) {
    KEDGE_TRY(length, recurrent_->rewind(index_, length));
  }
  length_ = length;
  cache_->shorten(index_, length);
  return length;
}

Result<Sequence> Sequence::fork() const noexcept {
  if (open_) return fail(Code::busy, "sequence", "a transaction is open");
  KEDGE_TRY(Sequence other, create(*cache_, recurrent_));
  if (recurrent_ != nullptr) KEDGE_CHECK(recurrent_->fork(index_, other.index_));
  cache_->share(index_, other.index_, length_);
  other.length_ = length_;
  return other;
}

}  // namespace kedge::inline KEDGE_ABI
