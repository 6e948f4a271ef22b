// A position's logits do not depend on how many rows run beside it, where the text is split, which
// threads, ISA or executor run it, the caller's floating-point modes, or what else is in the batch.
// Expected is always the text one row at a time, on the calling thread, scalar.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <numeric>
#include <set>

#include "exact/evaluate.hpp"
#include "exact/tiny_model.hpp"
#include "golden/tiny_logits.hpp"
#include "kedge/core/half.hpp"
#include "support/all_executors.hpp"
#include "support/weight_elements.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace kedge::tests {
namespace {

constexpr std::int64_t text_length = 203;  // more than three pages of 64, and no multiple of 16

// One model and its expected logits, made once per format.
struct Subject {
  TinySpec spec;
  std::shared_ptr<const Model> model;
  std::vector<std::int32_t> text;
  std::map<Element, Logits> expected;  // by the cache's element

  std::string describe() const { return spec.describe(); }
};

// Those that can hold heads of the model's size.
std::vector<Element> caches(const TinySpec& spec) {
  std::vector<Element> list;
  for (const Element cache : {Element::f16, Element::f32, Element::bf16, Element::q8_0})
    if (op::expect_cache_element("caches", cache, spec.head_dim)) list.push_back(cache);
  return list;
}

const Subject& subject(TinyKind kind) {
  static std::map<TinyKind, Subject> all;
  const auto found = all.find(kind);
  if (found != all.end()) return found->second;
  Subject& s = all[kind];
  s.spec = tiny_spec(kind);
  s.model = load_tiny(s.spec);
  s.text = random_tokens(s.spec.seed, text_length, s.spec.vocabulary);
  if (s.model == nullptr) return s;
  for (const Element cache : caches(s.spec)) {
    EvaluateOptions options;
    options.isa = cpu::Isa::scalar;
    options.cache = cache;
    s.expected.emplace(cache,
                       must_evaluate(s.model, options, s.text, equal_chunks(text_length, 1)));
  }
  return s;
}

class Widths : public ::testing::TestWithParam<TinyKind> {
 protected:
  void SetUp() override {
    s_ = &subject(GetParam());
    ASSERT_NE(s_->model, nullptr);
    ASSERT_EQ(expected().filled(), text_length);
  }
  const Logits& expected(Element cache = Element::f16) const { return s_->expected.at(cache); }
  // Of as many tokens as the chunks have: what follows a position cannot change it.
  void check(const EvaluateOptions& options, std::span<const std::int64_t> chunks,
             const std::string& what) const {
    const std::int64_t length = std::accumulate(chunks.begin(), chunks.end(), std::int64_t{0});
    const auto text = std::span(s_->text).first(static_cast<std::size_t>(length));
    const Logits found = must_evaluate(s_->model, options, text, chunks);
    EXPECT_EQ(found.filled(), length) << what;
    EXPECT_TRUE(same_bytes(expected(options.cache), found)) << what << ", " << s_->describe();
  }
  const Subject* s_ = nullptr;
};

// The text is worth testing with: finite logits of order one, no constant choice, and the past
// matters (the same token at two positions has different logits).
TEST_P(Widths, TheModelIsNotTrivial) {
  std::set<std::int64_t> choices;
  double sum = 0, squares = 0, count = 0;
  for (std::int64_t p = 0; p < text_length; ++p) {
    const auto row = expected().row(p);
    choices.insert(std::max_element(row.begin(), row.end()) - row.begin());
    for (const float v : row) {
      ASSERT_TRUE(std::isfinite(v)) << p;
      sum += v, squares += double{v} * v, ++count;
    }
  }
  const double deviation = std::sqrt(squares / count - sum / count * sum / count);
  EXPECT_GT(choices.size(), 20u) << s_->describe();
  EXPECT_GT(deviation, 0.2);
  EXPECT_LT(deviation, 20);
  std::map<std::int32_t, std::int64_t> seen;
  std::int64_t repeats = 0;
  for (std::int64_t p = 0; p < text_length; ++p) {
    const auto [at, fresh] = seen.emplace(s_->text[static_cast<std::size_t>(p)], p);
    if (fresh) continue;
    ++repeats;
    EXPECT_TRUE(first_difference(p, expected().row(at->second), expected().row(p)))
        << "positions " << at->second << " and " << p << " do not see their past";
  }
  EXPECT_GT(repeats, 0);
}

// Across compilers and optimization levels: the bytes that every build has had so far.
TEST_P(Widths, BytesAreThoseOfEveryBuild) {
  std::uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (std::int64_t p = 0; p < text_length; ++p)
    for (const float v : expected().row(p)) {
      std::uint32_t bits;
      std::memcpy(&bits, &v, sizeof bits);
      for (int i = 0; i < 4; ++i) hash = (hash ^ (bits >> 8 * i & 255u)) * 0x100000001B3u;
    }
  const TinyKind kind = GetParam();
  EXPECT_EQ(hash, kind.plain() ? tiny_logits_hash(kind.element) : tiny_logits_hash(to_string(kind)))
      << "If the order of a sum was changed on purpose, update tests/golden/tiny_logits.hpp: "
      << to_string(kind) << " has 0x" << std::hex << hash;
}

TEST_P(Widths, EveryWidthAndSplitOnEveryIsa) {
  for (const cpu::Isa isa : available_isas()) {
    EvaluateOptions options;
    options.isa = isa;
    const std::string name = to_string(isa);
    for (std::int64_t width = 1; width <= 16; ++width) {
      // The slow ISA has all widths in the slow form of this test.
      if (isa == cpu::Isa::scalar && width != 2 && width != 7 && width != 16) continue;
      check(options, equal_chunks(text_length, width), name + ", width " + std::to_string(width));
    }
    for (std::uint64_t seed = 1; seed <= 5; ++seed)
      check(options, random_chunks(seed, text_length, seed < 4 ? 90 : text_length),
            name + ", random split of seed " + std::to_string(seed));
    check(options, equal_chunks(text_length, text_length), name + ", the whole text at once");
  }
}

TEST_P(Widths, SlowEveryWidthOnEveryIsaInEveryCache) {
  int combination = 0;
  for (const cpu::Isa isa : available_isas())
    for (const Element cache : caches(s_->spec))
      for (std::int64_t width = 1; width <= 33; ++width) {
        if (!takes_combination(GetParam(), combination++)) continue;
        EvaluateOptions options;
        options.isa = isa;
        options.cache = cache;
        check(options, equal_chunks(text_length, width),
              std::string(to_string(isa)) + ", " + to_string(cache) + " cache, width " +
                  std::to_string(width));
      }
}

TEST_P(Widths, EveryExecutor) {
  for (const NamedExecutor& e : all_executors()) {
    EvaluateOptions options;
    options.executor = e.executor.get();
    // Short where rows are few: three threads on two processors take turns at every barrier.
    check(options, equal_chunks(24, 1), e.name + ", width 1");
    check(options, equal_chunks(81, 9), e.name + ", width 9");
    check(options, random_chunks(77, text_length, 100), e.name + ", random split of seed 77");
    if (e.executor == nullptr || !e.executor->co_scheduled() || e.executor->workers() == 3) {
      options.isa = cpu::Isa::scalar;
      check(options, equal_chunks(81, 27), e.name + ", scalar, width 27");
    }
  }
}

TEST_P(Widths, OtherCaches) {
  for (const Element cache : caches(s_->spec)) {
    if (cache == Element::f16) continue;
    EXPECT_TRUE(first_difference(expected(Element::f16), expected(cache)))
        << "the caches' elements make no difference: one of them is not used";
    for (const cpu::Isa isa : available_isas())
      for (const std::int64_t width : {5, 16, 203}) {
        if (isa == cpu::Isa::scalar && width == 5) continue;
        EvaluateOptions options;
        options.isa = isa;
        options.cache = cache;
        check(options, equal_chunks(text_length, width),
              std::string(to_string(isa)) + ", " + to_string(cache) + " cache, width " +
                  std::to_string(width));
      }
  }
}

// Two texts of different lengths in one batch, their pages taken in turns from a shuffled list.
TEST_P(Widths, AnotherSequenceInTheBatch) {
  const ModelConfig& config = s_->model->config();
  const std::int64_t other_length = 150;
  const auto other = random_tokens(99, other_length, config.vocabulary);
  EvaluateOptions plain;
  const Logits other_expected =
      must_evaluate(s_->model, plain, other, equal_chunks(other_length, 1));
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(pool);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const std::string what = s_->describe() + ", batch seed " + std::to_string(seed);
    std::mt19937_64 rng(seed);
    auto cpu = Cpu::create(
        {seed == 1 ? cpu::Isa::scalar : cpu::Isa::best, seed % 2 == 0 ? pool->get() : nullptr});
    ASSERT_TRUE(cpu);
    KvCache::Options kv;
    kv.positions = 256;
    kv.sequences = 8;
    auto cache = KvCache::create(config.layers, config.kv_heads, config.head_dim, kv);
    ASSERT_TRUE(cache);
    Forward::Options room;
    room.max_rows = room.max_outputs = 64;
    auto forward = Forward::create(s_->model, *cpu, *cache, room);
    ASSERT_TRUE(forward) << show(forward.error());
    {
      // Claims of random lengths, given back in random order, shuffle the free pages.
      std::vector<Sequence> shuffle;
      for (int i = 0; i < 8; ++i) {
        auto sequence = Sequence::create(*cache);
        ASSERT_TRUE(sequence);
        shuffle.push_back(*std::move(sequence));
        ASSERT_TRUE(shuffle.back().begin(1 + static_cast<std::int64_t>(rng() % 256)));
      }
      std::shuffle(shuffle.begin(), shuffle.end(), rng);
    }
    struct Text {
      const std::vector<std::int32_t>& tokens;
      Sequence sequence;
      Logits logits;
    };
    auto a = Sequence::create(*cache), b = Sequence::create(*cache);
    ASSERT_TRUE(a && b);
    std::array<Text, 2> texts{{{s_->text, *std::move(a), Logits(config.vocabulary)},
                               {other, *std::move(b), Logits(config.vocabulary)}}};
    while (texts[0].sequence.length() < text_length || texts[1].sequence.length() < other_length) {
      std::vector<Row> rows;
      std::array<std::int64_t, 2> count{};
      const std::size_t begin = rng() % 2;  // either may come first in the batch
      for (std::size_t k = 0; k < 2; ++k) {
        Text& t = texts[(begin + k) % 2];
        const std::int64_t left = static_cast<std::int64_t>(t.tokens.size()) - t.sequence.length();
        const std::int64_t n = std::min<std::int64_t>(left, static_cast<std::int64_t>(rng() % 25));
        count[(begin + k) % 2] = n;
        for (std::int64_t i = 0; i < n; ++i) {
          const std::int64_t p = t.sequence.length() + i;
          rows.push_back({t.tokens[static_cast<std::size_t>(p)], static_cast<std::int32_t>(p),
                          t.sequence.index(), Need::logits});
        }
      }
      if (rows.empty()) continue;
      auto ta = texts[0].sequence.begin(count[0]), tb = texts[1].sequence.begin(count[1]);
      ASSERT_TRUE(ta && tb);
      const Status run = forward->run(rows);
      ASSERT_TRUE(run) << show(run.error());
      for (std::size_t i = 0; i < rows.size(); ++i)
        texts[rows[i].sequence == texts[0].sequence.index() ? 0 : 1].logits.set(
            rows[i].position, forward->logits(static_cast<std::int64_t>(i)));
      ASSERT_TRUE(ta->commit(count[0]));
      ASSERT_TRUE(tb->commit(count[1]));
    }
    EXPECT_EQ(texts[0].logits.filled(), text_length);
    EXPECT_EQ(texts[1].logits.filled(), other_length);
    EXPECT_TRUE(same_bytes(expected(), texts[0].logits)) << what << ", first text";
    EXPECT_TRUE(same_bytes(other_expected, texts[1].logits)) << what << ", second text";
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Widths, ::testing::ValuesIn(tiny_formats()), ElementName());

INSTANTIATE_TEST_SUITE_P(Architectures, Widths, ::testing::ValuesIn(tiny_architectures),
                         ElementName());

#if defined(__x86_64__)

class CallerModes {
 public:
  explicit CallerModes(unsigned mxcsr) : saved_(_mm_getcsr()) { _mm_setcsr(mxcsr); }
  ~CallerModes() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
};

struct Mode {
  const char* name;
  unsigned mxcsr;
};
constexpr Mode modes[] = {{"FTZ", 0x9F80},  {"DAZ", 0x1FC0}, {"FTZ and DAZ", 0x9FC0},
                          {"down", 0x3F80}, {"up", 0x5F80},  {"toward zero", 0x7F80}};

// Whether arithmetic really behaves otherwise in this mode: a mode that is not set tests nothing.
bool mode_is_active() {
  volatile float third = 1.0f, three = 3.0f, minus = -1.0f, tiny = 1e-39f, least = 2e-38f;
  const volatile float up = third / three, down = minus / three, half = least * 0.25f,
                       kept = tiny * three;
  const float nearest = 0x1.555556p-2f;  // 1/3
  return up != nearest || down != -nearest || half == 0 || kept == 0;
}

class CallersModes : public ::testing::TestWithParam<Element> {};

// The model is loaded, the session made and the text evaluated while the caller has other modes.
// One row of the output matrix is made so small that its logits are subnormal where the format can
// say so: FTZ or DAZ would turn them into zero.
TEST_P(CallersModes, ChangeNothing) {
  const TinySpec spec = tiny_spec(GetParam(), 3);
  TinyFile file = make_tiny(spec);
  const bool subnormal = GetParam() == Element::f32 || GetParam() == Element::bf16;
  constexpr std::int64_t row = 5;
  if (subnormal) {
    TinyTensor& output = file.tensor("output.weight");
    const std::size_t step = row_bytes(output.element, output.width);
    for (std::int64_t i = 0; i < output.width; ++i) {
      const float value = 1e-40f * static_cast<float>(1 + i % 7);
      std::byte* at = output.bytes.data() + row * static_cast<std::int64_t>(step);
      if (output.element == Element::f32) std::memcpy(at + 4 * i, &value, 4);
      else {
        const std::uint16_t bits = f32_to_bf16(value);
        std::memcpy(at + 2 * i, &bits, 2);
      }
    }
  }
  const std::vector<std::byte> bytes = file.write();
  const std::int64_t length = 90;
  const auto text = random_tokens(8, length, spec.vocabulary);
  const auto chunks = random_chunks(5, length, 60);
  EvaluateOptions options;
  const auto run = [&](Executor* executor) {
    auto model = load_bytes(bytes, executor);
    EXPECT_TRUE(model) << show(model.error());
    options.executor = executor;
    return model ? must_evaluate(*model, options, text, chunks) : Logits();
  };
  for (const cpu::Isa isa : {cpu::Isa::scalar, cpu::best_isa()}) {
    options.isa = isa;
    ASSERT_FALSE(mode_is_active());
    const Logits expected = run(nullptr);
    for (std::int64_t p = 0; subnormal && p < length; ++p) {
      ASSERT_EQ(std::fpclassify(expected.row(p)[row]), FP_SUBNORMAL) << p;
    }
    for (const Mode& mode : modes) {
      Logits found, by_pool;
      unsigned after = 0;
      bool active = false;
      {
        const CallerModes set(mode.mxcsr);
        active = mode_is_active();
        auto pool = make_pool_executor(2);  // its threads inherit the modes
        EXPECT_TRUE(pool);
        found = run(nullptr);
        by_pool = run(pool->get());
        after = _mm_getcsr() & ~0x3Fu;  // without the flags of what has happened
      }
      EXPECT_TRUE(active) << mode.name;
      EXPECT_EQ(after, mode.mxcsr) << mode.name << ": the caller's modes were not put back";
      EXPECT_TRUE(same_bytes(expected, found)) << mode.name << ", " << spec.describe();
      EXPECT_TRUE(same_bytes(expected, by_pool)) << mode.name << ", pool, " << spec.describe();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, CallersModes,
                         ::testing::Values(Element::f32, Element::bf16, Element::q8_0,
                                           Element::q4_1, Element::q6_k),
                         ElementName());
#endif

}  // namespace
}  // namespace kedge::tests
