#include "kedge/graph/graph.hpp"

#include <new>

namespace kedge::inline KEDGE_ABI {

namespace {
// Arguments are plain data of pointers and integers.
constexpr std::size_t args_step = 16;
constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}
}  // namespace

Result<Tensor> Graph::declare(Element element, Extent extent, std::int64_t width, Place place) try {
  const std::int64_t rows = extent == Extent::rows      ? max_rows_
                            : extent == Extent::outputs ? max_outputs_
                                                        : 1;
  Tensor t = tensor(nullptr, element, rows, width);
  values_.push_back({t.bytes(), place, nullptr});
  t.value = static_cast<std::uint32_t>(values_.size());
  return t;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "graph", "no memory for value %zu", values_.size());
}

Result<Tensor> Graph::state(const Tensor& memory) try {
  Tensor t = memory;
  values_.push_back({t.bytes(), Place::own, t.data});
  t.value = static_cast<std::uint32_t>(values_.size());
  return t;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "graph", "no memory for value %zu", values_.size());
}

Status Graph::append(const OperatorTable& table, const void* args) try {
  const std::size_t offset = args_.size();
  args_.resize(offset + round_up(table.args_bytes, args_step));
  std::memcpy(args_.data() + offset, args, table.args_bytes);
  nodes_.push_back({&table, offset, outputs_});
  return {};
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "graph", "no memory for node %zu (%s)", nodes_.size(),
              table.name);
}

}  // namespace kedge::inline KEDGE_ABI
