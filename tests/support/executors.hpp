// Executors that a host might bring, for tests.
#pragma once

#include "kedge/core/executor.hpp"

namespace kedge::tests {

// Offers no gang; runs tasks one after the other on the calling thread, forwards or backwards.
class TasksOnlyExecutor final : public Executor {
 public:
  TasksOnlyExecutor(unsigned workers, bool reversed) : workers_(workers), reversed_(reversed) {}
  unsigned workers() const noexcept override { return workers_; }
  bool co_scheduled() const noexcept override { return false; }
  Status gang(GangBody, void*) noexcept override {
    return fail(Code::unsupported, "executor", "this executor has no gang");
  }
  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    for (std::size_t t = 0; t < count; ++t) body(context, reversed_ ? count - 1 - t : t);
    return {};
  }

 private:
  unsigned workers_;
  bool reversed_;
};

}  // namespace kedge::tests
