// What a user or a file can do wrong comes back as a value that names the thing, and the object
// still works afterwards.
#include <gtest/gtest.h>

#include <limits>

#include "exact/decode.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/core/half.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/scripted.hpp"
#include "support/all_executors.hpp"
#include "support/weight_elements.hpp"

namespace kedge::tests {
namespace {

template <class T>
::testing::AssertionResult fails_with(const Result<T>& result, Code code,
                                      std::initializer_list<const char*> words) {
  if (result) return ::testing::AssertionFailure() << "no error";
  const std::string text = show(result.error());
  if (result.error().code != code)
    return ::testing::AssertionFailure() << "expected " << to_string(code) << ", found " << text;
  for (const char* word : words)
    if (text.find(word) == std::string::npos)
      return ::testing::AssertionFailure() << "\"" << word << "\" is not in: " << text;
  return ::testing::AssertionSuccess();
}

class SessionErrors : public ::testing::Test {
 protected:
  void SetUp() override {
    static const auto model = load_tiny(spec_);
    model_ = model;
    ASSERT_NE(model_, nullptr);
    prompt_ = random_tokens(3, 20, spec_.vocabulary);
    auto session = Session::create(model_, {});
    ASSERT_TRUE(session) << show(session.error());
    expected_ = must_decode(*session, prompt_, 12);
  }
  // The session answers as a new one does.
  void still_works(Session& session, const char* after) const {
    const Decoded found = must_decode(session, prompt_, 12);
    EXPECT_EQ(found.tokens, expected_.tokens) << after;
    EXPECT_TRUE(same_bytes(expected_.logits, found.logits)) << after;
  }
  static Result<Session> session_with(std::shared_ptr<const Model> model,
                                      draft::AnyDrafter drafter) {
    KEDGE_TRY(Session session, Session::create(std::move(model), {}));
    session.set_drafter(std::move(drafter));
    return session;
  }

