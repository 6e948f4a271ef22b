// Operators without their types: what `kedge op` and `kedge bench ops` know of them. The list comes
// from the lines of kedge_add_op; nothing here names an operator.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/op/op.hpp"

namespace kedge::tools {

struct TensorField {
  std::string name, help;
  op::Role role = op::Role::input;
  bool optional = false;  // the operator's help says so
  bool written() const {
    return role == op::Role::output || role == op::Role::inout || role == op::Role::state;
  }
};
struct SettingField {
  std::string name, type, initial, help;
};

// What a caller may give, and what comes back: the operator's own fields unless an adapter lays
// plain tensors into the form that the kernels take.
struct OperatorFields {
  std::vector<TensorField> tensors;
  std::vector<SettingField> settings;
  std::vector<std::string> notes;
};

// Memory that lives as long as a call.
class Memory {
 public:
  std::byte* take(std::size_t bytes);  // zeroed
  void keep(Buffer buffer) { buffers_.push_back(std::move(buffer)); }
  void give_memory(Tensor& tensor) { tensor.data = take(tensor.bytes()); }

 private:
  std::deque<Buffer> buffers_;
};

enum class BackendKind { reference, cpu, vulkan };

struct OperatorCall {
  std::map<std::string, Tensor> tensors;        // inputs, by name
  std::map<std::string, std::string> settings;  // as the user wrote them
  BackendKind backend = BackendKind::cpu;
  cpu::Isa isa = cpu::Isa::best;
  Executor* executor = nullptr;
  int repetitions = 1;
};

struct OperatorResult {
  std::map<std::string, Tensor> outputs;
  op::Cost cost;
  double milliseconds = 0;  // of the fastest repetition
};

struct Operator {
  std::string name;
  bool has_shader = false;
  OperatorFields fields;
  std::function<OperatorResult(const OperatorCall&, Memory&)> run;
};

const std::vector<Operator>& operators();
// A Failure that lists the names when there is none.
const Operator& find_operator(const std::string& name);

}  // namespace kedge::tools
