// attention micro-kernel, rows of a tree: a page as such a row sees it. Committed positions stand
// where they always do. Behind them come the row's ancestors of this call, whose keys and values
// are in the slots of their rows and not of their positions, so they are put together in a copy of
// the page: every one where it would be if the branch were the text. What is read then are the same
// bytes in the same places as in the linear run, and so what comes of them.
//
// Rows of a tile mostly share their ancestors: the copy is made once per tile, head and page, and
// only what differs from row to row is exchanged.
#pragma once

#include "kedge/kernel/cpu/attention_fold-inl.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using op::Attention;

// Committed positions of a row's sequence: where its branch begins.
KEDGE_INLINE std::int64_t branch_base(const Attention::Args& a, std::int64_t row) {
  const auto* parent = a.parent.as<std::int32_t>();
  while (parent[row] >= 0) row = parent[row];
  return a.position.as<std::int32_t>()[row];
}

class BranchPage {
 public:
  // Of page `index` and key/value head `head` of a sequence with these pages.
  BranchPage(const Attention::Args& a, const std::int32_t* pages, std::int64_t index, int head)
      : a_(a), pages_(pages), first_(index * page_positions), head_(head) {
    const std::size_t bytes = row_bytes(layout_.element, layout_.head_elements());
    __builtin_memcpy(copy_, block(index), bytes);
    for (int i = 0; i < positions; ++i) slot_[i] = static_cast<std::int32_t>(first_ + i);
  }

  void show(std::int64_t row) {
    const auto* parent = a_.parent.as<std::int32_t>();
    for (; row >= 0; row = parent[row]) {
      const std::int64_t to = a_.position.as<std::int32_t>()[row] - first_;
      const std::int32_t from = a_.slot.as<std::int32_t>()[row];
      if (to < 0 || to >= page_positions || slot_[to] == from) continue;
      copy_slot(layout_, block(from / page_positions), from % page_positions, copy_, to);
      slot_[to] = from;
    }
  }
  // What a pointer into the page in the cache is in the copy.
  template <class T>
  const T* here(const T* there) const {
    const auto* page = block(first_ / page_positions);
    return reinterpret_cast<const T*>(copy_ + (reinterpret_cast<const std::byte*>(there) - page));
  }

 private:
  const std::byte* block(std::int64_t index) const {
    return kv_head_block<std::byte>(a_.cache, layout_, pages_[index], head_);
  }
  const Attention::Args& a_;
  const std::int32_t* pages_;
  std::int64_t first_;
  int head_;
  KvPageLayout layout_ = Attention::layout(a_);
  std::int32_t slot_[positions];  // what stands in the copy
  // Keys and values of the widest head and element.
  alignas(64) std::byte copy_[positions * max_head_dim * 2 * sizeof(float)];
};

}  // namespace
}  // namespace KEDGE_ISA
}  // namespace kedge::inline KEDGE_ABI::cpu
