// Plans on Vulkan: a graph recorded once gives the bytes of its operators run one by one, for every
// number of rows, however it is cut into submissions and wherever memory lies.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <thread>

#include "kedge/graph/plan.hpp"
#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/silu_mul.hpp"
#include "kedge/kernel_vulkan_includes.inc"
#include "parity/vulkan_parity.hpp"
#include "parity/vulkan_products.hpp"

namespace kedge::cases {
namespace {

constexpr std::int64_t max_rows = 40, max_outputs = 40, width = 64, inner = 96;
constexpr int layers = 3;

Vulkan::Options any() {
  Vulkan::Options options;
  options.allow_cpu = true;
  return options;
}

template <class T>
T must(Result<T> result) {
  EXPECT_TRUE(result) << text(result.error());
  return *std::move(result);
}

// Feed-forward layers, then a norm over the outputs. Weights lie in memory of the device; `host`
// has what they are.
struct Layers {
  std::shared_ptr<Accelerator> device;
  Workspace w{vulkan_seed};
  std::vector<Buffer> memory;
  std::map<const std::byte*, Tensor> host;  // by address on the device
  Graph graph{max_rows, max_outputs, Graph::Activations::floats};
  Tensor x, y;
  struct Layer {
    Tensor norm, gate, up, down;
  } layer[layers];
  Tensor last_norm;

  Tensor on_device(const Tensor& t) {
    memory.push_back(must(Buffer::create(t.bytes(), "w", device->memory(DeviceMemory::weights))));
    Tensor there = t;
    there.data = memory.back().data();
    EXPECT_TRUE(device->write(there.data, t.data, t.bytes()));
    host[there.data] = t;
    return there;
  }

  explicit Layers(const Vulkan& vulkan) : device(vulkan.accelerator()) {
    std::uint64_t stream = 10;
    x = must(graph.external(Element::f32, width));
    for (Layer& l : layer) {
      l = {on_device(w.random(stream++, 1, width)),
           on_device(w.random(stream++, 0.2f, inner, width)),
           on_device(random_q8_0(w, stream++, inner, width)),
           on_device(w.random(stream++, 0.2f, width, inner))};
      const Tensor h = must(graph.activation(Element::f32, width));
      EXPECT_TRUE(graph.add<op::RmsNorm>({x, l.norm, h, 1e-5f}));
      const Tensor gate = must(graph.activation(Element::f32, inner)),
                   up = must(graph.activation(Element::f32, inner)),
                   both = must(graph.activation(Element::f32, inner));
      EXPECT_TRUE(graph.add<op::Matmul>({h, l.gate, {}, gate}));
      EXPECT_TRUE(graph.add<op::Matmul>({h, l.up, {}, up}));
      EXPECT_TRUE(graph.add<op::SiluMul>({gate, up, both}));
      EXPECT_TRUE(graph.add<op::Matmul>({both, l.down, x, x}));
    }
    graph.begin_outputs();
    last_norm = on_device(w.random(9, 1, width));
    y = must(graph.external(Element::f32, width, Graph::Extent::outputs));
    EXPECT_TRUE(graph.add<op::RmsNorm>({x, last_norm, y, 1e-5f}));
  }

