// Graph: append-only values and nodes. A value is a Tensor with an id and no memory yet (an
// activation or an input), or with memory that somebody else owns (weights, state). Shapes are
// checked when a node is added, so an error names the node that is wrong. Plan::compile turns a
// graph into phases over one arena.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI {

// What a graph needs to know of an operator, without its type.
struct OperatorTable {
  const char* name;
  std::size_t args_bytes;
  // Calls visit(context, tensor, role) for every tensor of the arguments.
  void (*tensors)(void* args, void (*visit)(void* context, Tensor& tensor, op::Role role),
                  void* context);
  Result<cpu::PhaseList> (*cpu_phases)(cpu::Isa isa, const void* args) noexcept;
};

// Visits the tensors that an operator's arguments have (optional ones may be missing).
template <class Op>
struct TensorVisitor {
  typename Op::Args& args;
  void (*visit)(void*, Tensor&, op::Role);
  void* context;
  void tensor(const char*, Tensor Op::Args::*member, op::Role role, const char*) {
    if (!(args.*member).empty()) visit(context, args.*member, role);
  }
  template <class T>
  void setting(const char*, T Op::Args::*, const char*) {}
};

template <class Op>
inline constexpr OperatorTable operator_table = {
    Op::name,
    sizeof(typename Op::Args),
    [](void* args, void (*visit)(void*, Tensor&, op::Role), void* context) {
      Op::fields(TensorVisitor<Op>{*static_cast<typename Op::Args*>(args), visit, context});
    },
    [](cpu::Isa isa, const void* args) noexcept {
      return Kernel<Cpu, Op>::phases(isa, *static_cast<const typename Op::Args*>(args));
    },
};

class KEDGE_API Graph {
 public:
  // Rows: every row of a run. Outputs: the rows whose logits are wanted. Once: not per row.
  enum class Extent : std::uint8_t { rows, outputs, once };

  // What products take: the CPU's want rows rounded to int8 where the weight is in blocks.
  enum class Activations : std::uint8_t { rounded, floats };

  // Room for `max_rows` rows a run, of which at most `max_outputs` may want logits.
  Graph(std::int64_t max_rows, std::int64_t max_outputs,
        Activations activations = Activations::rounded) noexcept
      : max_rows_(max_rows), max_outputs_(max_outputs), activations_(activations) {}

  std::int64_t max_rows() const noexcept { return max_rows_; }
  std::int64_t max_outputs() const noexcept { return max_outputs_; }
  Activations activations() const noexcept { return activations_; }

  // A value that a node writes. Its memory is shared with others when their lives do not overlap.
  Result<Tensor> activation(Element element, std::int64_t width, Extent extent = Extent::rows) {
    return declare(element, extent, width, Place::shared_with_values);
  }
  // A value that the caller writes before a run or reads after it; its memory is its own.
  Result<Tensor> external(Element element, std::int64_t width, Extent extent = Extent::rows) {
    return declare(element, extent, width, Place::host);
  }
  // A value that stays after the run, for other plans to take as state. On an accelerator it lies
  // where its kernels read fastest, and the host may not see it.
  Result<Tensor> kept(Element element, std::int64_t width, Extent extent = Extent::rows) {
    return declare(element, extent, width, Place::own);
  }
  // Memory that lives elsewhere and that nodes write: a key/value cache, say.
  Result<Tensor> state(const Tensor& memory);

  // Nodes added from here on run over the outputs instead of the rows.
  void begin_outputs() noexcept { outputs_ = true; }

  // Appends a node: completes shapes, checks them, and remembers the order.
  template <class Op>
  Status add(typename Op::Args args) {
    static_assert(op::Policy<Op> && std::is_trivially_copyable_v<typename Op::Args>);
    KEDGE_CHECK(Op::infer(args));
    KEDGE_CHECK(Op::check(args));
    return append(operator_table<Op>, &args);
  }

 private:
  friend class Plan;
  enum class Place : std::uint8_t {
    shared_with_values,  // memory that other values have at other times
    own,
    host,  // own, and the host reads and writes it
  };
  struct Value {
    std::size_t bytes = 0;
    Place place = Place::shared_with_values;
    std::byte* data = nullptr;  // set for state
  };
  struct Node {
    const OperatorTable* table;
    std::size_t args;  // offset into args_
    bool outputs;
  };

  Result<Tensor> declare(Element element, Extent extent, std::int64_t width, Place place);
  Status append(const OperatorTable& table, const void* args);

  std::int64_t max_rows_, max_outputs_;
  Activations activations_;
  bool outputs_ = false;
  std::vector<Value> values_;  // value id - 1 is the index
  std::vector<Node> nodes_;
  std::vector<std::byte> args_;  // packed at 16-byte steps
};

}  // namespace kedge::inline KEDGE_ABI
