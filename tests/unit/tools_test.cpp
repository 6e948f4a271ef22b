// The program kedge from outside: exit statuses, errors of one line, operators, and the proof of
// exactness on a tiny model, which must also be able to fail.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kedge/core/block.hpp"
#include "kedge/io/safetensors.hpp"
#include "support/program.hpp"

namespace {

using namespace kedge;
using namespace kedge::tests;

struct Named {
  std::string name;
  io::SafeType type;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

Named floats(const std::string& name, std::vector<std::int64_t> shape, unsigned seed) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  Named t{name, io::SafeType::f32, std::move(shape), std::vector<std::byte>(count * 4)};
  std::uint32_t state = seed * 2654435761u + 1;
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(static_cast<std::int32_t>(state) >> 8) * 1e-6f;
    std::memcpy(t.bytes.data() + 4 * i, &value, 4);
  }
  return t;
}

std::string write_file(const std::string& name, const std::vector<Named>& tensors) {
  const std::string path = temporary(name);
  io::SafetensorsWriter writer;
  for (const Named& t : tensors) {
    const Status added = writer.add_tensor(t.name, t.type, t.shape, t.bytes);
    EXPECT_TRUE(added) << added.error().reason;
  }
  const Status written = writer.write(path.c_str());
  EXPECT_TRUE(written) << written.error().reason;
  return path;
}

std::vector<float> read_floats(const std::string& path, const char* name) {
  const auto file = io::Safetensors::open(path.c_str());
  EXPECT_TRUE(file) << file.error().reason;
  if (!file || file->tensor(name) == nullptr) return {};
  const auto bytes = file->read(*file->tensor(name));
  EXPECT_TRUE(bytes);
  std::vector<float> values(bytes->size / 4);
  std::memcpy(values.data(), bytes->data, bytes->size);
  return values;
}

// Runs the operator on both backends and compares output `y`.
void expect_backends_agree(const std::string& op, const std::string& file,
                           const std::string& settings, std::size_t count, double tolerance) {
  std::vector<float> y[2];
  for (int cpu = 0; cpu < 2; ++cpu) {
    const std::string out = temporary("y");
    const Outcome o = kedge_program("op " + op + " --in " + file + " --out " + out + settings +
                                    " --backend " + (cpu == 1 ? "cpu" : "reference"));
    ASSERT_EQ(o.status, 0) << o.err;
    y[cpu] = read_floats(out, "y");
    ASSERT_EQ(y[cpu].size(), count);
    std::remove(out.c_str());
  }
  double largest = 0;
  for (const float v : y[0]) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  ASSERT_GT(largest, 0);
  for (std::size_t i = 0; i < count; ++i)
    EXPECT_NEAR(y[0][i], y[1][i], tolerance * largest) << op << settings << ", value " << i;
}

TEST(Tools, BadUsageExitsWith2) {
  expect_error("", 2, "usage");
  expect_error("no-such-command", 2, "usage");
  expect_error("generate --model x", 2, "usage");
  expect_error("generate --model x --prompt a --tokens 1", 2, "usage");
  expect_error("generate --model " + tiny_model() + " --tokens 1 --temperature -1", 2,
               "temperature");
  expect_error("generate --model " + tiny_model() + " --tokens 1 --top-p 1.5", 2, "top_p");
  expect_error("generate --model " + tiny_model() + " --tokens 1 --logprobs 21", 2, "--logprobs");
  expect_error("generate --model x --tokens 1 --backend metal", 2, "{cpu,vulkan}");
  expect_error("generate --model x --tokens 1 --draft lookup:n=99", 2, "--draft");
  // Kinds and keys that do not exist are answered with those that do.
  expect_error("generate --model x --tokens 1 --draft oracle", 2, "one of lookup");
  expect_error("generate --model x --tokens 1 --draft lookup+oracle", 2, "one of lookup");
  expect_error("generate --model x --tokens 1 --draft lookup:m=9", 2, "n=1..31, min=1..1024");
  expect_error("generate --model x --tokens 1 --draft lookup:n=2,n=3", 2, "twice");
  expect_error("generate --model x --tokens 1 --draft lookup:extend=oracle", 2, "one of lookup");
  expect_error("logits --model x --tokens 1,b --out y", 2, "--tokens");
  expect_error("op no_such_operator --in x", 2, "rms_norm");
  expect_error("bench", 2, "usage");
}

