// Every way in which a host may run a plan.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "support/executors.hpp"
#include "support/isas.hpp"

namespace kedge::tests {

// Says that it has many workers, so that phases are cut into many tasks, which a pool of three runs
// in any order; no gang.
class ManyTasks final : public Executor {
 public:
  explicit ManyTasks(std::unique_ptr<Executor> pool) : pool_(std::move(pool)) {}
  unsigned workers() const noexcept override { return 61; }
  bool co_scheduled() const noexcept override { return false; }
  Status gang(GangBody, void*) noexcept override {
    return fail(Code::unsupported, "many tasks", "no gang");
  }
  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    return pool_->tasks(count, body, context);
  }

 private:
  std::unique_ptr<Executor> pool_;
};

struct NamedExecutor {
  std::string name;
  std::unique_ptr<Executor> executor;  // null: the calling thread alone
};

inline std::vector<NamedExecutor> all_executors() {
  std::vector<NamedExecutor> list;
  list.push_back({"calling thread", nullptr});
  list.push_back({"serial", std::make_unique<SerialExecutor>()});
  for (unsigned n = 1; n <= 3; ++n) {
    auto pool = make_pool_executor(n);
    EXPECT_TRUE(pool) << n;
    if (pool) list.push_back({"pool of " + std::to_string(n), std::move(*pool)});
    auto openmp = make_openmp_executor(n);
    if (openmp) list.push_back({"OpenMP with " + std::to_string(n), std::move(*openmp)});
    else EXPECT_EQ(openmp.error().code, Code::unsupported) << openmp.error().reason;
  }
  list.push_back({"tasks one by one", std::make_unique<TasksOnlyExecutor>(2u, false)});
  list.push_back({"reversed tasks", std::make_unique<TasksOnlyExecutor>(3u, true)});
  if (auto pool = make_pool_executor(3))
    list.push_back({"61 tasks", std::make_unique<ManyTasks>(std::move(*pool))});
  return list;
}

}  // namespace kedge::tests