  const TinySpec spec_ = tiny_spec(Element::f32, 6);
  std::shared_ptr<const Model> model_;
  std::vector<std::int32_t> prompt_;
  Decoded expected_;
};

TEST_F(SessionErrors, Options) {
  const auto create = [&](auto change) {
    Session::Options options;
    change(options);
    return Session::create(model_, options);
  };
  EXPECT_TRUE(fails_with(create([&](auto& o) { o.context = spec_.context + 1; }),
                         Code::invalid_argument, {"context", "1280", "1281"}));
  EXPECT_TRUE(fails_with(create([](auto& o) { o.context = -1; }), Code::invalid_argument,
                         {"context", "-1"}));
  EXPECT_TRUE(fails_with(create([](auto& o) { o.max_draft = 32; }), Code::invalid_argument,
                         {"max_draft", "32"}));
  EXPECT_TRUE(fails_with(create([](auto& o) { o.prefill_rows = 0; }), Code::invalid_argument,
                         {"prefill_rows", "0"}));
  EXPECT_TRUE(
      fails_with(create([](auto& o) { o.cache = Element::q8_0; }), Code::unsupported, {"q8_0"}));
  if (!cpu::isa_available(cpu::Isa::avx512)) {
    EXPECT_TRUE(fails_with(create([](auto& o) { o.isa = cpu::Isa::avx512; }), Code::unsupported,
                           {"avx512"}));
  }
}

TEST_F(SessionErrors, Prompts) {
  auto session = Session::create(model_, {});
  ASSERT_TRUE(session);
  EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"}));
  EXPECT_TRUE(fails_with(session->begin({}), Code::invalid_argument, {"prompt"}));
  still_works(*session, "an empty prompt");
  for (const std::int32_t bad :
       {-1, static_cast<std::int32_t>(spec_.vocabulary), std::numeric_limits<std::int32_t>::max(),
        std::numeric_limits<std::int32_t>::min()}) {
    auto prompt = prompt_;
    prompt[7] = bad;
    EXPECT_TRUE(fails_with(session->begin(prompt), Code::invalid_argument,
                           {std::to_string(bad).c_str(), "row 7"}));
    EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"}));
    EXPECT_EQ(session->length(), 0);
    still_works(*session, "a token outside the vocabulary");
  }
}

TEST_F(SessionErrors, APromptLongerThanTheContext) {
  Session::Options options;
  options.context = 100;
  options.prefill_rows = 32;
  auto session = Session::create(model_, options);
  ASSERT_TRUE(session);
  const auto prompt = random_tokens(1, 101, spec_.vocabulary);
  EXPECT_TRUE(fails_with(session->begin(prompt), Code::out_of_memory, {"100"}));
  EXPECT_EQ(session->length(), 0);
  still_works(*session, "a prompt of 101 tokens");
  // One that just fits has a first token and no room for another.
  ASSERT_TRUE(session->begin(std::span(prompt).first(100)));
  auto round = session->round(5);
  ASSERT_TRUE(round);
  EXPECT_EQ(round->stop, StopReason::context_full);
}

// A NaN in one weight of each kind of matrix: the pass fails and names the position; a session on
// a good model is not disturbed, and the one that failed can begin again with tokens that do not
// meet the NaN.
TEST_F(SessionErrors, ANanInAWeight) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_v.weight", "blk.0.ffn_down.weight",
                           "blk.1.ffn_norm.weight", "output.weight", "output_norm.weight"}) {
    TinyFile file = make_tiny(spec_);
    std::memcpy(file.tensor(name).bytes.data() + 4 * 11, &nan, 4);
    auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
    ASSERT_TRUE(model) << show(model.error());
    auto session = Session::create(*model, {});
    ASSERT_TRUE(session);
    EXPECT_TRUE(fails_with(session->begin(prompt_), Code::numeric, {"NaN", "position 19"})) << name;
    EXPECT_EQ(session->length(), 0) << name;
    EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"})) << name;
  }
  // In the embedding of one token only: fails in the round that evaluates it.
  TinyFile file = make_tiny(spec_);
  std::vector<std::int32_t> before = prompt_;
  std::size_t at = 0;  // of a generated token that does not occur before, the first one apart
  for (; at < expected_.tokens.size(); ++at) {
    if (at > 0 && std::count(before.begin(), before.end(), expected_.tokens[at]) == 0) break;
    before.push_back(expected_.tokens[at]);
  }
  ASSERT_LT(at, expected_.tokens.size()) << "choose another seed";
  const std::int32_t bad = expected_.tokens[at];
  TinyTensor& embedding = file.tensor("token_embd.weight");
  std::memcpy(embedding.bytes.data() +
                  static_cast<std::size_t>(bad) * 4 * static_cast<std::size_t>(spec_.width),
              &nan, 4);
  auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
  ASSERT_TRUE(model);
  auto session = Session::create(*model, {});
  ASSERT_TRUE(session);
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(session->begin(prompt_));
    for (std::size_t i = 1; i <= at; ++i) {
      auto round = session->round(1);
      ASSERT_TRUE(round) << show(round.error());
      EXPECT_EQ(round->tokens[0], expected_.tokens[i]);
    }
    const std::int64_t length = session->length();
    // On error nothing of the round has happened, so it may be tried again, with the same answer.
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(fails_with(session->round(1), Code::numeric,
                             {"NaN", ("position " + std::to_string(length)).c_str()}));
    EXPECT_EQ(session->length(), length);
    EXPECT_EQ(session->stats().rounds, static_cast<std::int64_t>(at));
  }
}

TEST_F(SessionErrors, ANanInAQuantizedWeight) {
  for (const Element element : cases::weight_elements) {
    if (!is_quantized(element)) continue;
    TinyFile file = make_tiny(tiny_spec(element, 6));
    TinyTensor& q = file.tensor("blk.0.ffn_gate.weight");
    ASSERT_EQ(q.element, element);
    const std::uint16_t nan = 0x7E00;  // as the scale of the first block
    std::memcpy(q.bytes.data() + (element == Element::q6_k ? 208 : 0), &nan, 2);
    auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
    ASSERT_TRUE(model) << show(model.error());
    auto session = Session::create(*model, {});
    ASSERT_TRUE(session);
    const auto prompt = random_tokens(3, 20, file.spec.vocabulary);
    EXPECT_TRUE(fails_with(session->begin(prompt), Code::numeric, {"NaN", "position 19"}))
        << to_string(element);
  }
}

