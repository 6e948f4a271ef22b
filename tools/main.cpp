// kedge: the program. One file per subcommand; this one parses and turns failures into one line.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "kedge/core/config.hpp"

namespace {

int report(const std::string& message, int exit_status) {
  std::string line = message;
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fflush(stdout);
  std::fprintf(stderr, "kedge: %s\n", line.c_str());
  return exit_status;
}

// "kedge generate", for errors of the parser.
std::string path_of(const CLI::App& app) {
  std::string path = app.get_name();
  for (const CLI::App* sub : app.get_subcommands()) path += " " + path_of(*sub);
  return path;
}

int run(int argc, char** argv) {
  using namespace kedge::tools;
  CLI::App app("Kedge: speculative decoding that is exact and undone for free.", "kedge");
  app.set_version_flag("--version", fmt::format("kedge {}.{}.{}", KEDGE_VERSION_MAJOR,
                                                KEDGE_VERSION_MINOR, KEDGE_VERSION_PATCH));
  app.require_subcommand(1);
  app.footer("Exit status: 0 success, 1 failure, 2 bad usage. `kedge COMMAND --help` says more.");
  Commands commands;
  add_generate(app, commands);
  add_logits(app, commands);
  add_op(app, commands);
  add_inspect(app, commands);
  add_quantize(app, commands);
  add_check(app, commands);
  add_bench(app, commands);
  add_ngrams(app, commands);
  add_draft_command(app, commands);
  add_tokenize(app, commands);
  add_pack(app, commands);
  add_package(app, commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    return report("usage: " + path_of(app) + ": " + e.what(), 2);
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.run();
  return report("usage: kedge: no command", 2);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const kedge::tools::Failure& e) {
    return report(e.what(), e.exit_status());
  } catch (const std::bad_alloc&) {
    return report("out of memory: kedge: the program has no memory left", 1);
  } catch (const std::exception& e) {
    return report(fmt::format("internal: kedge: {}", e.what()), 1);
  }
}
