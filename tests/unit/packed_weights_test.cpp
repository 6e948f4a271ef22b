// Files of packed weights: what is mapped is what would have been packed, and a file of anything
// else is never used.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "unit/model_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;
using Mode = PackedWeights::Mode;
using LoadedModel = Result<std::shared_ptr<const Model>>;

std::string read_all(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
void write_all(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A model of its own folder's files, and the name of a packed file that is not there yet.
class Packed : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary("packed_weights");
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = folder_ + "/model.packed";
    write(SmallModel(Element::f16));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const SmallModel& model) {
    write_all(folder_ + "/config.json", model.json());
    const Bytes file = model.safetensors()[0];
    write_all(folder_ + "/model.safetensors",
              {reinterpret_cast<const char*>(file.data()), file.size()});
  }
  LoadedModel load(Mode mode, Model::Options options = {}) const {
    options.packed.path = path_;
    options.packed.mode = mode;
    return Model::load(folder_.c_str(), options);
  }
  // Every tensor that has bytes.
  static void expect_equal(const Model& a, const Model& b) {
    EXPECT_EQ(a.fingerprint(), b.fingerprint());
    EXPECT_EQ(a.weight_bytes(), b.weight_bytes());
    const auto same = [](const Tensor& x, const Tensor& y) {
      ASSERT_EQ(x.element, y.element);
      ASSERT_EQ(x.bytes(), y.bytes());
      if (x.data == nullptr) return;
      EXPECT_EQ(std::memcmp(x.data, y.data, x.bytes()), 0);
    };
    same(a.weights().embedding, b.weights().embedding);
    same(a.weights().output_norm, b.weights().output_norm);
    for (std::size_t i = 0; i < a.weights().layers.size(); ++i) {
      const LayerWeights &x = a.weights().layers[i], &y = b.weights().layers[i];
      same(x.attention_norm, y.attention_norm);
      same(x.q, y.q);
      same(x.attention_output, y.attention_output);
      same(x.down, y.down);
    }
  }

  std::string folder_, path_;
};

TEST_F(Packed, IsMadeOnceAndThenMapped) {
  const LoadedModel plain = Model::load(folder_.c_str(), {});
  ASSERT_TRUE(ok(plain));
  EXPECT_FALSE((*plain)->packed().made || (*plain)->packed().mapped);
  const LoadedModel made = load(Mode::use_or_make);
  ASSERT_TRUE(ok(made));
  EXPECT_TRUE((*made)->packed().made);
  EXPECT_FALSE((*made)->packed().mapped);
  const LoadedModel mapped = load(Mode::use_or_make);
  ASSERT_TRUE(ok(mapped));
  EXPECT_TRUE((*mapped)->packed().mapped);
  EXPECT_FALSE((*mapped)->packed().made);
  expect_equal(**plain, **made);
  expect_equal(**plain, **mapped);
  EXPECT_EQ(
      reinterpret_cast<std::uintptr_t>((*mapped)->weights().layers[0].q.data) % Buffer::alignment,
      0u);
  // Several models share the mapping's pages, and it lives as long as they do.
  const LoadedModel second = load(Mode::use);
  ASSERT_TRUE(ok(second));
  std::filesystem::remove(path_);
  expect_equal(**plain, **second);
}

TEST_F(Packed, OfOtherFilesItIsNeverUsed) {
  ASSERT_TRUE(ok(load(Mode::make)));
  const std::string first = read_all(path_);
  // One weight is another, the size and the time are the same.
  const std::string weights = folder_ + "/model.safetensors";
  const auto time = std::filesystem::last_write_time(weights);
  SmallModel other(Element::f16);
  other.tensors["model.layers.1.mlp.up_proj.weight"].bytes[6] ^= std::byte{1};
  write(other);
  std::filesystem::last_write_time(weights, time);
  EXPECT_TRUE(fails_with(load(Mode::use), Code::malformed, {"other files", "model.packed"}));
  LoadedModel remade = load(Mode::use_or_make);
  ASSERT_TRUE(ok(remade));
  EXPECT_TRUE((*remade)->packed().made);
  EXPECT_NE((*remade)->packed().why.find("other files"), std::string::npos);
  EXPECT_NE(read_all(path_), first);
  EXPECT_TRUE(ok(load(Mode::use)));
  // The same bytes, written anew: perhaps others.
  std::filesystem::last_write_time(weights, time + std::chrono::seconds(1));
  EXPECT_TRUE(fails_with(load(Mode::use), Code::malformed, {"other files"}));
  std::filesystem::last_write_time(weights, time);
  EXPECT_TRUE(ok(load(Mode::use)));
  // Quantized, and unchecked.
  ASSERT_TRUE(ok(load(Mode::use)));
  Model::Options options;
  options.check_weights = false;
  ASSERT_TRUE(ok(load(Mode::make, options)));
  EXPECT_TRUE(ok(load(Mode::use, options)));
  EXPECT_TRUE(fails_with(load(Mode::use), Code::malformed, {"NaN"}));
}