TEST(Tools, FailuresExitWith1AndOneLine) {
  const std::string missing = temporary("no_such_model.gguf");
  for (const char* command : {"generate --tokens 1,2 --model ", "check --model ",
                              "logits --tokens 1 --out /tmp/x --model ", "bench cost --model ",
                              "bench decode --model ", "inspect "})
    expect_error(command + missing, 1, "not found");
  expect_error("generate --tokens 1,999999 --max-tokens 2 --model " + tiny_model(), 1, "999999");
}

TEST(Tools, InspectEstimatesMemory) {
  for (const char* model : {"qwen3", "qwen3.gguf"}) {
    const Outcome o =
        kedge_program("inspect --json - " + std::string(KEDGE_GOLDEN_DIR "/tiny/") + model);
    ASSERT_EQ(o.status, 0) << o.err;
    const auto memory = nlohmann::json::parse(o.out)["memory"];
    EXPECT_EQ(memory["context"], 128);
    // 2 layers, one head of 16 keys and 16 values in F16
    EXPECT_EQ(memory["kv_per_position"], 2 * 2 * 16 * 2);
    EXPECT_EQ(memory["kv"], 128 * 2 * 2 * 16 * 2);
    EXPECT_GT(memory["weights"], memory["stored"]);
    EXPECT_GT(memory["activations"], 0);
    EXPECT_GE(memory["total"], memory["weights"].get<double>() + memory["kv"].get<double>());
    EXPECT_NE(o.err.find("memory in all"), std::string::npos) << o.err;
  }
}

TEST(Tools, MemoryBudgetsAndQuantizing) {
  const std::string run = "generate --tokens 1,2 --max-tokens 2 --model " KEDGE_GOLDEN_DIR "/tiny/";
  EXPECT_EQ(kedge_program(run + "qwen3 --memory-budget 10M").status, 0);
  EXPECT_EQ(kedge_program(run + "grouped.gguf --quantize q8_0").status, 0);
  expect_error(run + "qwen3 --memory-budget 100K", 1, "the budget is 102400");
  expect_error(run + "qwen3 --memory-budget 200K", 1, "context");
  expect_error(run + "qwen3 --memory-budget much", 2, "--memory-budget");
  expect_error(run + "qwen3 --memory-budget 1X", 2, "1X");
  expect_error(run + "qwen3 --quantize q8_0", 1, "needs a width divisible by 32, found 40");
}

TEST(Tools, HelpOfEverythingExitsWith0) {
  for (const char* command :
       {"", "generate", "logits", "op", "inspect", "quantize", "check", "bench", "bench cost",
        "bench decode", "bench ops", "bench speculation", "op rms_norm"}) {
    const Outcome o = kedge_program(std::string(command) + " --help");
    EXPECT_EQ(o.status, 0) << command << o.err;
    EXPECT_FALSE(o.out.empty()) << command;
  }
  EXPECT_NE(kedge_program("op rms_norm --help").out.find("eps"), std::string::npos);
}

TEST(Tools, OperatorsAgreeAcrossBackends) {
  const std::string norm = write_file("norm", {floats("x", {3, 64}, 1), floats("weight", {64}, 2)});
  expect_backends_agree("rms_norm", norm, "", 3 * 64, 1e-6);
  expect_backends_agree("rms_norm", norm, " --set eps=0.5 --set y=q8_act", 3 * 64, 1.01 / 127);
  std::remove(norm.c_str());

  const std::string plain = write_file(
      "matmul",
      {floats("x", {2, 64}, 3), floats("weight", {20, 64}, 4), floats("residual", {2, 20}, 5)});
  expect_backends_agree("matmul", plain, "", 2 * 20, 1e-5);
  std::remove(plain.c_str());

  // Raw q8_0 blocks, as a GGUF file has them.
  Named blocks{"weight", io::SafeType::u8, {20, 2 * 34}, std::vector<std::byte>(20 * 2 * 34)};
  for (std::size_t b = 0; b < 40; ++b) {
    BlockQ8_0 block;
    block.d = f32_to_f16(0.01f * static_cast<float>(b + 1));
    for (int i = 0; i < 32; ++i)
      block.q[i] = static_cast<std::int8_t>((static_cast<int>(b) * 37 + i * 11) % 255 - 127);
    std::memcpy(blocks.bytes.data() + 34 * b, &block, sizeof block);
  }
  const std::string rounded = write_file("blocks", {floats("x", {2, 64}, 6), blocks});
  expect_backends_agree("matmul", rounded, " --set weight.format=q8_0", 2 * 20, 1e-5);
  expect_error("op matmul --in " + rounded, 1, "weight.format");
  expect_error("op matmul --in " + rounded + " --set weight.format=q4_0", 1, "weight");
  std::remove(rounded.c_str());

  const std::string attention = write_file(
      "attention", {floats("q", {3, 64}, 7), floats("k", {70, 32}, 8), floats("v", {70, 32}, 9)});
  for (const char* cache : {"f32", "f16", "bf16"})
    expect_backends_agree("attention", attention,
                          std::string(" --set heads=4 --set kv_heads=2 --set cache=") + cache,
                          3 * 64, 1e-5);
  std::remove(attention.c_str());
}

