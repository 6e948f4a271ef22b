// Tests of state that a Cpu or, with KEDGE_TEST_VULKAN, a Vulkan device has to pass: every kind is
// an ISA there, and a form of reductions here. Without a device there are no kinds.
#pragma once

#include <vector>

#include "kedge/backend/cpu.hpp"
#include "support/isas.hpp"
#ifdef KEDGE_TEST_VULKAN
#include "kedge/backend/vulkan.hpp"
#include "kedge/kernel_vulkan_includes.inc"
#endif

namespace kedge::tests {

#ifdef KEDGE_TEST_VULKAN

using Tested = Vulkan;
enum class TestedKind { shared, subgroup };

inline const char* to_string(TestedKind kind) {
  return kind == TestedKind::shared ? "shared" : "subgroup";
}
// One device per kind for all tests: a pipeline takes long to compile.
inline const std::vector<Vulkan>& tested_devices() {
  static const std::vector<Vulkan> devices = [] {
    std::vector<Vulkan> list;
    for (const bool subgroups : {false, true}) {
      Vulkan::Options options;
      options.allow_cpu = true;
      options.subgroups = subgroups;
      auto device = Vulkan::create(options);
      if (!device) {
        EXPECT_EQ(device.error().code, Code::not_found) << device.error().reason;
        return std::vector<Vulkan>();
      }
      list.push_back(*std::move(device));
    }
    return list;
  }();
  return devices;
}
inline std::vector<TestedKind> tested_kinds() {
  if (tested_devices().empty()) return {};
  return {TestedKind::shared, TestedKind::subgroup};
}
inline const Tested& make_tested(TestedKind kind) {
  return tested_devices()[static_cast<std::size_t>(kind)];
}

#else

using Tested = Cpu;
using TestedKind = cpu::Isa;

inline std::vector<TestedKind> tested_kinds() { return available_isas(); }
inline Tested make_tested(TestedKind isa) { return *Cpu::create({isa, nullptr}); }

#endif

}  // namespace kedge::tests