TEST_F(SessionErrors, Cancellation) {
  auto session = Session::create(model_, {});
  ASSERT_TRUE(session);
  std::atomic<bool> cancel{true};
  GenerateOptions options;
  options.cancel = &cancel;
  EXPECT_TRUE(fails_with(session->generate(prompt_, options), Code::cancelled, {"0 of 20"}));
  still_works(*session, "cancellation in the prompt");

  struct Told {
    std::atomic<bool>* cancel;
    int tokens = 0;
  } told{&cancel};
  cancel = false;
  options.context = &told;
  options.on_token = [](void* context, const TokenEvent&) noexcept {
    auto& t = *static_cast<Told*>(context);
    if (++t.tokens == 5) *t.cancel = true;
    return true;
  };
  auto stop = session->generate(prompt_, options);
  ASSERT_TRUE(stop) << show(stop.error());
  EXPECT_EQ(*stop, StopReason::cancelled);
  EXPECT_EQ(told.tokens, 5);
  // What is committed stays: the text goes on.
  auto round = session->round(1);
  ASSERT_TRUE(round);
  EXPECT_EQ(round->tokens[0], expected_.tokens[5]);
  still_works(*session, "cancellation in the text");
}

TEST_F(SessionErrors, ACallbackThatSaysStop) {
  for (const bool speculative : {false, true})
    for (int most = 1; most <= 6; ++most) {
      auto session = Session::create(model_, {});
      ASSERT_TRUE(session);
      if (speculative) {
        auto drafter = draft::AnyDrafter::make(draft::Scripted(
            expected_.tokens, {{4, 4}}, static_cast<std::int32_t>(spec_.vocabulary)));
        session->set_drafter(*std::move(drafter));
      }
      struct Told {
        int most;
        std::vector<std::int32_t> tokens;
      } told{most, {}};
      GenerateOptions options;
      options.context = &told;
      options.on_token = [](void* context, const TokenEvent& event) noexcept {
        auto& t = *static_cast<Told*>(context);
        t.tokens.push_back(event.id);
        return static_cast<int>(t.tokens.size()) < t.most;
      };
      auto stop = session->generate(prompt_, options);
      ASSERT_TRUE(stop);
      EXPECT_EQ(*stop, StopReason::cancelled);
      ASSERT_EQ(static_cast<int>(told.tokens.size()), most);
      EXPECT_TRUE(std::equal(told.tokens.begin(), told.tokens.end(), expected_.tokens.begin()));
      session->set_drafter({});
      still_works(*session, "a callback that said stop");
    }
}

// Drafters are the host's code too.
struct Odd {
  enum class Kind { too_many, negative, outside, begin_fails, propose_fails, append_fails };
  Kind kind;
  int appended = 0;
  Status begin(std::span<const std::int32_t>) noexcept {
    if (kind == Kind::begin_fails) return fail(Code::device, "odd drafter", "begin fails");
    return {};
  }
  Status append(std::span<const std::int32_t>) noexcept {
    if (kind == Kind::append_fails && appended++ > 0)
      return fail(Code::device, "odd drafter", "append fails");
    return {};
  }
  Result<draft::Proposal> propose(std::span<std::int32_t> out) noexcept {
    for (std::int32_t& t : out) t = kind == Kind::outside ? 1 << 30 : 0;
    if (kind == Kind::propose_fails) return fail(Code::device, "odd drafter", "propose fails");
    if (kind == Kind::negative) return draft::Proposal{-3};
    const auto count = static_cast<std::int64_t>(out.size());
    return draft::Proposal{kind == Kind::too_many ? count + 5 : count};
  }
  void feedback(std::int64_t, std::int64_t) noexcept {}
  const char* name() const noexcept { return "odd"; }
};