TEST(Tools, OperatorsNameWhatIsWrong) {
  const std::string none = write_file("x_only", {floats("x", {3, 64}, 1)});
  expect_error("op rms_norm --in " + none, 1, "weight");
  const std::string extra = write_file(
      "extra", {floats("x", {3, 64}, 1), floats("weight", {64}, 2), floats("bias", {64}, 2)});
  expect_error("op rms_norm --in " + extra, 1, "bias");
  const std::string wrong =
      write_file("wrong", {floats("x", {3, 64}, 1), floats("weight", {63}, 2)});
  expect_error("op rms_norm --in " + wrong, 1, "weight");
  expect_error("op rms_norm --in " + wrong + " --set epsilon=1", 2, "epsilon");
  expect_error("op rms_norm --in " + wrong + " --set eps=small", 2, "eps");
  for (const std::string& path : {none, extra, wrong}) std::remove(path.c_str());
}

TEST(Tools, GeneratesTheSameTextWithADrafter) {
  std::vector<std::vector<int>> texts;
  const std::string model = "model:path=" + tiny_model() + ",n=3,threads=1";
  for (const std::string& draft :
       {std::string("none"), std::string("lookup:n=5,min=1"), std::string("map-k:key=2+cache+mod"),
        std::string("suffix:n=4"), model, model + ",extend=suffix", "suffix+" + model}) {
    const std::string json = temporary("json");
    const Outcome o =
        kedge_program("generate --model " + tiny_model() +
                      " --tokens 1,2,3,1,2 --max-tokens 40 --draft " + draft + " --json " + json);
    ASSERT_EQ(o.status, 0) << o.err;
    const auto parsed = nlohmann::json::parse(contents(json));
    EXPECT_EQ(parsed["tokens"], 40);
    texts.push_back(parsed["token_ids"].get<std::vector<int>>());
    std::remove(json.c_str());
  }
  EXPECT_EQ(texts[0].size(), 40u);
  for (const auto& text : texts) EXPECT_EQ(texts[0], text);
}

TEST(Tools, DraftModelsOfAnotherVocabularyAreRefused) {
  const std::string base = "generate --tokens 1 --max-tokens 2 --model " + tiny_model();
  expect_error(base + " --draft model", 2, "needs path");
  expect_error(base + " --draft model:path=no/such/file", 1, "not found");
  expect_error(base + " --draft model:path=" KEDGE_GOLDEN_DIR "/tiny/qwen3.gguf", 1,
               "tokens, the draft 110");
  expect_error(base + " --draft model:cache=q3,path=" + tiny_model(), 2, "q3");
}

// Counts of texts, joined, are what a drafter reads; other files it refuses.
TEST(Tools, CountsNgramsForTheCacheDrafter) {
  const std::string tokenizer = " --model " KEDGE_GOLDEN_DIR "/tokenizers/gpt-2/tokenizer.json";
  const std::string text = temporary("text"), counts = temporary("counts"),
                    both = temporary("both");
  std::ofstream(text) << "the boat is small, the sea is large, the boat is small again";
  Outcome o = kedge_program("ngrams" + tokenizer + " --out " + counts + " " + text);
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_NE(o.out.find("n-grams"), std::string::npos);
  o = kedge_program("ngrams" + tokenizer + " --out " + both + " --add " + counts + " " + text);
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_EQ(contents(both).size(), contents(counts).size()) << "the same n-grams, twice as often";
  expect_error("generate --tokens 1 --model " + tiny_model() + " --draft cache:dynamic=" + counts,
               1, "expected tokens of 0..");
  expect_error("generate --tokens 1 --model " + tiny_model() + " --draft cache:static=" + text, 1,
               "no file of n-gram counts");
  expect_error("ngrams" + tokenizer + " --out " + both, 2, "texts");
  for (const std::string& file : {text, counts, both}) std::remove(file.c_str());
}

