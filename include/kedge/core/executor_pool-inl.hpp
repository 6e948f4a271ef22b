// A pool of POSIX threads whose failures are values. Workers spin briefly for the next call (the
// gap between two decoding steps is microseconds) and then sleep on a condition variable.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "kedge/core/executor.hpp"
#include "kedge/core/os/spin.hpp"

namespace kedge::inline KEDGE_ABI {

unsigned available_processors() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<unsigned>(online) : 1;
}

namespace os {
void yield() noexcept { sched_yield(); }
}  // namespace os

namespace {

class PoolExecutor final : public Executor {
 public:
  explicit PoolExecutor(unsigned threads) noexcept : workers_(threads) {}

  ~PoolExecutor() override {
    publish(nullptr, nullptr);
    for (unsigned i = 0; i < started_; ++i) pthread_join(slot_[i].thread, nullptr);
    pthread_cond_destroy(&wake_);
    pthread_mutex_destroy(&mutex_);
  }

  Status start() noexcept {
    slot_.reset(new (std::nothrow) Slot[workers_]);
    if (slot_ == nullptr) return fail(Code::out_of_memory, "executor", "no memory for the pool");
    for (; started_ + 1 < workers_; ++started_) {
      slot_[started_] = {this, started_ + 1, {}};
      const int error = pthread_create(&slot_[started_].thread, nullptr, main, &slot_[started_]);
      if (error != 0)
        return fail(Code::out_of_memory, "executor", "cannot start thread %u of %u: error %d",
                    started_ + 1, workers_, error);
    }
    return {};
  }

  unsigned workers() const noexcept override { return workers_; }
  bool co_scheduled() const noexcept override { return true; }

  Status gang(GangBody body, void* context) noexcept override {
    if (busy_.exchange(true, std::memory_order_acquire))
      return fail(Code::busy, "executor", "the pool is running another call");
    pending_.store(workers_ - 1, std::memory_order_relaxed);
    publish(body, context);
    body(context, 0, workers_);
    os::spin_until([this] { return pending_.load(std::memory_order_acquire) == 0; });
    busy_.store(false, std::memory_order_release);
    return {};
  }

  Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    struct Shared {
      std::atomic<std::size_t> next{0};
      std::size_t count;
      TaskBody body;
      void* context;
    } shared{{0}, count, body, context};
    return gang(
        [](void* c, unsigned, unsigned) noexcept {
          auto& s = *static_cast<Shared*>(c);
          for (;;) {
            const std::size_t task = s.next.fetch_add(1, std::memory_order_relaxed);
            if (task >= s.count) return;
            s.body(s.context, task);
          }
        },
        &shared);
  }

 private:
  struct Slot {
    PoolExecutor* pool;
    unsigned worker;
    pthread_t thread;
  };

  void publish(GangBody body, void* context) noexcept {
    pthread_mutex_lock(&mutex_);
    body_ = body;
    context_ = context;
    call_.fetch_add(1, std::memory_order_release);
    pthread_cond_broadcast(&wake_);
    pthread_mutex_unlock(&mutex_);
  }

  static void* main(void* argument) noexcept {
    Slot& slot = *static_cast<Slot*>(argument);
    PoolExecutor& pool = *slot.pool;
    unsigned seen = 0;
    for (;;) {
      for (int i = 0; i < 20000 && pool.call_.load(std::memory_order_acquire) == seen; ++i)
        os::pause();
      pthread_mutex_lock(&pool.mutex_);
      while (pool.call_.load(std::memory_order_relaxed) == seen)
        pthread_cond_wait(&pool.wake_, &pool.mutex_);
      seen = pool.call_.load(std::memory_order_relaxed);
      const GangBody body = pool.body_;
      void* context = pool.context_;
      pthread_mutex_unlock(&pool.mutex_);
      if (body == nullptr) return nullptr;
      body(context, slot.worker, pool.workers_);
      pool.pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  unsigned workers_;
  unsigned started_ = 0;
  std::unique_ptr<Slot[]> slot_;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake_ = PTHREAD_COND_INITIALIZER;
  GangBody body_ = nullptr;
  void* context_ = nullptr;
  std::atomic<unsigned> call_{0};
  std::atomic<unsigned> pending_{0};
  std::atomic<bool> busy_{false};
};

}  // namespace

Result<std::unique_ptr<Executor>> make_pool_executor(unsigned threads) noexcept {
  auto* pool = new (std::nothrow) PoolExecutor(threads == 0 ? available_processors() : threads);
  if (pool == nullptr) return fail(Code::out_of_memory, "executor", "no memory for the pool");
  std::unique_ptr<Executor> executor(pool);
  KEDGE_CHECK(pool->start());
  return executor;
}

}  // namespace kedge::inline KEDGE_ABI
