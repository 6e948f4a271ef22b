// Executor: the threads that a host lends. It offers a gang (co-scheduled workers that may wait for
// each other) or only tasks (any order, one at a time is legal). Every plan runs on both with equal
// bytes, since each output is computed by one worker in an order that no partition changes.
#pragma once

#include <cstddef>
#include <memory>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI {

class KEDGE_API Executor {
 public:
  using GangBody = void (*)(void* context, unsigned worker, unsigned workers) noexcept;
  using TaskBody = void (*)(void* context, std::size_t task) noexcept;

  virtual ~Executor() = default;

  // How many workers a gang has, or how many tasks are worth running at once.
  virtual unsigned workers() const noexcept = 0;

  // True: gang() runs all workers at the same time, so that they may wait for each other.
  virtual bool co_scheduled() const noexcept = 0;

  // Calls body(context, w, n) for w in [0, n) and returns when all have; n may be below workers().
  // Code::busy when called while another call runs. Only when co_scheduled().
  virtual Status gang(GangBody body, void* context) noexcept = 0;

  // Calls body(context, t) for t in [0, count), in any order, and returns when all have.
  virtual Status tasks(std::size_t count, TaskBody body, void* context) noexcept = 0;
};

// Everything on the calling thread.
class KEDGE_API SerialExecutor final : public Executor {
 public:
  unsigned workers() const noexcept override { return 1; }
  bool co_scheduled() const noexcept override { return true; }
  Status gang(GangBody body, void* context) noexcept override {
    body(context, 0, 1);
    return {};
  }
  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    for (std::size_t t = 0; t < count; ++t) body(context, t);
    return {};
  }
};

// Number of processors that this process may run on.
KEDGE_API unsigned available_processors() noexcept;

// OpenMP with an explicit number of threads (0: all processors). Code::unsupported when the library
// was built without OpenMP.
KEDGE_API Result<std::unique_ptr<Executor>> make_openmp_executor(unsigned threads) noexcept;

// A pool on the system's thread interface, whose failures are values: libgomp ends the process when
// it cannot start a thread. Workers sleep between calls after a short spin.
KEDGE_API Result<std::unique_ptr<Executor>> make_pool_executor(unsigned threads) noexcept;

// OpenMP where it was built in, else the pool.
KEDGE_API Result<std::unique_ptr<Executor>> make_default_executor(unsigned threads) noexcept;

}  // namespace kedge::inline KEDGE_ABI