TEST_F(SessionErrors, DraftersThatMisbehave) {
  const auto make = [&](Odd::Kind kind) {
    auto drafter = draft::AnyDrafter::make(Odd{kind});
    EXPECT_TRUE(drafter);
    auto session = session_with(model_, *std::move(drafter));
    EXPECT_TRUE(session);
    return session;
  };
  {
    auto session = make(Odd::Kind::begin_fails);
    EXPECT_TRUE(fails_with(session->begin(prompt_), Code::device, {"odd drafter", "begin"}));
    EXPECT_EQ(session->length(), 0);
    session->set_drafter({});
    still_works(*session, "a drafter that does not begin");
  }
  const std::pair<Odd::Kind, Code> cases[] = {{Odd::Kind::too_many, Code::invalid_argument},
                                              {Odd::Kind::negative, Code::invalid_argument},
                                              {Odd::Kind::outside, Code::invalid_argument},
                                              {Odd::Kind::propose_fails, Code::device},
                                              {Odd::Kind::append_fails, Code::device}};
  for (const auto& [kind, code] : cases) {
    auto session = make(kind);
    auto first = session->begin(prompt_);
    ASSERT_TRUE(first) << show(first.error());
    EXPECT_TRUE(fails_with(session->round(20), code, {})) << static_cast<int>(kind);
    EXPECT_EQ(session->length(), 20);
    EXPECT_EQ(session->stats().rounds, 0);
    // Without the drafter the same text goes on: nothing of the failed round has happened.
    session->set_drafter({});
    for (std::size_t i = 1; i < 12; ++i) {
      auto round = session->round(1);
      ASSERT_TRUE(round) << show(round.error());
      EXPECT_EQ(round->tokens[0], expected_.tokens[i]);
    }
  }
}

// A lookup whose history is as long as the longest default context serves the session to its end.
TEST_F(SessionErrors, TheDefaultLookupLastsForTheDefaultContext) {
  TinySpec spec = spec_;
  spec.layers = 1;
  spec.context = 8192;
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  auto lookup = draft::Lookup::create({});
  ASSERT_TRUE(lookup);
  auto drafter = draft::AnyDrafter::make(*std::move(lookup));
  auto session = session_with(model, *std::move(drafter));
  ASSERT_TRUE(session);
  ASSERT_EQ(session->context(), 8192);
  GenerateOptions options;
  options.max_tokens = 100;
  auto stop = session->generate(random_tokens(4, 8185, spec.vocabulary), options);
  ASSERT_TRUE(stop) << show(stop.error());
  EXPECT_EQ(*stop, StopReason::context_full);
  EXPECT_EQ(session->stats().tokens, 8);
}

TEST_F(SessionErrors, ASessionMayBeReplacedAndMoved) {
  auto made = Session::create(model_, {});
  ASSERT_TRUE(made);
  Session session = *std::move(made);
  still_works(session, "a move");
  auto other = Session::create(model_, {});
  ASSERT_TRUE(other);
  session = *std::move(other);  // the first one's cache and pages go with it
  still_works(session, "an assignment");
}

