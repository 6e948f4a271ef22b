// Prompt files of benchmarks: JSON lines, one prompt each, as SPEED-Bench and the speculator
// benchmarks have them. Of a conversation the first turn is taken.
#pragma once

#include <string>
#include <vector>

namespace kedge::tools {

struct FilePrompt {
  std::string id;        // "question_id", "id" or "task_id", else the number of the line
  std::string category;  // "category", "task", "subset" or "domain", else "all"
  std::string text;
  bool chat = false;  // a message to the model rather than a text that it continues
};

// The text is the first of "prompt", "text", "question", "instruction" or "input" that is a string;
// of "turns" (strings) the first; of "messages" or "conversations" the first of the user, behind
// what the system says. A Failure names the file, the line and what is wrong with it.
std::vector<FilePrompt> read_prompt_file(const std::string& path);

}  // namespace kedge::tools
