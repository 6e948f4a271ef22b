// What can go wrong while weights are loaded: numbers that are none, files that change, a caller
// that stops or has little memory. And what loading takes, known before.
#include <atomic>
#include <chrono>
#include <fstream>
#include <limits>

#include "kedge/core/quantize.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/spec/session.hpp"
#include "unit/model_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;

TEST(Weights, NansAndInfinitiesAreErrors) {
  const struct {
    Element element;
    std::uint32_t bits;
    std::size_t bytes;
  } values[] = {{Element::f32, 0x7FC00000, 4}, {Element::f32, 0xFF800000, 4},
                {Element::f16, 0x7C00, 2},     {Element::f16, 0xFE01, 2},
                {Element::bf16, 0x7F80, 2},    {Element::bf16, 0xFFFF, 2}};
  for (const auto& v : values)
    for (const char* name : {"model.layers.1.mlp.down_proj.weight", "model.norm.weight"}) {
      SmallModel model(v.element);
      SmallTensor& t = model.tensors[name];
      const std::size_t at = t.bytes.size() / v.bytes - 3;
      std::memcpy(t.bytes.data() + at * v.bytes, &v.bits, v.bytes);
      const std::string index = "value " + std::to_string(at);
      EXPECT_TRUE(fails_with(model.load(), Code::numeric, {name, index.c_str(), "column 5"}))
          << to_string(v.element);
      Model::Options options;
      options.check_weights = false;
      EXPECT_TRUE(ok(model.load(options)));
    }
}

TEST(Weights, TheFirstBadValueIsNamedWhateverTheThreads) {
  SmallModel model;
  model.config["vocab_size"] = "1000";
  model.add("model.embed_tokens.weight", Element::f32, {1000, 8});
  const float infinity = std::numeric_limits<float>::infinity();
  SmallTensor& t = model.tensors["model.embed_tokens.weight"];
  for (const std::size_t at : {7000u, 1601u, 1602u, 4000u})
    std::memcpy(t.bytes.data() + at * 4, &infinity, 4);
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(ok(pool));
  for (Executor* executor : {static_cast<Executor*>(nullptr), pool->get()}) {
    Model::Options options;
    options.executor = executor;
    for (int i = 0; i < 5; ++i)
      EXPECT_TRUE(fails_with(model.load(options), Code::numeric,
                             {"embed_tokens", "value 1601 (row 200, column 1)"}));
  }
}

// Scales of blocks: the tensor's bytes are replaced by a block format with a bad half.
TEST(Weights, ScalesOfBlocks) {
  const struct {
    Element element;
    std::size_t at;  // of the bad half in a block
  } scales[] = {{Element::q8_0, 0},   {Element::q4_0, 0}, {Element::q4_1, 0}, {Element::q4_1, 2},
                {Element::q6_k, 208}, {Element::q5_0, 0}, {Element::q5_1, 0}, {Element::q5_1, 2},
                {Element::q4_k, 0},   {Element::q4_k, 2}, {Element::q5_k, 0}, {Element::q5_k, 2}};
  for (const auto& s : scales) {
    SmallGguf file;
    for (const char* key : {"llama.embedding_length", "llama.feed_forward_length"})
      file.keys[key] = 256;
    file.keys["llama.attention.head_count"] = 64;
    file.keys["llama.attention.head_count_kv"] = 32;
    for (auto& [name, t] : file.tensors) {
      for (std::int64_t& n : t.shape) n = n == 8 ? 256 : n == 4 ? 128 : n;
      std::int64_t count = 1;
      for (const std::int64_t n : t.shape) count *= n;
      t.bytes.assign(static_cast<std::size_t>(count) * 4, std::byte{0});
      if (name != "blk.1.ffn_up.weight") continue;
      t.element = s.element;
      t.bytes.assign(row_bytes(s.element, count), std::byte{0});
      const std::uint16_t nan = 0x7E00;
      const ElementTraits format = traits(s.element);
      std::memcpy(t.bytes.data() + (256 / format.block) * 17 * format.bytes + s.at, &nan, 2);
    }
    const Bytes bytes = file.shard(0, 1);
    auto gguf = io::Gguf::open(io::Source::memory(bytes, "small.gguf"));
    ASSERT_TRUE(ok(gguf));
    EXPECT_TRUE(fails_with(Model::load(*gguf, {}), Code::numeric,
                           {"blk.1.ffn_up.weight", "row 17, column 0", "small.gguf"}))
        << to_string(s.element);
  }
}

