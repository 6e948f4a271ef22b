// Attention over plain q, k, v tensors: lays k and v into pages and completes the arguments of
// op/attention.hpp. For tools, tests and a first try; a model keeps its own pages.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI {

struct PlainAttention {
  Buffer memory;             // pages, tiles, scratch and y
  op::Attention::Args args;  // ready to run; q is the caller's
};

struct PlainAttentionOptions {
  std::int32_t heads = 1, kv_heads = 1;
  float scale = 0;                // 0: 1 / sqrt(head_dim)
  Element cache = Element::f32;   // the others round k and v
  Element output = Element::f32;  // or q8_act
};

// q: f32 [rows, heads * head_dim]; k, v: f32 [keys, kv_heads * head_dim], rows <= keys. Row r of q
// is at position keys - rows + r, as when the last rows of a prompt are evaluated.
inline Result<PlainAttention> make_plain_attention(
    const Tensor& q, const Tensor& k, const Tensor& v, const PlainAttentionOptions& options,
    const Allocator& allocator = default_allocator()) noexcept {
  const std::int64_t rows = q.rows(), keys = k.rows();
  if (options.heads < 1 || q.width() % options.heads != 0)
    return fail(Code::invalid_argument, op::Attention::name,
                "%d heads do not divide the width %lld of q", options.heads,
                static_cast<long long>(q.width()));
  if (q.empty() || k.empty() || rows < 1 || rows > keys || keys > INT32_MAX)
    return fail(Code::invalid_argument, op::Attention::name,
                "expected 1 <= rows of q <= rows of k, found %lld and %lld",
                static_cast<long long>(rows), static_cast<long long>(keys));
  const auto head_dim = static_cast<std::int32_t>(q.width() / options.heads);
  const std::int64_t pages = (keys + page_positions - 1) / page_positions;
  const KvPageLayout layout{options.cache, options.kv_heads, head_dim, 1};

  PlainAttention plain;
  op::Attention::Args& a = plain.args;
  a.heads = options.heads;
  a.kv_heads = options.kv_heads;
  a.head_dim = head_dim;
  a.scale = options.scale;
  a.q = q;
  a.y = tensor(nullptr, options.output, rows, q.width());
  a.pages = tensor(nullptr, Element::i32, 1, pages);
  a.tiles = tensor(nullptr, Element::i32, 1 + rows, 4);
  a.cache = layout.cache(nullptr, pages, 0);
  KEDGE_CHECK(op::expect_cache(op::Attention::name, a.cache, a.kv_heads, a.head_dim));
  KEDGE_CHECK(op::Attention::infer(a));
  Tensor position = tensor(nullptr, Element::i32, keys), sequence = position;  // of every key

  Tensor* const parts[] = {&a.cache, &a.y, &a.pages, &a.tiles, &a.scratch, &position, &sequence};
  const auto aligned = [](const Tensor& t) {
    return (t.bytes() + Buffer::alignment - 1) / Buffer::alignment * Buffer::alignment;
  };
  std::size_t bytes = 0;
  for (const Tensor* part : parts) bytes += aligned(*part);
  KEDGE_TRY(plain.memory, Buffer::zeroed(bytes, "attention over plain tensors", allocator));
  bytes = 0;
  for (Tensor* part : parts) {
    part->data = plain.memory.data() + bytes;
    bytes += aligned(*part);
  }

  for (std::int64_t p = 0; p < pages; ++p)
    a.pages.as<std::int32_t>()[p] = static_cast<std::int32_t>(p);
  for (std::int64_t p = 0; p < keys; ++p)
    position.as<std::int32_t>()[p] = static_cast<std::int32_t>(p);
  a.position = tensor(position.as<std::int32_t>() + (keys - rows), Element::i32, rows);
  a.sequence = tensor(sequence.data, Element::i32, rows);
  KEDGE_CHECK(op::fill_attention_tiles(a.position.as<std::int32_t>(), a.sequence.as<std::int32_t>(),
                                       rows, a.tiles));
  op::KvStore::Args store;
  store.k = k;
  store.v = v;
  store.position = position;
  store.sequence = sequence;
  store.pages = a.pages;
  store.cache = a.cache;
  store.kv_heads = a.kv_heads;
  store.head_dim = a.head_dim;
  KEDGE_TRY(const Cpu cpu, Cpu::create({}));
  KEDGE_CHECK(cpu.run<op::KvStore>(store, keys));
  KEDGE_CHECK(op::Attention::check(a));
  return plain;
}

}  // namespace kedge::inline KEDGE_ABI