  // The same one by one, in memory of the host.
  std::vector<float> direct(const Vulkan& vulkan, const Tensor& input, std::int64_t rows) {
    const Tensor a = w.make(Element::f32, rows, width), h = w.make(Element::f32, rows, width);
    const Tensor gate = w.make(Element::f32, rows, inner), up = w.make(Element::f32, rows, inner),
                 both = w.make(Element::f32, rows, inner);
    std::memcpy(a.data, input.data, a.bytes());
    const auto run = [&](Status status) { EXPECT_TRUE(status) << text(status.error()); };
    const auto here = [&](const Tensor& t) { return host.at(t.data); };
    for (const Layer& l : layer) {
      run(vulkan.run<op::RmsNorm>({a, here(l.norm), h, 1e-5f}, rows));
      run(vulkan.run<op::Matmul>({h, here(l.gate), {}, gate}, rows));
      run(vulkan.run<op::Matmul>({h, here(l.up), {}, up}, rows));
      run(vulkan.run<op::SiluMul>({gate, up, both}, rows));
      run(vulkan.run<op::Matmul>({both, here(l.down), a, a}, rows));
    }
    const Tensor out = w.make(Element::f32, rows, width);
    run(vulkan.run<op::RmsNorm>({a, here(last_norm), out, 1e-5f}, rows));
    return {out.as<float>(), out.as<float>() + rows * width};
  }
};

struct Place {
  const char* name;
  bool direct;
  double submission_ms;
};

TEST(VulkanPlan, HasTheBytesOfItsOperators) {
  for (const Place& place : {Place{"mapped", true, 0}, Place{"not mapped", false, 0},
                             Place{"a submission for each dispatch", true, 1e-9}}) {
    SCOPED_TRACE(place.name);
    std::string messages;
    Vulkan::Options options = any();
    options.direct_memory = place.direct;
    options.submission_ms = place.submission_ms;
    KEDGE_OPEN_VULKAN(vulkan, options);
    Layers layers_of(vulkan);
    auto plan = Plan::compile(layers_of.graph, *layers_of.device);
    ASSERT_TRUE(plan) << text(plan.error());
    for (const std::int64_t rows : {1, 3, 16, 17, 40, 2, 1}) {
      const Tensor input =
          layers_of.w.random(static_cast<std::uint64_t>(70 + rows), 1, rows, width);
      std::memcpy(plan->locate(layers_of.x).data, input.data, input.bytes());
      ASSERT_TRUE(plan->run(rows, rows));
      const auto expected = layers_of.direct(vulkan, input, rows);
      EXPECT_EQ(std::memcmp(plan->locate(layers_of.y).data, expected.data(), expected.size() * 4),
                0)
          << rows << " rows";
      const AcceleratorPlan::Counts counts = plan->accelerated()->counts();
      EXPECT_EQ(counts.dispatches, 5 * layers + 1);
      // gate and up run side by side.
      const bool whole = place.submission_ms == 0;
      EXPECT_EQ(counts.barriers, whole ? 4 * layers - 1 : 0);
      EXPECT_EQ(counts.submissions, whole ? 1 : 5 * layers + 1);
    }
    EXPECT_EQ(plan->run(41, 1).error().code, Code::invalid_argument);
  }
}

TEST(VulkanPlan, PipelinesAreMadeAtOnce) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  Layers layers_of(vulkan);
  auto plan = Plan::compile(layers_of.graph, *layers_of.device);
  ASSERT_TRUE(plan);
  const std::size_t pipelines = vulkan.pipelines();
  std::memset(plan->locate(layers_of.x).data, 0, max_rows * width * 4);
  for (std::int64_t rows = 1; rows <= max_rows; ++rows) ASSERT_TRUE(plan->run(rows, rows));
  EXPECT_EQ(vulkan.pipelines(), pipelines);
}

TEST(VulkanPlan, CancelledBetweenSubmissions) {
  Vulkan::Options options = any();
  options.submission_ms = 1e-9;
  KEDGE_OPEN_VULKAN(vulkan, options);
  Layers layers_of(vulkan);
  auto plan = Plan::compile(layers_of.graph, *layers_of.device);
  ASSERT_TRUE(plan);
  std::memset(plan->locate(layers_of.x).data, 0, max_rows * width * 4);
  std::atomic<bool> cancel{true};
  const Status status = plan->run(4, 4, &cancel);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::cancelled);
  EXPECT_EQ(plan->accelerated()->counts().submissions, 0);
  cancel = false;
  EXPECT_TRUE(plan->run(4, 4, &cancel));
}

TEST(VulkanPlan, TwoThreadsShareADevice) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  Layers one(vulkan), two(vulkan);
  const Tensor input = one.w.random(3, 1, 5, width);
  const auto expected = one.direct(vulkan, input, 5);
  const auto work = [&](Layers& mine) {
    auto plan = Plan::compile(mine.graph, *mine.device);
    ASSERT_TRUE(plan);
    for (int i = 0; i < 20; ++i) {
      std::memcpy(plan->locate(mine.x).data, input.data, input.bytes());
      ASSERT_TRUE(plan->run(5, 5));
      ASSERT_EQ(std::memcmp(plan->locate(mine.y).data, expected.data(), expected.size() * 4), 0);
    }
  };
  std::thread first(work, std::ref(one)), second(work, std::ref(two));
  first.join();
  second.join();
}

// An operator that Kedge does not know: twice what rms_norm gives would be a lie, so it is the
// same.
struct Foreign : op::RmsNorm {
  static constexpr const char* name = "foreign_norm";
};

// A norm that is wrong where subgroups shuffle, as some drivers' are, or always.
template <bool always>
struct WrongNorm : op::RmsNorm {};

}  // namespace
}  // namespace kedge::cases

namespace kedge::inline KEDGE_ABI {
template <bool always>
struct Kernel<Vulkan, cases::WrongNorm<always>> {
  static Status record(op::RmsNorm::Args a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    if (always || recorder.limits().subgroup_shuffle) a.eps = 1;
    return Kernel<Vulkan, op::RmsNorm>::record(a, rows, recorder);
  }
};
template <>
struct Kernel<Cpu, cases::Foreign> : Kernel<Cpu, op::RmsNorm> {};
template <>
struct Kernel<Vulkan, cases::Foreign> : Kernel<Vulkan, op::RmsNorm> {};
}  // namespace kedge::inline KEDGE_ABI