// Wide enough for blocks of 256 values: 64 heads of 4.
SmallModel wide_model(Element element) {
  SmallModel model(element);
  model.config["hidden_size"] = model.config["intermediate_size"] = "256";
  model.config["num_attention_heads"] = "64";
  model.config["num_key_value_heads"] = "32";
  for (auto& [name, t] : SmallModel(model).tensors) {
    std::vector<std::int64_t> shape = t.shape;
    for (std::int64_t& n : shape) n = n == 8 ? 256 : n == 4 ? 128 : n;
    model.add(name, element, shape);
  }
  return model;
}

TEST(Quantizing, GivesTheBytesOfAFileThatWasQuantizedBefore) {
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(ok(pool));
  for (const Element stored : {Element::f32, Element::f16, Element::bf16})
    for (const Element target : {Element::q8_0, Element::q4_0, Element::q4_k}) {
      const SmallModel small = wide_model(stored);
      Model::Options options;
      options.quantize = target;
      auto model = small.load(options);
      ASSERT_TRUE(ok(model));
      options.executor = pool->get();
      auto by_pool = small.load(options);
      ASSERT_TRUE(ok(by_pool));
      ASSERT_EQ((*by_pool)->weight_bytes(), (*model)->weight_bytes());
      const ModelWeights& w = (*model)->weights();
      EXPECT_EQ(std::memcmp(w.layers[0].attention_norm.data,
                            (*by_pool)->weights().layers[0].attention_norm.data,
                            (*model)->weight_bytes()),
                0);
      EXPECT_EQ(w.layers[0].attention_norm.element, Element::f32);
      const SmallTensor& source = small.tensors.at("model.layers.1.self_attn.k_proj.weight");
      const Tensor& k = w.layers[1].k;
      ASSERT_EQ(k.element, target);
      auto expected =
          quantize(tensor(source.bytes.data(), stored, source.shape[0], source.shape[1]), target);
      ASSERT_TRUE(ok(expected));
      std::vector<float> a(256), b(256);
      for (std::int64_t r = 0; r < k.rows(); ++r) {
        cpu::decode_weight_row(k, r, a.data());
        decode_row(target, expected->tensor.row<std::byte>(r), 256, b.data());
        ASSERT_EQ(a, b) << to_string(stored) << " to " << to_string(target) << ", row " << r;
      }
    }
}

TEST(Quantizing, RefusesWhatTheFormatCannotHold) {
  Model::Options options;
  options.quantize = Element::q4_k;
  EXPECT_TRUE(fails_with(SmallModel().load(options), Code::unsupported,
                         {"weight", "q4_k needs a width divisible by 256, found 8"}));
  options.quantize = Element::q6_k;
  EXPECT_TRUE(fails_with(SmallModel().load(options), Code::unsupported, {"no quantizer", "q6_k"}));
  options.quantize = Element::q8_0;
  SmallModel model = wide_model(Element::f32);
  const float huge = 1e30f;
  std::memcpy(model.tensors["model.layers.0.mlp.up_proj.weight"].bytes.data() + 4 * (256 * 40 + 7),
              &huge, 4);
  EXPECT_TRUE(fails_with(model.load(options), Code::numeric, {"up_proj", "row 40", "q8_0"}));
}

TEST(Loading, AFileThatShrinksIsAnError) {
  const std::string path = temporary("shrinks.gguf");
  const Bytes bytes = SmallGguf().shard(0, 1);
  const auto write = [&](std::size_t size) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(size));
  };
  write(bytes.size());
  auto files = ModelFiles::open(path.c_str());
  ASSERT_TRUE(ok(files));
  EXPECT_TRUE(ok(Model::load(*files, {})));
  write(bytes.size() - 1000);
  EXPECT_TRUE(fails_with(Model::load(*files, {}), Code::io, {"shrinks.gguf", "file's end"}));
  std::remove(path.c_str());
}

