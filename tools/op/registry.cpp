// The list of operators, from the lines of kedge_add_op.
#include <algorithm>

#include "kedge/kernel_cpu_includes.inc"
#include "kedge/kernel_ref_includes.inc"
#include "op/adapters.hpp"
#include "op/operator.hpp"
#include "op/recurrent_adapters.hpp"
#if KEDGE_WITH_VULKAN
#include "kedge/backend/vulkan.hpp"
#include "kedge/kernel_vulkan_includes.inc"
#endif

namespace kedge::tools {

std::byte* Memory::take(std::size_t bytes) {
  keep(must(Buffer::zeroed(bytes, "tensors")));
  return buffers_.back().data();
}

namespace {

constexpr bool has_shader([[maybe_unused]] std::string_view name) {
#if KEDGE_WITH_VULKAN
#define KEDGE_OP(stem, Type) \
  if (name == #stem) return true;
#include "kedge/shader_ops.inc"
#undef KEDGE_OP
#endif
  return false;
}

}  // namespace

template <class Op>
Status run_on_vulkan([[maybe_unused]] const typename Op::Args& args,
                     [[maybe_unused]] std::int64_t rows) {
#if KEDGE_WITH_VULKAN
  if constexpr (has_shader(Op::name)) {
    Vulkan::Options options;
    options.allow_cpu = true;  // a software device is better than none for a single operator
    static Result<Vulkan> device = Vulkan::create(options);
    if (!device) return unexpected(device.error());
    return device->run<Op>(args, rows);
  }
#endif
  return fail(Code::unsupported, Op::name, "this build has no Vulkan shader for it");
}

const std::vector<Operator>& operators() {
  static const std::vector<Operator> list = {
#define KEDGE_OP(stem, Type) describe_operator<op::Type>(has_shader(#stem)),
#include "kedge/ops.inc"
#undef KEDGE_OP
  };
  return list;
}

const Operator& find_operator(const std::string& name) {
  std::string known;
  for (const Operator& op : operators()) {
    if (op.name == name) return op;
    known += (known.empty() ? "" : ", ") + op.name;
  }
  bad_usage("op", "no operator {}; there are {}", name, known);
}

}  // namespace kedge::tools