TEST(Tools, QuantizesAModelThatThenRuns) {
  const std::string out = temporary("gguf"), json = temporary("json");
  const Outcome made = kedge_program("quantize --model " + tiny_model() + " --type q8_0 --out " +
                                     out + " --json " + json);
  ASSERT_EQ(made.status, 0) << made.err;
  const auto parsed = nlohmann::json::parse(contents(json));
  EXPECT_GT(parsed["changed"], 0);
  EXPECT_LT(parsed["bytes_after"], parsed["bytes_before"]);
  const Outcome ran = kedge_program("generate --model " + out + " --tokens 1,2,3 --max-tokens 5");
  EXPECT_EQ(ran.status, 0) << ran.err;
  // widths of 64 are no q4_k blocks: said, not replaced by something else
  const std::string command = "quantize --model " + tiny_model() + " --out " + out + " --type ";
  expect_error(command + "q4_k", 1, "multiple of 256");
  expect_error(command + "q6_k", 2, "q8_0");
  EXPECT_EQ(kedge_program(command + "q4_k --otherwise q4_0").status, 0);
  std::remove(out.c_str());
}

// Sampled; in one piece, with a drafter, and saved and loaded in the middle.
TEST(Tools, GeneratesTheSameSampledTextFromASavedSession) {
  const std::string json = temporary("json"), state = temporary("state");
  const std::string generate = "generate --model " + tiny_model() + " --logprobs 2 --json " + json;
  const std::string drawn = " --temperature 1 --top-p 0.95 --repetition-penalty 1.1 --seed 3";
  const auto run = [&](const std::string& arguments) {
    const Outcome o = kedge_program(generate + arguments);
    EXPECT_EQ(o.status, 0) << o.err;
    const auto parsed = nlohmann::json::parse(contents(json));
    EXPECT_EQ(parsed["logprobs"].size(), parsed["token_ids"].size());
    EXPECT_EQ(parsed["logprobs"][0]["alternatives"].size(), 2u);
    return parsed["token_ids"].get<std::vector<int>>();
  };
  const auto whole = run(" --tokens 1,2,3,1,2 --max-tokens 40" + drawn);
  EXPECT_EQ(whole.size(), 40u);
  EXPECT_EQ(run(" --tokens 1,2,3,1,2 --max-tokens 40 --draft lookup:n=5,min=1" + drawn), whole);
  EXPECT_NE(run(" --tokens 1,2,3,1,2 --max-tokens 40"), whole);
  auto parts = run(" --tokens 1,2,3,1,2 --max-tokens 15 --save-session " + state + drawn);
  const auto rest = run(" --max-tokens 25 --load-session " + state);
  parts.insert(parts.end(), rest.begin(), rest.end());
  EXPECT_EQ(parts, whole);
  expect_error(generate + " --load-session " + json, 1, "saved session");
  expect_error(generate, 2, "--load-session");
  std::remove(json.c_str());
  std::remove(state.c_str());
}

TEST(Tools, LogitsDoNotDependOnTheWidth) {
  std::string tokens = "1";
  for (int i = 2; i < 70; ++i) tokens += "," + std::to_string(i % 50);
  std::string bytes[2];
  for (int i = 0; i < 2; ++i) {
    const std::string out = temporary("logits");
    const Outcome o = kedge_program("logits --model " + tiny_model() + " --tokens " + tokens +
                                    " --width " + (i == 0 ? "1" : "16") + " --out " + out);
    ASSERT_EQ(o.status, 0) << o.err;
    EXPECT_FALSE(read_floats(out, "logits").empty());
    bytes[i] = contents(out);
    std::remove(out.c_str());
  }
  EXPECT_TRUE(bytes[0] == bytes[1]);
}

TEST(Tools, CheckPassesAndCanFail) {
  const std::string check = "check --threads 2 --prompts 2 --model " + tiny_model();
  const Outcome good = kedge_program(check);
  EXPECT_EQ(good.status, 0) << good.out << good.err;
  for (const char* part : {"text equal 2/2", "28 forced", " 0 state bytes changed", "exact\n"})
    EXPECT_NE(good.out.find(part), std::string::npos) << part << "\n" << good.out;
  for (const char* way :
       {"after rewind: 2/2", "after fork: 2/2", "after save and load: 1/1", "after extend: 1/1"})
    EXPECT_NE(good.out.find(way), std::string::npos) << way << "\n" << good.out;
  const Outcome drawn = kedge_program(check + " --temperature 1 --seed 5");
  EXPECT_EQ(drawn.status, 0) << drawn.out << drawn.err;
  EXPECT_NE(drawn.out.find("temperature 1, seed 5"), std::string::npos) << drawn.out;
  expect_error(check + " --perturb 13", 1, "position 13");
}

}  // namespace
