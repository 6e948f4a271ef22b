// kedge bench speculation: the prompt files that it reads, and what it says of them.
#include <nlohmann/json.hpp>

#include "support/program.hpp"

namespace {

using namespace kedge::tests;

std::string write_prompts(const std::string& text) {
  const std::string path = temporary("prompts.jsonl");
  std::ofstream(path) << text;
  return path;
}
std::string bench(const std::string& prompts) {
  return "bench speculation --model " + tiny_model() + " --bytes --max-tokens 20 --prompts " +
         prompts;
}

TEST(BenchSpeculation, ReadsTheFormsThatPromptFilesHave) {
  const std::string path = write_prompts(
      "{\"prompt\": \"abcabcabc\", \"category\": \"one\", \"question_id\": 7}\n"
      "\n"
      "{\"turns\": [\"hello\", \"and more\"], \"task\": \"two\", \"task_id\": \"T/3\"}\n"
      "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", "
      "\"content\": "
      "\"question\"}], \"category\": \"one\"}\n"
      "{\"conversations\": [{\"from\": \"human\", \"value\": \"question\"}], \"unknown\": [1]}\n"
      "{\"instruction\": \"copy\"}\n");
  const std::string json = temporary("bench.json");
  const Outcome o = kedge_program(bench(path) + " --json " + json);
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_NE(o.out.find("together"), std::string::npos);
  const auto figures = nlohmann::json::parse(contents(json));
  ASSERT_EQ(figures["prompts"].size(), 5u);
  const std::string ids[] = {"7", "T/3", "4", "5", "6"};  // else the line
  const int sizes[] = {9, 5, 11, 8, 4};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(figures["prompts"][i]["id"], ids[i]);
    EXPECT_EQ(figures["prompts"][i]["prompt_tokens"], sizes[i]);
    EXPECT_EQ(figures["prompts"][i]["text_equal"], true);
  }
  EXPECT_EQ(figures["categories"]["one"]["prompts"], 2);
  EXPECT_EQ(figures["categories"]["two"]["prompts"], 1);
  EXPECT_EQ(figures["categories"]["all"]["prompts"], 2);
  // The definitions: tau is one more than what holds per round, and positions add up to it.
  const auto& all = figures["categories"]["together"];
  EXPECT_EQ(all["prompts"], 5);
  double tau = 1;
  for (const double share : all["acceptance_by_position"]) tau += share;
  EXPECT_NEAR(all["tau"].get<double>(), tau, 1e-9);
  EXPECT_LE(all["accepted"].get<int>(), all["evaluated"].get<int>());
  EXPECT_LE(all["evaluated"].get<int>(), all["proposed"].get<int>());

  const Outcome some = kedge_program(bench(path) + " --category two --json " + json);
  EXPECT_EQ(some.status, 0) << some.err;
  EXPECT_EQ(nlohmann::json::parse(contents(json))["prompts"].size(), 1u);
  expect_error(bench(path) + " --category three", 1, "three");
  std::remove(path.c_str());
  std::remove(json.c_str());
}

TEST(BenchSpeculation, LinesThatAreWrongAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"prompt\": \"a\"}\n{\"prompt\": 3}\n", "line 2: prompt: expected a string"},
      {"not json\n", "line 1: expected a JSON object"},
      {"[1]\n", "line 1: expected a JSON object"},
      {"{\"category\": \"x\"}\n", "line 1: no text"},
      {"{\"turns\": []}\n", "line 1: turns"},
      {"{\"turns\": \"x\"}\n", "line 1: turns"},
      {"{\"messages\": [{\"role\": \"user\"}]}\n", "line 1: messages: a message without"},
      {"{\"messages\": [{\"role\": \"system\", \"content\": \"x\"}]}\n",
       "line 1: messages: no message"},
      {"{\"messages\": [3]}\n", "line 1: messages: expected objects"},
      {"{\"prompt\": \"a\", \"category\": [1]}\n", "category: expected a string"},
      {"\n\n", "no prompt"},
  };
  for (const auto& [text, part] : cases) {
    const std::string path = write_prompts(text);
    expect_error(bench(path), 1, part);
    std::remove(path.c_str());
  }
  expect_error(bench("/nowhere.jsonl"), 1, "/nowhere.jsonl");
  expect_error(bench("/dev/null") + " --draft none", 2, "--draft");
}

}  // namespace
