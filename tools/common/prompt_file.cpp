#include "common/prompt_file.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/failure.hpp"

namespace kedge::tools {

namespace {

using Json = nlohmann::json;

class Line {
 public:
  Line(const std::string& file, std::size_t number, const std::string& text)
      : place_(fmt::format("{}, line {}", file, number)), number_(number) {
    json_ = Json::parse(text, nullptr, false);
    if (!json_.is_object()) malformed("expected a JSON object");
  }

  FilePrompt prompt() const {
    FilePrompt p;
    p.id = name({"question_id", "id", "task_id"}, std::to_string(number_));
    p.category = name({"category", "task", "subset", "domain"}, "all");
    for (const char* key : {"prompt", "text", "question", "instruction", "input"})
      if (json_.contains(key) && p.text.empty()) p.text = string(json_[key], key);
    if (p.text.empty() && json_.contains("turns")) p.text = first_turn(json_["turns"]);
    for (const char* key : {"messages", "conversations"})
      if (p.text.empty() && json_.contains(key)) {
        p.text = first_message(json_[key], key);
        p.chat = true;
      }
    if (p.text.empty())
      malformed("no text: expected prompt, text, question, instruction, input, turns or messages");
    return p;
  }

 private:
  template <class... Args>
  [[noreturn]] void malformed(fmt::format_string<Args...> format, Args&&... args) const {
    fail_with(Code::malformed, place_, format, std::forward<Args>(args)...);
  }
  std::string string(const Json& value, const char* key) const {
    if (!value.is_string()) malformed("{}: expected a string, found {}", key, value.type_name());
    return value.get<std::string>();
  }
  // Of the first key that is there, a string or a number.
  std::string name(std::initializer_list<const char*> keys, std::string otherwise) const {
    for (const char* key : keys) {
      const auto found = json_.find(key);
      if (found == json_.end()) continue;
      if (found->is_number_integer()) return std::to_string(found->get<std::int64_t>());
      return string(*found, key);
    }
    return otherwise;
  }
  std::string first_turn(const Json& turns) const {
    if (!turns.is_array() || turns.empty()) malformed("turns: expected a list with a turn");
    return string(turns[0], "turns[0]");
  }
  std::string first_message(const Json& messages, const char* key) const {
    if (!messages.is_array()) malformed("{}: expected a list of messages", key);
    std::string before;
    for (const Json& message : messages) {
      if (!message.is_object()) malformed("{}: expected objects", key);
      const char* role_key = message.contains("role") ? "role" : "from";
      const char* text_key = message.contains("content") ? "content" : "value";
      if (!message.contains(role_key) || !message.contains(text_key))
        malformed("{}: a message without a role or a content", key);
      const std::string role = string(message[role_key], role_key);
      const std::string text = string(message[text_key], text_key);
      if (role == "user" || role == "human") return before + text;
      if (role == "system") before += text + "\n\n";
    }
    malformed("{}: no message of the user", key);
  }

  std::string place_;
  std::size_t number_;
  Json json_;
};

}  // namespace

std::vector<FilePrompt> read_prompt_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_with(Code::io, path, "cannot be read");
  std::vector<FilePrompt> prompts;
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    prompts.push_back(Line(path, number, line).prompt());
  }
  if (prompts.empty()) fail_with(Code::malformed, path, "there is no prompt in it");
  return prompts;
}

}  // namespace kedge::tools
