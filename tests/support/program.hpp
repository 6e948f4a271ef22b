// The program kedge as its users run it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace kedge::tests {

struct Outcome {
  int status = -1;
  std::string out, err;
};

inline std::string temporary(const std::string& name) {
  return testing::TempDir() + "kedge_tools_" + std::to_string(getpid()) + "_" + name;
}

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Runs the program through the shell; no argument here needs quoting beyond '...'.
inline Outcome kedge_program(const std::string& arguments) {
  const std::string out = temporary("out"), err = temporary("err");
  const std::string command =
      std::string(KEDGE_PROGRAM) + " " + arguments + " >" + out + " 2>" + err + " </dev/null";
  const int raw = std::system(command.c_str());
  Outcome outcome{WIFEXITED(raw) ? WEXITSTATUS(raw) : -1, contents(out), contents(err)};
  std::remove(out.c_str());
  std::remove(err.c_str());
  return outcome;
}

// Status, one line, and a part of it.
inline void expect_error(const std::string& arguments, int status, const std::string& part) {
  const Outcome o = kedge_program(arguments);
  EXPECT_EQ(o.status, status) << arguments << "\n" << o.err;
  EXPECT_EQ(o.err.rfind("kedge: ", 0), 0u) << arguments << "\n" << o.err;
  EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << arguments << "\n" << o.err;
  EXPECT_NE(o.err.find(part), std::string::npos) << arguments << "\n" << o.err;
}

inline std::string tiny_model() { return KEDGE_GOLDEN_DIR "/tiny/grouped.gguf"; }

}  // namespace kedge::tests
