// One operator's type behind op/operator.hpp: reads its fields, fills its arguments, runs it.
#pragma once

#include <charconv>
#include <chrono>
#include <limits>

#include "common/failure.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/backend/reference.hpp"
#include "op/operator.hpp"

namespace kedge::tools {

// What some operators need beside their own fields. The default is nothing; specializations are in
// op/adapters.hpp.
template <class Op>
struct Adapter {
  static void describe(OperatorFields&) {}
  // Completes the arguments before infer(): packs weights, rounds activations, lays out pages. May
  // use and remove tensors and settings that are not the operator's own.
  static void prepare(OperatorCall&, typename Op::Args&, Memory&) {}
  // Adds outputs that are easier to read than the operator's own.
  static void finish(const OperatorCall&, const typename Op::Args&, Memory&, OperatorResult&) {}
};

template <class Op>
struct DescribeFields {
  OperatorFields& fields;
  typename Op::Args initial{};
  void tensor(const char* name, Tensor Op::Args::*, op::Role role, const char* help) {
    fields.tensors.push_back(
        {name, help, role, std::string_view(help).find("optional") != std::string_view::npos});
  }
  template <class T>
  void setting(const char* name, T Op::Args::*member, const char* help) {
    const char* const type = std::is_same_v<T, bool>    ? "bool"
                             : std::is_same_v<T, float> ? "float"
                                                        : "integer";
    fields.settings.push_back({name, type, fmt::format("{}", initial.*member), help});
  }
};

template <class T>
T parse_setting(const std::string& name, const std::string& text) {
  if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
    bad_usage("--set " + name, "expected true or false, found \"{}\"", text);
  } else {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      bad_usage("--set " + name, "expected {}, found \"{}\"",
                std::is_same_v<T, float> ? "a number" : "a 32-bit integer", text);
    return value;
  }
}

// Moves what the user gave into the arguments; what is left over nobody wanted.
template <class Op>
struct FillArguments {
  OperatorCall& call;
  typename Op::Args& args;
  void tensor(const char* name, Tensor Op::Args::*member, op::Role role, const char*) {
    const auto found = call.tensors.find(name);
    if (found == call.tensors.end() || role == op::Role::output || role == op::Role::scratch)
      return;
    args.*member = found->second;
    call.tensors.erase(found);
  }
  template <class T>
  void setting(const char* name, T Op::Args::*member, const char*) {
    const auto found = call.settings.find(name);
    if (found == call.settings.end()) return;
    args.*member = parse_setting<T>(name, found->second);
    call.settings.erase(found);
  }
};

template <class Op>
struct FieldList {
  struct Item {
    const char* name;
    Tensor Op::Args::*member;
    op::Role role;
    std::string_view help;
  };
  std::vector<Item> items;
  void tensor(const char* name, Tensor Op::Args::*member, op::Role role, const char* help) {
    items.push_back({name, member, role, help});
  }
  template <class T>
  void setting(const char*, T Op::Args::*, const char*) {}
};

// Rows of a call: those of the first input that has one entry per row, as its help says.
template <class Op>
std::int64_t rows_of(const FieldList<Op>& list, const typename Op::Args& args) {
  for (const auto& f : list.items) {
    if (f.role != op::Role::input && f.role != op::Role::inout) continue;
    const Tensor& t = args.*f.member;
    if (f.help.starts_with("[rows]")) return t.width();
    if (f.help.starts_with("[rows,")) return t.rows();
  }
  return 1;
}

template <class Op>
Status run_on_vulkan(const typename Op::Args& args, std::int64_t rows);  // op/vulkan.cpp

template <class Op>
OperatorResult run_operator(const OperatorCall& given, Memory& memory) {
  OperatorCall call = given;
  typename Op::Args args{};
  FieldList<Op> list;
  Op::fields(list);
  // `y=q8_act`: the element of an output.
  std::vector<std::pair<Tensor Op::Args::*, std::string>> elements;
  for (const auto& f : list.items)
    if (const auto found = call.settings.find(f.name);
        f.role == op::Role::output && found != call.settings.end()) {
      if (found->second != "q8_act" && found->second != "f32")
        bad_usage(std::string("--set ") + f.name, "expected f32 or q8_act, found \"{}\"",
                  found->second);
      elements.emplace_back(f.member, found->second);
      call.settings.erase(found);
    }
  Op::fields(FillArguments<Op>{call, args});
  Adapter<Op>::prepare(call, args, memory);
  const Operator& self = find_operator(Op::name);
  for (const auto& [name, tensor] : call.tensors)
    fail_with(Code::invalid_argument, Op::name, "unexpected tensor {}; --help lists what it takes",
              name);
  for (const auto& [name, value] : call.settings)
    bad_usage("--set " + name, "{} has no such setting; --help lists them", Op::name);
  for (const auto& f : list.items)
    if ((f.role == op::Role::input || f.role == op::Role::inout || f.role == op::Role::state) &&
        (args.*f.member).empty() && f.help.find("optional") == std::string_view::npos)
      fail_with(Code::invalid_argument, Op::name, "tensor {} is missing: {}", f.name, f.help);

  must(Op::infer(args));
  for (const auto& [member, element] : elements)
    (args.*member).element = element == "q8_act" ? Element::q8_act : Element::f32;
  // Shapes are known now; check them before asking for memory of their size.
  must(Op::check(args));
  for (const auto& f : list.items)
    if (Tensor& t = args.*f.member; !t.empty() && t.data == nullptr) memory.give_memory(t);

  OperatorResult result;
  result.cost = Op::cost(args);
  result.milliseconds = std::numeric_limits<double>::infinity();
  const std::int64_t rows = rows_of(list, args);
  for (int i = 0; i < std::max(1, call.repetitions); ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (call.backend == BackendKind::reference) {
      must(Reference::run<Op>(args));
    } else if (call.backend == BackendKind::cpu) {
      const Cpu cpu = must(Cpu::create({call.isa, call.executor}));
      must(cpu.run<Op>(args, rows));
    } else {
      if (!self.has_shader)
        fail_with(Code::unsupported, Op::name, "it has no shader; --backend reference or cpu");
      must(run_on_vulkan<Op>(args, rows));
    }
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    result.milliseconds = std::min(result.milliseconds, time.count());
  }
  for (const auto& f : list.items)
    if ((f.role == op::Role::output || f.role == op::Role::inout) && !(args.*f.member).empty())
      result.outputs[f.name] = args.*f.member;
  Adapter<Op>::finish(given, args, memory, result);
  return result;
}

template <class Op>
Operator describe_operator(bool has_shader) {
  Operator self;
  self.name = Op::name;
  self.has_shader = has_shader;
  Op::fields(DescribeFields<Op>{self.fields});
  Adapter<Op>::describe(self.fields);
  self.run = run_operator<Op>;
  return self;
}

}  // namespace kedge::tools