// A large matrix behind a callback: it is read in parts, and a stop is seen between them.
struct Slow {
  Bytes bytes;
  std::size_t calls = 0, largest = 0, stop_at = SIZE_MAX;
  std::atomic<bool> cancel{false};
  io::Source source() {
    const auto read = [](void* context, std::uint64_t offset,
                         std::span<std::byte> out) noexcept -> bool {
      auto& self = *static_cast<Slow*>(context);
      self.largest = std::max(self.largest, out.size());
      if (++self.calls == self.stop_at) self.cancel = true;
      if (offset + out.size() > self.bytes.size()) return false;
      std::memcpy(out.data(), self.bytes.data() + offset, out.size());
      return true;
    };
    return io::Source::callback(read, this, bytes.size(), "slow");
  }
};

TEST(Loading, IsStoppedWithinATensor) {
  SmallModel model;
  model.config["vocab_size"] = "400000";
  model.add("model.embed_tokens.weight", Element::f32, {400000, 8});  // 12.8 MB
  Slow slow;
  slow.bytes = model.safetensors()[0];
  const std::string json = model.json();
  const auto open = [&] {
    slow.calls = slow.largest = 0;
    std::vector<io::Source> sources;
    sources.push_back(slow.source());
    return ModelFiles::from_folder(io::Source::memory(std::as_bytes(std::span(json)), "config"),
                                   std::move(sources));
  };
  struct Told {
    int calls = 0, until = -1;
    double last = 0, largest_step = 0;
  } told;
  Model::Options options;
  options.cancel = &slow.cancel;
  options.progress.context = &told;
  options.progress.report = [](void* context, const char*, double done) noexcept {
    auto& t = *static_cast<Told*>(context);
    t.largest_step = std::max(t.largest_step, done - t.last);
    t.last = done;
    return ++t.calls != t.until;
  };
  auto files = open();
  ASSERT_TRUE(ok(files));
  EXPECT_TRUE(ok(Model::load(*files, options)));
  EXPECT_LE(slow.largest, std::size_t{1} << 20);
  EXPECT_GT(slow.calls, 13u);
  EXPECT_EQ(told.last, 1.0);
  EXPECT_LT(told.largest_step, 0.1) << "a slice of 12.8 MB";

  const std::size_t all = slow.calls;
  for (const std::size_t left : {1u, 3u, 8u}) {
    slow.cancel = false;
    files = open();
    ASSERT_TRUE(ok(files));
    slow.stop_at = all - left;
    EXPECT_TRUE(fails_with(Model::load(*files, options), Code::cancelled,
                           {"config", "model.embed_tokens.weight"}));
    EXPECT_EQ(slow.calls, all - left) << "nothing is read after a stop";
  }
  slow.stop_at = SIZE_MAX;
  slow.cancel = false;
  told.until = told.calls + 2;
  files = open();
  ASSERT_TRUE(ok(files));
  EXPECT_TRUE(fails_with(Model::load(*files, options), Code::cancelled, {"config"}));
}

// Counts what the library takes through its allocator.
struct Counted {
  std::int64_t held = 0, peak = 0;
  Allocator allocator() {
    return {[](void* context, std::size_t size, std::size_t alignment) noexcept -> void* {
              auto& self = *static_cast<Counted*>(context);
              self.held += static_cast<std::int64_t>(size);
              self.peak = std::max(self.peak, self.held);
              return default_allocator().allocate(nullptr, size, alignment);
            },
            [](void* context, void* memory, std::size_t size, std::size_t alignment) noexcept {
              static_cast<Counted*>(context)->held -= static_cast<std::int64_t>(size);
              default_allocator().deallocate(nullptr, memory, size, alignment);
            },
            this};
  }
};

class Budget : public testing::Test {
 protected:
  const SmallModel small_;
  const SmallModel::InMemory memory_ = small_.in_memory();
  Result<ModelFiles> files_ = memory_.open();
};

