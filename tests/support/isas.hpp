// The instruction sets that this processor and build have.
#pragma once

#include <vector>

#include "kedge/backend/cpu.hpp"

namespace kedge::tests {

inline std::vector<cpu::Isa> available_isas() {
  std::vector<cpu::Isa> list;
  for (const cpu::Isa isa : cpu::isas)
    if (cpu::isa_available(isa)) list.push_back(isa);
  return list;
}

}  // namespace kedge::tests
