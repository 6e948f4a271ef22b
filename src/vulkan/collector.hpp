// Collector: only looks at what kernels dispatch.
#pragma once

#include <vector>

#include "error.hpp"
#include "kedge/kernel/vulkan/dispatch.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

class Collector final : public Recorder {
 public:
  explicit Collector(const Limits& limits) : limits_(limits) {}
  const Limits& limits() const noexcept override { return limits_; }
  Status dispatch(const Dispatch& d) noexcept override {
    return guarded(d.shader->name, [&]() -> Status {
      items.push_back(d);
      return {};
    });
  }
  std::vector<Dispatch> items;

 private:
  const Limits& limits_;
};

}  // namespace kedge::inline KEDGE_ABI::vulkan
