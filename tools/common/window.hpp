// --window and --verification.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kedge/spec/verification.hpp"
#include "kedge/spec/windows.hpp"

namespace kedge::tools {

struct WindowOptions {
  std::string window, verification = "coupled";  // empty: best

  void add(CLI::App& app);
  // A Failure names the option, what was found and what is known.
  window::AnyWindow make() const;
  Verification method() const;
  // A window that says what this one says and writes down what was asked and kept of every round,
  // for recorded:FILE.
  window::AnyWindow recording(std::shared_ptr<std::vector<window::Recorded::Length>> lengths) const;
};

}  // namespace kedge::tools