TEST_F(SessionErrors, ForwardRefusesWhatItCannotRun) {
  const ModelConfig& config = model_->config();
  auto cpu = Cpu::create({});
  KvCache::Options kv;
  kv.positions = 64;
  kv.sequences = 2;
  auto cache = KvCache::create(config.layers, config.kv_heads, config.head_dim, kv);
  ASSERT_TRUE(cache);
  Forward::Options room;
  room.max_rows = 4;
  room.max_outputs = 2;
  auto forward = Forward::create(model_, *cpu, *cache, room);
  ASSERT_TRUE(forward) << show(forward.error());
  auto sequence = Sequence::create(*cache);
  ASSERT_TRUE(sequence);
  auto transaction = sequence->begin(64);
  ASSERT_TRUE(transaction);
  const auto run = [&](std::vector<Row> rows) { return forward->run(rows); };
  constexpr auto bad = Code::invalid_argument;
  EXPECT_TRUE(fails_with(run({}), bad, {"rows", "1..4", "0"}));
  EXPECT_TRUE(fails_with(run(std::vector<Row>(5)), bad, {"rows", "1..4", "5"}));
  EXPECT_TRUE(
      fails_with(run({{0, 0, 0, false}, {131, 1, 0, true}}), bad, {"row 1", "131", "0..130"}));
  EXPECT_TRUE(fails_with(run({{0, 64, 0, true}}), bad, {"row 0", "position 64"}));
  EXPECT_TRUE(fails_with(run({{0, -1, 0, true}}), bad, {"row 0", "position -1"}));
  EXPECT_TRUE(fails_with(run({{0, 0, 2, true}}), bad, {"row 0", "sequence 2"}));
  EXPECT_TRUE(fails_with(run({{0, 0, -1, true}}), bad, {"row 0", "sequence -1"}));
  EXPECT_TRUE(
      fails_with(run({{0, 0, 0, true}, {1, 1, 0, true}, {2, 2, 0, true}}), bad, {"2 rows want"}));
  ASSERT_TRUE(run({{prompt_[0], 0, 0, true}}));
  const Logits expected = must_evaluate(model_, {}, std::span(prompt_).first(1), {{1}});
  EXPECT_TRUE(report(first_difference(0, expected.row(0), forward->logits(0))));
}

class BadFiles : public ::testing::Test {
 protected:
  static Result<std::shared_ptr<const Model>> load(const TinyFile& file) {
    return load_bytes(file.write());
  }
  TinyFile file_ = make_tiny(tiny_spec(Element::q8_0, 6));
};

TEST_F(BadFiles, UnknownArchitecture) {
  file_.architecture = "mamba";
  EXPECT_TRUE(fails_with(load(file_), Code::unsupported,
                         {"tiny.gguf", "general.architecture", "llama", "mamba"}));
}

TEST_F(BadFiles, MissingTensors) {
  const auto all = file_.tensors;
  for (const TinyTensor& t : all) {
    TinyFile file = file_;
    file.erase(t.name);
    EXPECT_TRUE(fails_with(load(file), Code::not_found, {"tiny.gguf", t.name.c_str()})) << t.name;
  }
}

TEST_F(BadFiles, WrongShapes) {
  for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_k.weight", "blk.0.ffn_down.weight",
                           "blk.1.attn_output.weight"}) {
    TinyFile file = file_;
    TinyTensor& t = file.tensor(name);
    const std::string found = std::to_string(t.rows - 1) + " x " + std::to_string(t.width);
    t.bytes.resize(t.bytes.size() - row_bytes(t.element, t.width));
    --t.rows;
    EXPECT_TRUE(fails_with(load(file), Code::malformed,
                           {name, (std::to_string(t.rows + 1) + " x").c_str(), found.c_str()}));
  }
  TinyFile file = file_;
  TinyTensor& norm = file.tensor("blk.1.attn_norm.weight");
  norm.width -= 1;
  norm.bytes.resize(norm.bytes.size() - 4);
  EXPECT_TRUE(fails_with(load(file), Code::malformed, {"blk.1.attn_norm.weight", "63"}));
  file = file_;
  file.spec.heads = 3;  // not what the tensors have, nor a multiple of the key/value heads
  EXPECT_TRUE(fails_with(load(file), Code::malformed, {"3 heads"}));
}

