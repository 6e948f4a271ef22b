// What a model file can have wrong comes back as a value that names the thing.
#include <gtest/gtest.h>

#include <cstring>

#include "exact/errors.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/core/half.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {
namespace {

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
  type = 20;
  std::memcpy(bytes.data() + at, &type, 4);
  EXPECT_TRUE(fails_with(load_bytes(bytes), Code::unsupported, {name.c_str(), "IQ4_NL"}));
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
