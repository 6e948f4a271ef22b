// What a pass of n rows through a model takes at least: the sum of its operators' bounds.
#pragma once

#include <vector>

#include "bench/limits.hpp"
#include "kedge/model/model.hpp"

namespace kedge::tools {

class StepCost {
 public:
  StepCost(const Model& model, cpu::Isa isa, Element cache, std::int64_t context);

  double bytes() const;                              // read by a pass, whatever its rows
  double multiply_adds() const;                      // of one row
  double seconds(double rows, const Limits&) const;  // the sum of what each operator takes at least
  std::vector<Family> families() const;

 private:
  // Operators that are alike, or one: the bound of a sum of these is the sum of their bounds.
  struct Part {
    Family family;
    double bytes, multiply_adds;  // of one row
  };
  void matrix(const Tensor& weight, cpu::Isa isa);
  std::vector<Part> parts_;
};

}  // namespace kedge::tools
