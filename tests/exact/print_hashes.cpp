// Prints a hash of the output bytes of every operator, case and ISA. Two builds (other compiler,
// optimization level, flags) are exact to each other when they print the same text.
#include <cstdio>

#include "kedge/cases_includes.inc"
#include "kedge/kernel_cpu_includes.inc"
#include "kedge/op_includes.inc"
#include "support/operator_call.hpp"

namespace kedge::tests {
namespace {

std::uint64_t fnv1a(std::uint64_t hash, const std::byte* data, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i)
    hash = (hash ^ static_cast<std::uint64_t>(data[i])) * 0x100000001B3u;
  return hash;
}

// False when the operator refused.
template <class Op>
bool print_hashes() {
  for (const auto& c : cases::cases<Op>())
    for (const cpu::Isa isa : available_isas()) {
      OperatorCall<Op> call(c, 7, 1, isa);
      const Status ran = call.run(make_cpu(isa));
      if (!ran) {
        std::printf("%s | %s | %s | %s\n", Op::name, c.name.c_str(), to_string(isa),
                    ran.error().reason);
        return false;
      }
      std::uint64_t inputs = 0xCBF29CE484222325u, outputs = inputs;
      for (const auto& f : fields<Op>()) {
        const Tensor t = call.part(f);
        if (f.role == op::Role::input) inputs = fnv1a(inputs, t.data, t.bytes());
        if (f.written()) outputs = fnv1a(outputs, t.data, t.bytes());
      }
      // The inputs' hash tells a difference of the generator from one of the kernel.
      std::printf("%s | %s | %s | inputs %016llx | outputs %016llx\n", Op::name, c.name.c_str(),
                  to_string(isa), static_cast<unsigned long long>(inputs),
                  static_cast<unsigned long long>(outputs));
    }
  return true;
}

}  // namespace
}  // namespace kedge::tests

int main() {
  bool ok = true;
#define KEDGE_OP(stem, Type) ok = kedge::tests::print_hashes<kedge::op::Type>() && ok;
#include "kedge/ops.inc"
#undef KEDGE_OP
  return ok ? 0 : 1;
}