TEST_F(Budget, TheEstimateIsWhatIsTaken) {
  ASSERT_TRUE(ok(files_));
  for (const std::int64_t context : {1, 64, 100, 128})
    for (const Element cache : {Element::f16, Element::f32}) {
      SessionShape shape;
      shape.context = context;
      shape.cache = cache;
      const auto e = value_of(Model::estimate(*files_, {}, shape));
      Counted counted;
      Model::Options options;
      options.allocator = counted.allocator();
      auto model = Model::load(*files_, options);
      ASSERT_TRUE(ok(model));
      EXPECT_EQ(counted.held, static_cast<std::int64_t>(e.weights));
      EXPECT_EQ(counted.peak, static_cast<std::int64_t>(e.weights + e.loading));
      EXPECT_EQ(value_of((*model)->estimate(shape)).session(), e.session());

      Counted session_counted;
      Session::Options session_options;
      session_options.context = context;
      session_options.cache = cache;
      session_options.allocator = session_counted.allocator();
      auto session = Session::create(*model, session_options);
      ASSERT_TRUE(ok(session));
      // Beside rows and drafts of a pass; greedy sampling has neither counts nor candidates.
      const auto expected = static_cast<std::int64_t>(e.session()) - 3 * 5 * 4;
      EXPECT_LE(session_counted.peak, expected + 8192);
      EXPECT_GE(session_counted.peak, expected - 64);
      EXPECT_EQ(session->cache().bytes(), e.kv);
    }
}

TEST_F(Budget, WeightsBeyondItAreRefusedBeforeTheyAreTaken) {
  ASSERT_TRUE(ok(files_));
  const auto e = value_of(Model::estimate(*files_, {}, {}));
  Counted counted;
  Model::Options options;
  options.allocator = counted.allocator();
  options.memory_budget = e.weights + e.loading;
  EXPECT_TRUE(ok(Model::load(*files_, options)));
  counted = {};
  --options.memory_budget;
  const std::string needed = std::to_string(e.weights), more = std::to_string(e.loading),
                    budget = std::to_string(options.memory_budget);
  EXPECT_TRUE(fails_with(Model::load(*files_, options), Code::out_of_memory,
                         {needed.c_str(), more.c_str(), budget.c_str()}));
  EXPECT_EQ(counted.peak, 0);
}

TEST_F(Budget, ASessionBeyondItIsToldWhatFits) {
  ASSERT_TRUE(ok(files_));
  auto model = Model::load(*files_, {});
  ASSERT_TRUE(ok(model));
  SessionShape shape;
  shape.context = 70;
  const std::uint64_t budget = value_of((*model)->estimate(shape)).session();
  const std::int64_t largest = value_of((*model)->largest_context(shape, budget));
  EXPECT_GE(largest, 70);
  EXPECT_LT(largest, 128);
  Session::Options options;
  options.context = largest;
  options.memory_budget = budget;
  EXPECT_TRUE(ok(Session::create(*model, options)));
  options.context = 128;
  EXPECT_TRUE(fails_with(Session::create(*model, options), Code::out_of_memory,
                         {"128 needs", std::to_string(budget).c_str(),
                          ("largest context that fits is " + std::to_string(largest)).c_str()}));
  options.memory_budget = 1000;
  EXPECT_TRUE(fails_with(Session::create(*model, options), Code::out_of_memory,
                         {"the budget is 1000", "no context fits"}));
}

TEST_F(Budget, KnowsWhatQuantizingTakes) {
  const SmallModel::InMemory memory = wide_model(Element::bf16).in_memory();
  auto files = memory.open();
  ASSERT_TRUE(ok(files));
  auto pool = make_pool_executor(2);
  ASSERT_TRUE(ok(pool));
  Counted counted;
  Model::Options options;
  options.quantize = Element::q4_0;
  options.executor = pool->get();
  options.allocator = counted.allocator();
  const auto e = value_of(Model::estimate(*files, options, {}));
  auto model = Model::load(*files, options);
  ASSERT_TRUE(ok(model));
  EXPECT_EQ(counted.held, static_cast<std::int64_t>(e.weights));
  EXPECT_EQ(counted.peak, static_cast<std::int64_t>(e.weights + e.loading));
  EXPECT_LT(e.weights, e.stored / 2);
}

}  // namespace