TEST_F(BadFiles, UnsupportedTensorTypes) {
  // The writer has no such format, so the directory's type number is changed afterwards: after the
  // name come the rank and two extents.
  std::vector<std::byte> bytes = file_.write();
  const std::string name = "blk.1.ffn_up.weight";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = text.find(name) + name.size() + 4 + 2 * 8;
  std::uint32_t type;
  std::memcpy(&type, bytes.data() + at, 4);
  ASSERT_EQ(type, 8u) << "q8_0";
  type = 6;  // q5_0
  std::memcpy(bytes.data() + at, &type, 4);
  EXPECT_TRUE(fails_with(load_bytes(bytes), Code::unsupported, {name.c_str(), "Q5_0"}));
  TinyFile file = file_;
  TinyTensor& norm = file.tensor("blk.0.ffn_norm.weight");
  norm.element = Element::f16;
  norm.bytes.resize(static_cast<std::size_t>(norm.width) * 2);
  for (std::size_t i = 0; i < norm.bytes.size(); ++i) norm.bytes[i] = std::byte{0x38};
  auto model = load(file);
  ASSERT_TRUE(model) << show(model.error());
  const Tensor& loaded = (*model)->weights().layers[0].feed_forward_norm;
  EXPECT_EQ(loaded.element, Element::f32);
  EXPECT_EQ(loaded.as<float>()[3], f16_to_f32(0x3838));
  norm.element = Element::q8_0;
  norm.bytes.resize(static_cast<std::size_t>(norm.width) / 32 * 34);
  EXPECT_TRUE(fails_with(load(file), Code::unsupported, {"blk.0.ffn_norm.weight", "f32", "Q8_0"}));
}

TEST_F(BadFiles, LoadingMayBeStopped) {
  const std::vector<std::byte> bytes = file_.write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  struct Progressed {
    int calls = 0, most = 0;
    double last = 0;
    bool ascending = true;
  } progressed;
  Model::Options options;
  options.progress.context = &progressed;
  options.progress.report = [](void* context, const char*, double done) noexcept {
    auto& p = *static_cast<Progressed*>(context);
    p.ascending = p.ascending && done >= p.last;
    p.last = done;
    return ++p.calls != p.most;
  };
  ASSERT_TRUE(Model::load(*file, options));
  EXPECT_TRUE(progressed.ascending);
  EXPECT_EQ(progressed.last, 1.0);
  progressed = {0, 3, 0, true};
  EXPECT_TRUE(fails_with(Model::load(*file, options), Code::cancelled, {"tiny.gguf"}));
  EXPECT_EQ(progressed.calls, 3);
}

// An allocator that refuses the n-th request, for every n: each is an error value, nothing leaks.
struct Refusing {
  int until = 0;
  std::int64_t held = 0;
  static Allocator of(Refusing& self) {
    return {[](void* context, std::size_t size, std::size_t alignment) noexcept -> void* {
              auto& r = *static_cast<Refusing*>(context);
              if (r.until-- == 0) return nullptr;
              void* memory = default_allocator().allocate(nullptr, size, alignment);
              if (memory != nullptr) r.held += static_cast<std::int64_t>(size);
              return memory;
            },
            [](void* context, void* memory, std::size_t size, std::size_t alignment) noexcept {
              static_cast<Refusing*>(context)->held -= static_cast<std::int64_t>(size);
              default_allocator().deallocate(nullptr, memory, size, alignment);
            },
            &self};
  }
};

TEST_F(BadFiles, RefusedMemoryIsAValue) {
  const std::vector<std::byte> bytes = file_.write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  Refusing refusing;
  int refused = 0;
  for (int n = 0; n < 200; ++n) {
    refusing.until = n;
    Model::Options options;
    options.allocator = Refusing::of(refusing);
    auto model = Model::load(*file, options);
    if (!model) {
      EXPECT_EQ(model.error().code, Code::out_of_memory) << show(model.error());
      EXPECT_EQ(refusing.held, 0);
      ++refused;
      continue;
    }
    Session::Options session_options;
    session_options.allocator = Refusing::of(refusing);
    auto session = Session::create(*model, session_options);
    if (session) break;
    EXPECT_EQ(session.error().code, Code::out_of_memory) << show(session.error());
    ++refused;
  }
  EXPECT_EQ(refusing.held, 0);
  EXPECT_GT(refused, 6);
  EXPECT_LT(refused, 200);
}

}  // namespace
}  // namespace kedge::tests