TEST_F(Packed, WhatIsWrongWithItIsSaid) {
  EXPECT_TRUE(fails_with(load(Mode::use), Code::not_found, {"model.packed"}));
  ASSERT_TRUE(ok(load(Mode::make)));
  const std::string good = read_all(path_);
  EXPECT_EQ(good.size() % 64, 0u);

  // A byte of the weights: seen by those who ask.
  std::string bad = good;
  bad[bad.size() - 100] = static_cast<char>(bad[bad.size() - 100] ^ 1);
  write_all(path_, bad);
  EXPECT_TRUE(ok(load(Mode::use)));
  Model::Options verify;
  verify.packed.verify = true;
  EXPECT_TRUE(fails_with(load(Mode::use, verify), Code::malformed, {"differ"}));
  LoadedModel remade = load(Mode::use_or_make, verify);
  ASSERT_TRUE(ok(remade));
  EXPECT_TRUE((*remade)->packed().made);
  EXPECT_EQ(read_all(path_), good);

  // Cut anywhere, and every byte of the header another one: an error, or the same weights.
  const LoadedModel plain = Model::load(folder_.c_str(), {});
  for (std::size_t size :
       {std::size_t{1}, std::size_t{7}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write_all(path_, good.substr(0, size));
    EXPECT_FALSE(load(Mode::use)) << size;
  }
  const std::size_t header = good.find("    ");
  ASSERT_NE(header, std::string::npos);
  for (std::size_t i = 0; i < header; ++i)
    for (const int flip : {1, 16}) {
      bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      write_all(path_, bad);
      const LoadedModel found = load(Mode::use, verify);
      if (found) expect_equal(**plain, **found);
    }
}

TEST_F(Packed, NoOtherFileIsReplaced) {
  // The model's own, under any name, and somebody's notes.
  const std::string weights = folder_ + "/model.safetensors", link = folder_ + "/link";
  std::filesystem::create_hard_link(weights, link);
  write_all(folder_ + "/notes.txt", "do not lose me");
  for (const char* name : {"model.safetensors", "config.json", "link", "notes.txt"}) {
    path_ = folder_ + "/" + name;
    const std::string before = read_all(path_);
    EXPECT_TRUE(fails_with(load(Mode::make), Code::invalid_argument, {name, "not replaced"}));
    EXPECT_EQ(read_all(path_), before);
    const LoadedModel model = load(Mode::use_or_make);
    ASSERT_TRUE(ok(model));
    EXPECT_FALSE((*model)->packed().made || (*model)->packed().mapped);
    EXPECT_NE((*model)->packed().why.find("not replaced"), std::string::npos);
    EXPECT_EQ(read_all(path_), before);
  }
  path_ = folder_;
  EXPECT_TRUE(fails_with(load(Mode::make), Code::io, {"directory"}));
  // What is left of a packed file is one, and nobody misses an empty file.
  path_ = folder_ + "/model.packed";
  ASSERT_TRUE(ok(load(Mode::make)));
  const std::string good = read_all(path_);
  for (const std::size_t size : {std::size_t{0}, std::size_t{300}, good.size() - 1}) {
    write_all(path_, good.substr(0, size));
    const LoadedModel model = load(Mode::use_or_make);
    ASSERT_TRUE(ok(model));
    EXPECT_TRUE((*model)->packed().made);
    EXPECT_EQ(read_all(path_), good);
  }
}

// The configuration is another file: the weights are the same, the model is not.
TEST_F(Packed, TheConfigurationIsNotPartOfIt) {
  ASSERT_TRUE(ok(load(Mode::make)));
  SmallModel other(Element::f16);
  other.config["rope_theta"] = "1234.5";
  write_all(folder_ + "/config.json", other.json());
  const LoadedModel plain = Model::load(folder_.c_str(), {}), mapped = load(Mode::use);
  ASSERT_TRUE(ok(plain) && ok(mapped));
  expect_equal(**plain, **mapped);
}

TEST_F(Packed, FactorsOfRopeAreNotPartOfIt) {
  const std::string model = KEDGE_GOLDEN_DIR "/tiny/llama3.gguf";
  Model::Options options;
  options.packed = {.path = path_, .mode = Mode::make};
  const LoadedModel made = Model::load(model.c_str(), options);
  ASSERT_TRUE(ok(made));
  ASSERT_NE((*made)->config().rope_scaling.frequency_factors, nullptr);
  options.packed = {.path = path_, .mode = Mode::use, .verify = true};
  const LoadedModel mapped = Model::load(model.c_str(), options);
  ASSERT_TRUE(ok(mapped));
  expect_equal(**made, **mapped);
}

// Memory has no time of its last change, so all of its bytes are looked at.
TEST_F(Packed, OfModelsInMemoryEveryByteCounts) {
  SmallModel small(Element::f16);
  small.config["vocab_size"] = "5000";
  small.add("model.embed_tokens.weight", Element::f16, {5000, 8});
  Model::Options options;
  options.packed = {.path = path_, .mode = Mode::make};
  ASSERT_TRUE(ok(small.load(options)));
  options.packed.mode = Mode::use;
  ASSERT_TRUE(ok(small.load(options)));
  small.tensors["model.embed_tokens.weight"].bytes[20000] ^= std::byte{1};
  EXPECT_TRUE(fails_with(small.load(options), Code::malformed, {"other files"}));
}

TEST_F(Packed, ABudgetIsForItToo) {
  ASSERT_TRUE(ok(load(Mode::make)));
  Model::Options options;
  options.memory_budget = 100;
  EXPECT_TRUE(fails_with(load(Mode::use, options), Code::out_of_memory, {"100"}));
}

TEST_F(Packed, WhereItCannotBeWrittenTheModelIsThere) {
  path_ = folder_ + "/nowhere/model.packed";
  const LoadedModel model = load(Mode::use_or_make);
  ASSERT_TRUE(ok(model));
  EXPECT_FALSE((*model)->packed().made || (*model)->packed().mapped);
  EXPECT_FALSE((*model)->packed().why.empty());
  EXPECT_FALSE(load(Mode::make));
}

}  // namespace
