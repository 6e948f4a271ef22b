// The default executor. Each region has an explicit number of threads; nothing depends on the
// environment unless the OpenMP runtime itself reads it.
#include <new>

#include "kedge/core/executor.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace kedge::inline KEDGE_ABI {

#if defined(_OPENMP)
namespace {

class OpenMpExecutor final : public Executor {
 public:
  explicit OpenMpExecutor(unsigned threads) noexcept : threads_(threads) {}
  unsigned workers() const noexcept override { return threads_; }
  bool co_scheduled() const noexcept override { return true; }

  Status gang(GangBody body, void* context) noexcept override {
    if (threads_ == 1) {  // libgomp would allocate a team of one at every call
      body(context, 0, 1);
      return {};
    }
#pragma omp parallel num_threads(static_cast <int>(threads_))
    body(context, static_cast<unsigned>(omp_get_thread_num()),
         static_cast<unsigned>(omp_get_num_threads()));
    return {};
  }
  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    if (threads_ == 1) {
      for (std::size_t t = 0; t < count; ++t) body(context, t);
      return {};
    }
#pragma omp parallel for num_threads(static_cast <int>(threads_)) schedule(dynamic)
    for (std::size_t t = 0; t < count; ++t) body(context, t);
    return {};
  }

 private:
  unsigned threads_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_openmp_executor(unsigned threads) noexcept {
  std::unique_ptr<Executor> executor(
      new (std::nothrow) OpenMpExecutor(threads == 0 ? available_processors() : threads));
  if (executor == nullptr) return fail(Code::out_of_memory, "executor", "no memory for OpenMP");
  return executor;
}

Result<std::unique_ptr<Executor>> make_default_executor(unsigned threads) noexcept {
  return make_openmp_executor(threads);
}
#else
Result<std::unique_ptr<Executor>> make_openmp_executor(unsigned) noexcept {
  return fail(Code::unsupported, "executor", "this build of Kedge has no OpenMP");
}

Result<std::unique_ptr<Executor>> make_default_executor(unsigned threads) noexcept {
  return make_pool_executor(threads);
}
#endif

}  // namespace kedge::inline KEDGE_ABI