namespace kedge::cases {
namespace {

TEST(VulkanPlan, NamesWhatItCannotRun) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  const std::shared_ptr<Accelerator> device = vulkan.accelerator();
  Graph graph(4, 4, Graph::Activations::floats);
  const Tensor x = must(graph.external(Element::f32, width));
  const Tensor y = must(graph.external(Element::f32, width));
  const Buffer weight = must(Buffer::create(width * 4, "w", device->memory(DeviceMemory::weights)));
  const Tensor norm = tensor(weight.data(), Element::f32, width);
  ASSERT_TRUE(graph.add<Foreign>({x, norm, y, 1e-5f}));
  auto plan = Plan::compile(graph, *device);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::unsupported);
  EXPECT_STREQ(plan.error().place, "foreign_norm");
  ASSERT_TRUE(vulkan_opened->add_operator<Foreign>());
  plan = Plan::compile(graph, *device);
  EXPECT_TRUE(plan) << text(plan.error());

  // Weights that lie in memory of the host.
  Workspace w(vulkan_seed);
  Graph wrong(4, 4, Graph::Activations::floats);
  const Tensor a = must(wrong.external(Element::f32, width));
  ASSERT_TRUE(wrong.add<op::RmsNorm>({a, w.random(1, 1, width), a, 1e-5f}));
  plan = Plan::compile(wrong, *device);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::invalid_argument);
  EXPECT_STREQ(plan.error().place, "rms_norm");
}

TEST(VulkanSelfTest, TurnsOffWhatGivesWrongAnswers) {
  {
    KEDGE_OPEN_VULKAN(vulkan, any());
    ASSERT_TRUE(vulkan_opened->add_operator<WrongNorm<false>>());
    const bool shuffles = vulkan.limits().subgroup_shuffle;
    Layers layers_of(vulkan);
    const auto plan = Plan::compile(layers_of.graph, *layers_of.device);
    EXPECT_TRUE(plan) << text(plan.error());
    EXPECT_TRUE(shuffles);  // of the devices of these tests
    EXPECT_FALSE(vulkan.limits().subgroup_shuffle);
  }
  KEDGE_OPEN_VULKAN(vulkan, any());
  ASSERT_TRUE(vulkan_opened->add_operator<WrongNorm<true>>());
  Layers layers_of(vulkan);
  const auto plan = Plan::compile(layers_of.graph, *layers_of.device);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::device);
  EXPECT_STREQ(plan.error().place, "rms_norm");
}

TEST(VulkanMemory, OutlivesItsVulkanAndRefusesWithNumbers) {
  Buffer buffer;
  {
    KEDGE_OPEN_VULKAN(vulkan, any());
    const std::shared_ptr<Accelerator> device = vulkan.accelerator();
    buffer = must(Buffer::create(1000, "test", device->memory(DeviceMemory::state)));
    const auto exabyte =
        Buffer::create(std::size_t{1} << 60, "an exabyte", device->memory(DeviceMemory::weights));
    ASSERT_FALSE(exabyte);
    EXPECT_EQ(exabyte.error().code, Code::out_of_memory);
    EXPECT_NE(std::strstr(exabyte.error().reason, "at once"), nullptr) << exabyte.error().reason;
    EXPECT_FALSE(device->write(buffer.data() + 1, buffer.data(), 1000));
  }
  std::memset(buffer.data(), 7, 1000);
}

TEST(VulkanPlan, TicketsArePolled) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  Layers layers_of(vulkan);
  auto plan = Plan::compile(layers_of.graph, *layers_of.device);
  ASSERT_TRUE(plan);
  AcceleratorPlan& device_plan = *plan->accelerated();
  const Tensor input = layers_of.w.random(3, 1, 9, width);
  const auto expected = layers_of.direct(vulkan, input, 9);
  EXPECT_NE(vulkan.timeline(), 0u);
  for (int i = 0; i < 5; ++i) {
    std::memcpy(plan->locate(layers_of.x).data, input.data, input.bytes());
    const auto ticket = device_plan.submit(9, 9);
    ASSERT_TRUE(ticket) << text(ticket.error());
    for (bool done = false; !done;) {
      const auto polled = device_plan.poll(*ticket);
      ASSERT_TRUE(polled);
      done = *polled;
    }
    EXPECT_EQ(std::memcmp(plan->locate(layers_of.y).data, expected.data(), expected.size() * 4), 0);
    EXPECT_FALSE(*device_plan.poll(*ticket + 1000));
  }
  EXPECT_EQ(device_plan.submit(41, 0).error().code, Code::invalid_argument);
  EXPECT_FALSE(vulkan.lost());
}

