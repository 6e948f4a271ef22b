// The options that say where to compute, and what is made from them.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "kedge/backend/accelerator.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/core/element.hpp"
#include "kedge/core/executor.hpp"
#include "kedge/state/recurrent_policy.hpp"

namespace kedge::tools {

// Of a key/value cache; a Failure when there is none of that name.
Element cache_element_named(const std::string& name);

struct MachineOptions {
  unsigned threads = 0;
  std::string isa = "best", backend = "cpu", device, cache = "f16", state = "auto";

  void add_threads(CLI::App& app);
  void add_isa(CLI::App& app);
  void add_cache(CLI::App& app);
  void add_state(CLI::App& app);
  // For commands that run whole models.
  void add_backend(CLI::App& app);

  cpu::Isa chosen_isa() const;  // a Failure when this processor or build lacks it
  Element cache_element() const { return cache_element_named(cache); }
  RecurrentOptions recurrent() const;
  // Of --backend and --device, opened at the first call; null: the CPU. A Failure when there is
  // none.
  std::shared_ptr<Accelerator> accelerator() const;
  // "vulkan on llvmpipe (...)", "cpu".
  std::string backend_text() const;
  std::unique_ptr<Executor> executor() const;

 private:
  mutable std::shared_ptr<Accelerator> opened_;
};

std::vector<cpu::Isa> available_isas();
// "Intel(R) Xeon(R) ..., 2 processors"
std::string machine_name();

}  // namespace kedge::tools
