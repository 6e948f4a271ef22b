// Every allocation fails once: while a file is opened, weights are packed, the plan is compiled, a
// tokenizer is made, and in the first round. Each time the answer is an error, and nothing leaks.
#include <gtest/gtest.h>

#include <vector>

#include "kedge/kedge.hpp"
#include "support/failing_malloc.hpp"

namespace kedge::tests {
namespace {

constexpr const char* model_path = KEDGE_GOLDEN_DIR "/tiny/grouped.gguf";

// What a program does up to its first round.
Status first_round(Executor* executor, const Allocator& allocator) {
  Model::Options load;
  load.executor = executor;
  load.allocator = allocator;
  KEDGE_TRY(std::shared_ptr<const Model> model, Model::load(model_path, load));
  Session::Options options;
  options.executor = executor;
  options.allocator = allocator;
  options.context = 128;
  KEDGE_TRY(Session session, Session::create(std::move(model), options));
  KEDGE_TRY(auto lookup, draft::Lookup::create({}));
  KEDGE_TRY(auto drafter, draft::AnyDrafter::make(std::move(lookup)));
  session.set_drafter(std::move(drafter));
  const std::int32_t prompt[] = {1, 2, 3, 1, 2, 3, 1, 2};
  KEDGE_TRY([[maybe_unused]] const std::int32_t first, session.begin(prompt));
  KEDGE_TRY([[maybe_unused]] const auto round, session.round(8));
  return {};
}

TEST(AllocationFailure, EveryMallocFailsOnce) {
  if (!malloc_can_fail()) GTEST_SKIP() << "a sanitizer has malloc for itself";
  auto pool = make_pool_executor(2);
  ASSERT_TRUE(pool);
  for (Executor* executor : {static_cast<Executor*>(nullptr), pool->get()}) {
    fail_request(0);
    ASSERT_TRUE(first_round(executor, default_allocator()));  // what is made once is made now
    fail_request(0);
    const std::int64_t before = alive();
    ASSERT_TRUE(first_round(executor, default_allocator()));
    const std::int64_t total = requests();
    ASSERT_EQ(alive(), before);
    EXPECT_GT(total, 100);
    for (std::int64_t n = 1; n <= total; ++n) {
      fail_request(n);
      Code code = Code::invalid_argument;
      {
        const Status status = first_round(executor, default_allocator());
        fail_request(0);
        ASSERT_FALSE(status) << "request " << n << " of " << total << " failed and nobody said so";
        code = status.error().code;
      }
      ASSERT_EQ(code, Code::out_of_memory) << "request " << n << " of " << total;
      ASSERT_EQ(alive(), before) << "request " << n << " of " << total << " failed and leaked";
    }
    std::printf("             each of %lld allocations failed once\n",
                static_cast<long long>(total));
  }
}

// An allocator of the host's that runs dry, and keeps books.
struct Host {
  std::int64_t fail_at = 0, requests = 0, alive = 0;
  std::size_t bytes = 0;

  Allocator allocator() {
    return {[](void* c, std::size_t size, std::size_t alignment) noexcept -> void* {
              Host& host = *static_cast<Host*>(c);
              if (++host.requests == host.fail_at) return nullptr;
              ++host.alive;
              host.bytes += size;
              return ::operator new (size, std::align_val_t{alignment}, std::nothrow);
            },
            [](void* c, void* memory, std::size_t size, std::size_t alignment) noexcept {
              Host& host = *static_cast<Host*>(c);
              --host.alive;
              host.bytes -= size;
              ::operator delete (memory, std::align_val_t{alignment}, std::nothrow);
            },
            this};
  }
};

TEST(AllocationFailure, EveryRequestToTheHostFailsOnce) {
  Host counting;
  ASSERT_TRUE(first_round(nullptr, counting.allocator()));
  EXPECT_GT(counting.requests, 5);
  EXPECT_EQ(counting.alive, 0);
  EXPECT_EQ(counting.bytes, 0u);
  for (std::int64_t n = 1; n <= counting.requests; ++n) {
    Host host;
    host.fail_at = n;
    const Status status = first_round(nullptr, host.allocator());
    ASSERT_FALSE(status) << "request " << n;
    EXPECT_EQ(status.error().code, Code::out_of_memory) << "request " << n;
    EXPECT_EQ(host.alive, 0) << "request " << n << " failed and leaked";
    EXPECT_EQ(host.bytes, 0u) << "request " << n;
  }
}

TEST(ThreadFailure, APoolThatCannotStartIsAnError) {
  if (!malloc_can_fail()) GTEST_SKIP() << "a sanitizer starts threads itself";
  fail_request(0);
  const std::int64_t before = alive();
  fail_threads(true);
  {
    auto pool = make_pool_executor(3);
    fail_threads(false);
    ASSERT_FALSE(pool);
    EXPECT_NE(std::string_view(pool.error().reason).find("thread"), std::string_view::npos)
        << pool.error().reason;
  }
  EXPECT_EQ(alive(), before);
  EXPECT_TRUE(make_pool_executor(3));
}

}  // namespace
}  // namespace kedge::tests
