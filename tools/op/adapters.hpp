// Operators whose arguments a file cannot hold as they are: weights in panels, activations rounded
// to int8, pages of a cache. Most operators need nothing here.
#pragma once

#include <algorithm>

#include "common/machine.hpp"
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "kedge/kernel/cpu/rope.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/kernel/ref/quantize_rows.hpp"
#include "kedge/state/plain_attention.hpp"
#include "op/typed_operator.hpp"

namespace kedge::tools {

// Indices are data that no check sees, so the tool looks at them before a kernel does.
inline void expect_indices(const char* op, const char* name, const Tensor& t, std::int64_t limit) {
  if (t.empty() || t.element != Element::i32) return;  // check() says so
  for (std::int64_t i = 0; i < t.rows() * t.width(); ++i)
    if (const std::int32_t value = t.as<std::int32_t>()[i]; value < 0 || value >= limit)
      fail_with(Code::invalid_argument, op, "{}: entry {} is {}, expected 0..{}", name, i, value,
                limit - 1);
}

inline Tensor take_tensor(OperatorCall& call, const char* name) {
  const auto found = call.tensors.find(name);
  if (found == call.tensors.end()) return {};
  const Tensor t = found->second;
  call.tensors.erase(found);
  return t;
}

inline std::string take_setting(OperatorCall& call, const char* name, const char* otherwise) {
  const auto found = call.settings.find(name);
  if (found == call.settings.end()) return otherwise;
  std::string value = found->second;
  call.settings.erase(found);
  return value;
}

inline Element take_cache_element(OperatorCall& call) {
  return cache_element_named(take_setting(call, "cache", "f32"));
}

template <>
struct Adapter<op::RowLookup> {
  static void describe(OperatorFields&) {}
  static void prepare(OperatorCall&, op::RowLookup::Args& a, Memory&) {
    if (!a.weight.empty()) expect_indices(op::RowLookup::name, "token", a.token, a.weight.rows());
  }
  static void finish(const OperatorCall&, const op::RowLookup::Args&, Memory&, OperatorResult&) {}
};

template <>
struct Adapter<op::Rope> {
  static void describe(OperatorFields&) {}
  static void prepare(OperatorCall&, op::Rope::Args& a, Memory&) {
    if (!a.table.empty()) expect_indices(op::Rope::name, "position", a.position, a.table.rows());
  }
  static void finish(const OperatorCall&, const op::Rope::Args&, Memory&, OperatorResult&) {}
};

// Of matmul and of what has its x and weight.
template <class Op>
struct ProductAdapter {
  static void describe(OperatorFields& f) {
    f.settings.push_back({"x", "f32 or q8_act", "q8_act",
                          "for a weight in blocks, on reference and cpu: whether x is rounded"});
    f.notes.push_back(
        "x is given as f32; for a weight in blocks it is rounded to int8 (q8_act) first, as the "
        "cpu\nwants it. Vulkan takes it as it is: compare with --backend reference --set x=f32");
    f.notes.push_back("the weight is packed into panels of 16 rows for the cpu");
  }
  static void prepare(OperatorCall& call, typename Op::Args& a, Memory& memory) {
    const std::string x = take_setting(call, "x", "q8_act");
    if (x != "q8_act" && x != "f32")
      bad_usage("--set x", "expected f32 or q8_act, found \"{}\"", x);
    if (a.x.empty() || a.weight.empty()) return;
    const bool rounds = op::Matmul::activation(a.weight.element) == Element::q8_act;
    if (rounds && x == "q8_act" && a.x.element == Element::f32 &&
        call.backend != BackendKind::vulkan) {
      op::QuantizeRows::Args q;
      q.x = a.x;
      must(op::QuantizeRows::infer(q));
      must(op::QuantizeRows::check(q));
      memory.give_memory(q.y);
      if (call.backend == BackendKind::reference) must(Reference::run<op::QuantizeRows>(q));
      else must(must(Cpu::create({call.isa, call.executor})).run<op::QuantizeRows>(q, q.x.rows()));
      a.x = q.y;
    }
    const ElementTraits format = traits(a.weight.element);
    if (call.backend == BackendKind::cpu && format.weight && a.weight.width() % format.block == 0) {
      std::byte* packed =
          memory.take(cpu::packed_bytes(a.weight.element, a.weight.rows(), a.weight.width()));
      cpu::pack(a.weight, packed, 0, cpu::panel_count(a.weight.rows()));
      a.weight.data = packed;
      a.weight.layout = Layout::panel16;
    }
  }
  static void finish(const OperatorCall&, const typename Op::Args&, Memory&, OperatorResult&) {}
};

template <>
struct Adapter<op::Matmul> : ProductAdapter<op::Matmul> {};
template <>
struct Adapter<op::MatmulArgmax> : ProductAdapter<op::MatmulArgmax> {};

// One sequence in pages of its own, from k and v as they are.
template <>
struct Adapter<op::KvStore> {
  static void describe(OperatorFields& f) {
    std::erase_if(f.tensors, [](const TensorField& t) {
      return t.name == "pages" || t.name == "cache" || t.name == "sequence";
    });
    for (TensorField& t : f.tensors)
      if (t.name == "position") {
        t.optional = true;
        t.help = "[rows] i32, absolute position; optional: 0, 1, 2, ...";
      }
    f.tensors.push_back(
        {"k_stored", "[rows, kv_heads * head_dim] f32, read back", op::Role::output});
    f.tensors.push_back(
        {"v_stored", "[rows, kv_heads * head_dim] f32, read back", op::Role::output});
    f.settings.push_back({"cache", cache_elements, "f32", "element of the cache"});
    f.notes.push_back("the pages of a cache are made for the call, filled with NaN");
  }
  static void prepare(OperatorCall& call, op::KvStore::Args& a, Memory& memory) {
    const Element element = take_cache_element(call);
    if (a.k.empty()) return;
    const std::int64_t rows = a.k.rows();
    if (a.position.empty()) {
      a.position = tensor(nullptr, Element::i32, rows);
      memory.give_memory(a.position);
      for (std::int64_t r = 0; r < rows; ++r)
        a.position.as<std::int32_t>()[r] = static_cast<std::int32_t>(r);
    }
    expect_indices(op::KvStore::name, "position", a.position, std::int64_t{1} << 20);
    a.sequence = tensor(nullptr, Element::i32, rows);
    memory.give_memory(a.sequence);
    std::int64_t positions = 1;
    if (a.position.element == Element::i32)
      for (std::int64_t r = 0; r < a.position.rows() * a.position.width(); ++r)
        positions = std::max<std::int64_t>(positions, 1 + a.position.as<std::int32_t>()[r]);
    const std::int64_t pages = (positions + page_positions - 1) / page_positions;
    a.pages = tensor(nullptr, Element::i32, 1, pages);
    memory.give_memory(a.pages);
    for (std::int64_t p = 0; p < pages; ++p)
      a.pages.as<std::int32_t>()[p] = static_cast<std::int32_t>(p);
    const KvPageLayout layout{element, a.kv_heads, a.head_dim, 1};
    a.cache = layout.cache(nullptr, pages, 0);
    must(op::expect_cache(op::KvStore::name, a.cache, a.kv_heads, a.head_dim));
    memory.give_memory(a.cache);
    std::memset(a.cache.data, 0xFF, a.cache.bytes());
  }
  static void finish(const OperatorCall&, const op::KvStore::Args& a, Memory& memory,
                     OperatorResult& result) {
    const KvPageLayout layout = op::KvStore::layout(a);
    Tensor k = tensor(nullptr, Element::f32, a.k.rows(), a.k.width()), v = k;
    memory.give_memory(k);
    memory.give_memory(v);
    for (std::int64_t r = 0; r < a.k.rows(); ++r)
      for (std::int64_t i = 0; i < a.k.width(); ++i) {
        const std::int64_t p = a.position.as<std::int32_t>()[r];
        const std::int64_t head = i / a.head_dim, d = i % a.head_dim;
        k.row<float>(r)[i] = kv_stored(a.cache, layout, p / 64, head, p % 64, d, true);
        v.row<float>(r)[i] = kv_stored(a.cache, layout, p / 64, head, p % 64, d, false);
      }
    result.outputs["k_stored"] = k;
    result.outputs["v_stored"] = v;
  }
};

template <>
struct Adapter<op::Attention> {
  static void describe(OperatorFields& f) {
    std::erase_if(f.tensors, [](const TensorField& t) { return t.name != "q" && t.name != "y"; });
    f.tensors.insert(f.tensors.begin() + 1,
                     {{"k", "[keys, kv_heads * head_dim] f32", op::Role::input},
                      {"v", "[keys, kv_heads * head_dim] f32", op::Role::input}});
    std::erase_if(f.settings, [](const SettingField& s) { return s.name == "head_dim"; });
    for (SettingField& s : f.settings)
      if (s.name == "heads" || s.name == "kv_heads") s.initial = "1";
    f.settings.push_back(
        {"cache", cache_elements, "f32", "element of the cache; all but f32 round k and v"});
    f.notes.push_back("row r of q is at position keys - rows + r and attends to the keys up to it");
    f.notes.push_back("the pages of a cache are made for the call");
  }
  static void prepare(OperatorCall& call, op::Attention::Args& a, Memory& memory) {
    PlainAttentionOptions options;
    options.heads = a.heads == 0 ? 1 : a.heads;
    options.kv_heads = a.kv_heads == 0 ? 1 : a.kv_heads;
    options.scale = a.scale;
    options.cache = take_cache_element(call);
    const Tensor k = take_tensor(call, "k"), v = take_tensor(call, "v");
    for (const auto& [name, t] : {std::pair{"q", a.q}, std::pair{"k", k}, std::pair{"v", v}})
      if (t.empty())
        fail_with(Code::invalid_argument, op::Attention::name, "tensor {} is missing", name);
    if (options.kv_heads < 1 || options.heads < 1 || options.heads % options.kv_heads != 0)
      fail_with(Code::invalid_argument, op::Attention::name,
                "heads: expected a multiple of kv_heads {}, found {}", options.kv_heads,
                options.heads);
    for (const auto& [name, t] : {std::pair{"k", k}, std::pair{"v", v}}) {
      const std::int64_t width = a.q.width() / options.heads * options.kv_heads;
      must(op::expect_shape(op::Attention::name, name, t, Element::f32, k.rows(), width));
    }
    PlainAttention plain = must(make_plain_attention(a.q, k, v, options));
    a = plain.args;
    a.y = {};  // its element is the caller's choice
    memory.keep(std::move(plain.memory));
  }
  static void finish(const OperatorCall&, const op::Attention::Args&, Memory&, OperatorResult&) {}
};

}  // namespace kedge::tools
