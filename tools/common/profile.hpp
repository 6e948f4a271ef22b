// Where the time of passes on the CPU goes, by operator and shape.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/output.hpp"
#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::tools {

class Profile final : public cpu::PhaseObserver {
 public:
  void ran(const cpu::Phase& phase, const cpu::Launch& launch, double seconds) noexcept override;
  void clear() noexcept { parts_.clear(); }

  // Of one of `runs` equal runs, what takes longest first.
  Table table(std::int64_t runs) const;
  nlohmann::json json(std::int64_t runs) const;

 private:
  struct Part {
    std::int64_t calls = 0;
    double seconds = 0;
  };
  std::map<std::string, Part> parts_;
};

}  // namespace kedge::tools
