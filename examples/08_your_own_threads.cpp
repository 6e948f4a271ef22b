// A host with a job system of its own lends it to Kedge, which then starts no thread. Jobs may run
// in any order and one at a time: the text has the same bytes as with threads of Kedge's own.
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "kedge/kedge.hpp"
#include "must.hpp"

// A job system as games and servers have one: workers that take jobs from a queue.
class Jobs {
 public:
  using Job = void (*)(void* context, std::size_t index);
  explicit Jobs(unsigned threads) {
    for (unsigned t = 0; t < threads; ++t) workers_.emplace_back([this] { work(); });
  }
  ~Jobs() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  unsigned threads() const { return static_cast<unsigned>(workers_.size()); }
  void run(std::size_t count, Job job, void* context) {
    std::unique_lock lock(mutex_);
    job_ = job;
    context_ = context;
    for (std::size_t i = 0; i < count; ++i) queue_.push_back(i);
    left_ = count;
    wake_.notify_all();
    done_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (closing_) return;
      const std::size_t index = queue_.back();  // the last one first, to prove a point
      queue_.pop_back();
      lock.unlock();
      job_(context_, index);
      lock.lock();
      if (--left_ == 0) done_.notify_one();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<std::size_t> queue_;
  std::size_t left_ = 0;
  Job job_ = nullptr;
  void* context_ = nullptr;
  bool closing_ = false;
  std::vector<std::thread> workers_;
};

// What Kedge sees of it. A host whose workers may wait for each other would offer gang() as well.
class HostExecutor final : public kedge::Executor {
 public:
  explicit HostExecutor(Jobs& jobs) : jobs_(jobs) {}
  unsigned workers() const noexcept override { return jobs_.threads(); }
  bool co_scheduled() const noexcept override { return false; }
  kedge::Status gang(GangBody, void*) noexcept override {
    return kedge::fail(kedge::Code::unsupported, "host", "its jobs may not wait for each other");
  }
  kedge::Status tasks(std::size_t count, TaskBody body, void* context) noexcept override {
    jobs_.run(count, body, context);
    return {};
  }

 private:
  Jobs& jobs_;
};

std::vector<std::int32_t> text(const char* path, kedge::Executor* executor) {
  kedge::Model::Options load;
  load.executor = executor;
  kedge::Session::Options options;
  options.executor = executor;
  auto session = must(kedge::Session::create(must(kedge::Model::load(path, load)), options));
  const std::int32_t prompt[] = {5, 3, 8, 5, 3, 8};
  std::vector<std::int32_t> tokens = {must(session.begin(prompt))};
  while (tokens.size() < 32)
    for (const std::int32_t token : must(session.round(32)).tokens) tokens.push_back(token);
  return tokens;
}

int main(int, char** argv) {
  Jobs jobs(3);
  HostExecutor host(jobs);
  const auto with_jobs = text(argv[1], &host), alone = text(argv[1], nullptr);
  for (const std::int32_t token : with_jobs) std::printf("%d ", token);
  std::printf("\n%s\n", with_jobs == alone ? "equal" : "DIFFERENT");
  return with_jobs == alone ? 0 : 1;
}
