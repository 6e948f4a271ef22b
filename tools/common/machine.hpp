// The options that say where to compute, and what is made from them.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/element.hpp"
#include "kedge/core/executor.hpp"
#include "kedge/state/recurrent_policy.hpp"

namespace kedge::tools {

// Of a key/value cache; a Failure when there is none of that name.
Element cache_element_named(const std::string& name);

struct MachineOptions {
  unsigned threads = 0;
  std::string isa = "best", backend = "cpu", cache = "f16", state = "auto";

  void add_threads(CLI::App& app);
  void add_isa(CLI::App& app);
  void add_cache(CLI::App& app);
  void add_state(CLI::App& app);
  // For commands that run whole models; another backend than the CPU is refused with the reason.
  void add_backend(CLI::App& app);

  cpu::Isa chosen_isa() const;  // a Failure when this processor or build lacks it
  Element cache_element() const { return cache_element_named(cache); }
  RecurrentOptions recurrent() const;
  void expect_cpu_backend() const;
  std::unique_ptr<Executor> executor() const;
};

std::vector<cpu::Isa> available_isas();
// "Intel(R) Xeon(R) ..., 2 processors"
std::string machine_name();

}  // namespace kedge::tools
