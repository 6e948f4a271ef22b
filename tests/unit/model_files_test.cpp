// Shards, folders with an index, and what is wrong with them; tensors that a model lacks or has no
// use for.
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "kedge/io/gguf_shards.hpp"
#include "kedge/model/files.hpp"
#include "unit/model_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;

// A folder of this process, removed at the end.
struct Folder {
  std::string path;
  std::vector<std::string> files;
  explicit Folder(const char* name) : path(temporary(name)) { ::mkdir(path.c_str(), 0755); }
  ~Folder() {
    for (const std::string& file : files) std::remove(file.c_str());
    ::rmdir(path.c_str());
  }
  std::string put(const std::string& name, const Bytes& bytes) {
    return put(name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  std::string put(const std::string& name, const std::string& text) {
    const std::string file = path + "/" + name;
    std::ofstream(file, std::ios::binary) << text;
    files.push_back(file);
    return file;
  }
};

std::string shard_name(int number, int count) {
  char name[64];
  std::snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", number, count);
  return name;
}

TEST(Shards, AnyOfThemOpensAll) {
  Folder folder("shards");
  const SmallGguf small;
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i)
    paths.push_back(folder.put(shard_name(i + 1, 3), small.shard(static_cast<std::size_t>(i), 3)));
  const Bytes whole = small.shard(0, 1);
  auto file = io::Gguf::open(io::Source::memory(whole));
  ASSERT_TRUE(ok(file));
  auto expected = Model::load(*file, {});
  ASSERT_TRUE(ok(expected));
  for (const std::string& path : paths) {
    auto files = ModelFiles::open(path.c_str());
    ASSERT_TRUE(ok(files));
    EXPECT_EQ(files->files(), 3u);
    EXPECT_EQ(files->tensors().tensors().size(), small.tensors.size());
    auto model = Model::load(*files, {});
    ASSERT_TRUE(ok(model));
    ASSERT_EQ((*model)->weight_bytes(), (*expected)->weight_bytes());
    EXPECT_EQ(
        std::memcmp((*model)->weights().layers[0].attention_norm.data,
                    (*expected)->weights().layers[0].attention_norm.data, (*model)->weight_bytes()),
        0);
  }
  std::remove(paths[1].c_str());
  EXPECT_TRUE(fails_with(ModelFiles::open(paths[0].c_str()), Code::not_found, {"00002-of-00003"}));
}

TEST(Shards, NamesAndMetadataMustAgree) {
  Folder folder("shard_names");
  const SmallGguf small;
  const std::string alone = folder.put("first.gguf", small.shard(0, 3));
  EXPECT_TRUE(fails_with(ModelFiles::open(alone.c_str()), Code::not_found,
                         {"first.gguf", "1 of 3", "-00001-of-00003.gguf"}));
  folder.put(shard_name(1, 3), small.shard(0, 3));
  const std::string swapped = folder.put(shard_name(2, 3), small.shard(2, 3));
  EXPECT_TRUE(fails_with(ModelFiles::open(swapped.c_str()), Code::malformed,
                         {"shard 2 of 3", "3 of 3", "00002-of-00003"}));
  EXPECT_TRUE(fails_with(ModelFiles::open((folder.path + "/" + shard_name(1, 3)).c_str()),
                         Code::malformed, {"shard 2 of 3", "00002-of-00003"}));
}

TEST(Shards, SourcesInAnyOrder) {
  const SmallGguf small;
  std::vector<Bytes> shards;
  for (std::size_t i = 0; i < 3; ++i) shards.push_back(small.shard(i, 3));
  const auto open = [&](std::vector<std::pair<const Bytes*, const char*>> list) {
    std::vector<io::Source> sources;
    for (const auto& [bytes, name] : list) sources.push_back(io::Source::memory(*bytes, name));
    return ModelFiles::from_gguf(std::move(sources));
  };
  auto files = open({{&shards[2], "c"}, {&shards[0], "a"}, {&shards[1], "b"}});
  ASSERT_TRUE(ok(files));
  EXPECT_TRUE(ok(Model::load(*files, {})));
  EXPECT_STREQ(files->gguf()->source().name(), "a");

  EXPECT_TRUE(fails_with(open({{&shards[0], "a"}, {&shards[1], "b"}}), Code::not_found,
                         {"a", "1 of 3", "2 files"}));
  EXPECT_TRUE(fails_with(open({{&shards[0], "a"}, {&shards[1], "b"}, {&shards[1], "again"}}),
                         Code::malformed, {"1 twice"}));
  const Bytes whole = small.shard(0, 1);
  EXPECT_TRUE(fails_with(open({{&shards[0], "a"}, {&shards[1], "b"}, {&whole, "whole"}}),
                         Code::malformed, {"whole", "split.count"}));
  const Bytes other = small.shard(1, 3, {{"split.tensors.count", 7}});
  EXPECT_TRUE(fails_with(open({{&shards[0], "a"}, {&other, "b"}, {&shards[2], "c"}}),
                         Code::malformed, {"b:", "split.tensors.count", "7"}));
  const Bytes beyond = small.shard(1, 3, {{"split.no", 3}});
  EXPECT_TRUE(fails_with(open({{&shards[0], "a"}, {&beyond, "b"}, {&shards[2], "c"}}),
                         Code::malformed, {"b:", "split.no"}));
  const Bytes none = small.shard(1, 3, {{"split.count", 0}});
  EXPECT_TRUE(fails_with(open({{&none, "b"}}), Code::malformed, {"b:", "split.count"}));
  SmallGguf fewer = small;
  fewer.tensors.erase("blk.1.attn_q.weight");
  const Bytes short_one = fewer.shard(1, 3, {{"split.tensors.count", small.tensors.size()}});
  EXPECT_FALSE(open({{&shards[0], "a"}, {&short_one, "b"}, {&shards[2], "c"}}));
  EXPECT_TRUE(fails_with(open({}), Code::invalid_argument, {"source"}));
}

TEST(Shards, ATensorInTwoOfThem) {
  const SmallGguf small;
  const Bytes first = small.shard(0, 2);
  auto a = io::Gguf::open(io::Source::memory(first, "a"));
  auto again = io::Gguf::open(io::Source::memory(first, "b"));
  ASSERT_TRUE(ok(a) && ok(again));
  TensorDirectory directory;
  ASSERT_TRUE(ok(directory.add(*a)));
  ASSERT_TRUE(ok(directory.add(*again)));
  EXPECT_TRUE(fails_with(directory.finish(), Code::malformed, {"b:", "tensor '", "is in a too"}));
}

std::string index_of(const SmallModel& model, std::size_t parts) {
  std::string json = "{\"metadata\": {}, \"weight_map\": {";
  std::size_t at = 0;
  for (const auto& [name, tensor] : model.tensors) {
    if (at != 0) json += ", ";
    json += "\"" + name + "\": \"part-" + std::to_string(at++ * parts / model.tensors.size()) +
            ".safetensors\"";
  }
  return json + "}}";
}

TEST(Folders, WithAnIndex) {
  Folder folder("folder");
  const SmallModel model(Element::bf16);
  const auto parts = model.safetensors(3);
  EXPECT_TRUE(fails_with(ModelFiles::open(folder.path.c_str()), Code::not_found, {"config.json"}));
  folder.put("config.json", model.json());
  EXPECT_TRUE(fails_with(ModelFiles::open(folder.path.c_str()), Code::not_found,
                         {"model.safetensors", "index.json"}));
  folder.put("model.safetensors.index.json", index_of(model, 3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(fails_with(ModelFiles::open(folder.path.c_str()), Code::not_found,
                           {("part-" + std::to_string(i)).c_str()}));
    folder.put("part-" + std::to_string(i) + ".safetensors", parts[i]);
  }
  auto loaded = Model::load(folder.path.c_str(), {});
  ASSERT_TRUE(ok(loaded));
  EXPECT_EQ((*loaded)->weights().layers[1].gate.element, Element::bf16);
  EXPECT_EQ((*loaded)->weights().layers[1].attention_norm.element, Element::f32);

  // The index says what is not so.
  const auto with_index = [&](const std::string& text) {
    std::ofstream(folder.path + "/model.safetensors.index.json") << text;
    return ModelFiles::open(folder.path.c_str());
  };
  const std::string index = index_of(model, 3);
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = index;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_TRUE(fails_with(with_index(replaced("part-0.safetensors", "../part-0.safetensors")),
                         Code::malformed, {"name of a file", "../part-0"}));
  EXPECT_TRUE(fails_with(with_index(replaced("part-0.safetensors", "part-1.safetensors")),
                         Code::not_found, {"part-1.safetensors", "no tensor"}));
  EXPECT_TRUE(fails_with(with_index(replaced("\"part-0.safetensors\"", "7")), Code::malformed,
                         {"string", "integer"}));
  EXPECT_TRUE(fails_with(with_index("{\"weight_map\": []}"), Code::malformed, {"weight_map"}));
  EXPECT_TRUE(fails_with(with_index("{\"weight_map\": {}}"), Code::malformed, {"weight_map"}));
  EXPECT_TRUE(fails_with(with_index("{}"), Code::malformed, {"weight_map", "none"}));
  EXPECT_TRUE(
      fails_with(with_index("{\"weight_map\": {\"model.norm.weight\": \"part-2.safetensors\"}}"),
                 Code::malformed, {"weight_map", "tensors of its files"}));
}

TEST(Folders, TensorsThatAreMissingOrHaveNoUse) {
  for (const char* name : {"model.layers.1.mlp.up_proj.weight", "model.norm.weight",
                           "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight"}) {
    SmallModel model;
    model.tensors.erase(name);
    EXPECT_TRUE(fails_with(model.load(), Code::not_found, {name}));
  }
  SmallModel model;
  model.config["tie_word_embeddings"] = "false";
  EXPECT_TRUE(fails_with(model.load(), Code::not_found, {"lm_head.weight"}));
  model.add("lm_head.weight", Element::f32, {5, 8});
  EXPECT_TRUE(ok(model.load()));
  model.config["tie_word_embeddings"] = "true";
  EXPECT_TRUE(ok(model.load()));  // a copy that is not used
  model.add("model.layers.0.self_attn.q_norm.weight", Element::f32, {4});
  EXPECT_TRUE(fails_with(model.load(), Code::unsupported, {"llama", "no use", "q_norm"}));
  model = SmallModel();
  model.config["attention_bias"] = "true";
  EXPECT_TRUE(fails_with(model.load(), Code::not_found, {"layers.0.self_attn.q_proj.bias"}));
  model = SmallModel();
  model.add("model.layers.1.self_attn.v_proj.bias", Element::f32, {4});
  EXPECT_TRUE(fails_with(model.load(), Code::unsupported, {"v_proj.bias"}));
  model = SmallModel();
  model.add("model.layers.0.self_attn.k_proj.weight", Element::f32, {8, 8});
  EXPECT_TRUE(fails_with(model.load(), Code::malformed, {"k_proj.weight", "4 x 8", "8 x 8"}));
}

TEST(Folders, WithoutSources) {
  EXPECT_TRUE(fails_with(ModelFiles::from_folder(io::Source::memory({}, "c"), {}),
                         Code::invalid_argument, {"safetensors"}));
}

}  // namespace