TEST(VulkanPipelines, CompiledSideBySideAndKept) {
  KEDGE_OPEN_VULKAN(one_by_one, any());
  Layers expected(one_by_one);
  auto plan = Plan::compile(expected.graph, *expected.device);
  ASSERT_TRUE(plan);
  const auto kept = one_by_one.pipeline_cache();
  ASSERT_TRUE(kept) << text(kept.error());

  Vulkan::Options options = any();
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(pool);
  options.executor = pool->get();
  options.pipeline_cache = *kept;
  KEDGE_OPEN_VULKAN(vulkan, options);
  Layers layers_of(vulkan);
  auto other = Plan::compile(layers_of.graph, *layers_of.device);
  ASSERT_TRUE(other) << text(other.error());
  EXPECT_EQ(vulkan.pipelines(), one_by_one.pipelines());
  const Tensor input = layers_of.w.random(3, 1, 5, width);
  for (Plan* p : {&*plan, &*other}) {
    Layers& mine = p == &*plan ? expected : layers_of;
    std::memcpy(p->locate(mine.x).data, input.data, input.bytes());
    ASSERT_TRUE(p->run(5, 5));
  }
  EXPECT_EQ(
      std::memcmp(plan->locate(expected.y).data, other->locate(layers_of.y).data, 5 * width * 4),
      0);

  for (const std::size_t at : {std::size_t{0}, std::size_t{9}, kept->size() - 1}) {
    std::vector<std::byte> damaged = *kept;
    damaged[at] ^= std::byte{1};
    options.pipeline_cache = damaged;
    const auto refused = Vulkan::create(options);
    ASSERT_FALSE(refused) << at;
    EXPECT_EQ(refused.error().code, Code::malformed);
  }
}

// Compiled when the caller says so, without memory, one by one and side by side; the run compiles
// no more.
TEST(VulkanPipelines, PrewarmedForAnOperator) {
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(pool);
  for (Executor* executor :
       {static_cast<Executor*>(nullptr), static_cast<Executor*>(pool->get())}) {
    Vulkan::Options options = any();
    options.executor = executor;
    KEDGE_OPEN_VULKAN(vulkan, options);
    op::Matmul::Args a{tensor(nullptr, Element::f32, 8, width),
                       tensor(nullptr, Element::q8_0, inner, width),
                       {},
                       tensor(nullptr, Element::f32, 8, inner)};
    const std::int64_t rows[] = {1, 2, 8};
    const Status warm = vulkan.prewarm<op::Matmul>(a, rows);
    ASSERT_TRUE(warm) << text(warm.error());
    EXPECT_EQ(vulkan.pipelines(), 3u);
    Workspace w(vulkan_seed);
    a = {w.random(1, 1, 8, width),
         w.make(Element::q8_0, inner, width),
         {},
         w.make(Element::f32, 8, inner)};
    std::memset(a.weight.data, 0, a.weight.bytes());
    for (const std::int64_t count : rows) ASSERT_TRUE(vulkan.run<op::Matmul>(a, count));
    EXPECT_EQ(vulkan.pipelines(), 3u);
    EXPECT_EQ(vulkan.prewarm<op::Matmul>(a, std::vector<std::int64_t>{9}).error().code,
              Code::invalid_argument);
  }
}

TEST(VulkanHost, WrongHandlesAndFeaturesAreNamed) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  Vulkan::Host host;
  EXPECT_EQ(Vulkan::adopt(host, {}).error().code, Code::invalid_argument);
  int something = 0;
  host.get_instance_proc_addr = [] {};
  host.instance = host.physical_device = host.device = host.queue = &something;
  const auto refused = Vulkan::adopt(host, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported);
  EXPECT_STREQ(refused.error().place, "storageBuffer16BitAccess");
  EXPECT_EQ(Vulkan::requirements(nullptr, nullptr, nullptr).error().code, Code::invalid_argument);
  EXPECT_EQ(Vulkan::enable_features(nullptr).error().code, Code::invalid_argument);
}

TEST(VulkanPlan, ValidationIsSilent) {
  std::string messages;
  Vulkan::Options options = any();
  options.validation = [](void* context, const char* message) noexcept {
    *static_cast<std::string*>(context) += std::string(message) + "\n";
  };
  options.validation_context = &messages;
  for (const double ms : {50.0, 1e-9}) {
    options.submission_ms = ms;
    KEDGE_OPEN_VULKAN(vulkan, options);
    Layers layers_of(vulkan);
    auto plan = Plan::compile(layers_of.graph, *layers_of.device);
    ASSERT_TRUE(plan) << text(plan.error());
    std::memset(plan->locate(layers_of.x).data, 0, max_rows * width * 4);
    for (const std::int64_t rows : {1, 5, 40}) ASSERT_TRUE(plan->run(rows, rows));
  }
  EXPECT_EQ(messages, "");
}

}  // namespace
}  // namespace kedge::cases
