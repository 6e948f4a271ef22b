// KvCache: a pool of pages (state/kv_page.hpp) and the table that says which pages a sequence has.
// All memory is taken at creation; the system gives it when it is first touched. Pages are handed
// out by number, so growing a sequence allocates nothing. A page may belong to several sequences
// (forks of one text), which count their references; a sequence that writes into a shared page gets
// a page of its own first. Calls are not synchronized: sequences of one cache belong to one thread
// at a time.
#pragma once

#include <cstdint>

#include "kedge/core/buffer.hpp"
#include "kedge/core/tensor.hpp"
#include "kedge/state/kv_page.hpp"

namespace kedge::inline KEDGE_ABI {

class KEDGE_API KvCache {
 public:
  struct Options {
    Element element = Element::f16;  // f32, f16, bf16, or q8_0 (heads of 32 n)
    std::int64_t positions = 0;      // the most that one sequence may have
    std::int64_t sequences = 1;
    std::int64_t pages = 0;  // in the pool; 0: enough for every sequence at its longest
    Allocator allocator = default_allocator();
    // Of pages and their table, where a device's kernels read them; none: as `allocator`. There a
    // layer's parts of all pages stand together, since a device binds so many bytes at most.
    Allocator storage = {};
  };

  // Code::out_of_memory with the bytes asked for when the pool cannot be had.
  static Result<KvCache> create(std::int64_t layers, std::int64_t kv_heads, std::int64_t head_dim,
                                const Options& options) noexcept;

  const KvPageLayout& layout() const noexcept { return layout_; }
  std::int64_t positions() const noexcept { return positions_; }
  std::int64_t sequences() const noexcept { return sequences_; }
  std::int64_t free_pages() const noexcept { return free_count_; }
  std::size_t bytes() const noexcept { return memory_.size(); }
  // Pages copied because a sequence wrote into one that it shared, since creation.
  std::int64_t copied_pages() const noexcept { return copied_pages_; }

  // What the operators take: the page table and one layer of the pool.
  Tensor page_table() const noexcept {
    return tensor(table_.data(), Element::i32, sequences_, max_pages_);
  }
  Tensor layer(std::int64_t index) const noexcept {
    if (!by_layer_) return layout_.cache(memory_.data(), pages_, index);
    return tensor(memory_.data() + static_cast<std::size_t>(index * pages_) * layer_bytes(),
                  layout_.element, pages_, layout_.layer_elements());
  }
  std::byte* head_block(std::int64_t page, std::int64_t layer, std::int64_t head) const noexcept {
    return layer_part(page, layer) + row_bytes(layout_.element, head * layout_.head_elements());
  }
  const std::byte* pool() const noexcept { return memory_.data(); }
  // For tests that poison what is undone.
  std::byte* pool() noexcept { return memory_.data(); }

  // Claims one of the sequences; Code::busy when all are in use.
  Result<std::int32_t> claim() noexcept;
  // Gives a sequence and its pages back.
  void release(std::int32_t sequence) noexcept;
  // Makes sure that positions length..end-1 of the sequence, which keeps its first `length` ones,
  // have pages that no other sequence shares. On error nothing changed.
  Status reserve(std::int32_t sequence, std::int64_t length, std::int64_t end) noexcept;
  // Gives back the pages of the sequence that hold none of its first `length` positions.
  void shorten(std::int32_t sequence, std::int64_t length) noexcept;
  // Copies what is stored of position `from` to position `to`, both reserved.
  void move_row(std::int32_t sequence, std::int64_t from, std::int64_t to) noexcept;
  // Rows copied by it since creation, each in all layers.
  std::int64_t moved_rows() const noexcept { return moved_rows_; }
  // Lets a newly claimed sequence share the pages of another one's first `length` positions.
  void share(std::int32_t from, std::int32_t to, std::int64_t length) noexcept;

  // The i-th page that the pool would hand out, i < free_pages(), with other contents; and the
  // exchange of all that a sequence has for the first `count` of these. A file is read in between,
  // so that one that breaks off changes nothing. Code::out_of_memory changes nothing either.
  void write_free_page(std::int64_t i, const std::byte* from) noexcept {
    move_page(free_.as<std::int32_t>()[free_count_ - 1 - i], const_cast<std::byte*>(from), true);
  }
  Status adopt_free_pages(std::int32_t sequence, std::int64_t count) noexcept;
  // The index-th page of a sequence, layout().page_bytes() in the order of the layout.
  void read_page(std::int32_t sequence, std::int64_t index, std::byte* to) const noexcept {
    move_page(table(sequence)[index], to, false);
  }

 private:
  std::int32_t* table(std::int32_t sequence) const noexcept {
    return table_.as<std::int32_t>() + sequence * max_pages_;
  }
  std::size_t layer_bytes() const noexcept {
    return row_bytes(layout_.element, layout_.layer_elements());
  }
  std::byte* layer_part(std::int64_t page, std::int64_t layer) const noexcept {
    const std::int64_t at = by_layer_ ? layer * pages_ + page : page * layout_.layers + layer;
    return memory_.data() + static_cast<std::size_t>(at) * layer_bytes();
  }
  void move_page(std::int64_t page, std::byte* memory, bool in) const noexcept;
  std::int32_t take() noexcept;
  void give_back(std::int32_t number) noexcept;

  KvPageLayout layout_;
  Allocator allocator_ = default_allocator();
  std::int64_t positions_ = 0, sequences_ = 0, max_pages_ = 0, pages_ = 0;
  bool by_layer_ = false;  // else by page
  Buffer memory_;
  Buffer table_;   // i32 [sequences, max_pages]
  Buffer used_;    // i32 [sequences]: pages that the sequence has, -1 when unclaimed
  Buffer free_;    // i32 [pages]: a stack of page numbers
  Buffer shares_;  // i32 [pages]: sequences that have the page
  std::int64_t free_count_ = 0, copied_pages_ = 0, moved_rows_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI
