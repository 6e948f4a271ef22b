// How a subcommand joins the program: it adds itself to the parser and says what to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kedge::tools {

// What to run when `app` was named; the exit status comes back.
struct Command {
  CLI::App* app;
  std::function<int()> run;
};
using Commands = std::vector<Command>;

void add_generate(CLI::App& root, Commands& commands);
void add_logits(CLI::App& root, Commands& commands);
void add_op(CLI::App& root, Commands& commands);
void add_inspect(CLI::App& root, Commands& commands);
void add_quantize(CLI::App& root, Commands& commands);
void add_check(CLI::App& root, Commands& commands);
void add_bench(CLI::App& root, Commands& commands);
void add_ngrams(CLI::App& root, Commands& commands);
void add_draft_command(CLI::App& root, Commands& commands);
void add_tokenize(CLI::App& root, Commands& commands);
void add_pack(CLI::App& root, Commands& commands);
void add_package(CLI::App& root, Commands& commands);

}  // namespace kedge::tools
