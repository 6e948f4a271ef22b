#include "bench/report/peers.hpp"

#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>

#include "common/failure.hpp"

namespace kedge::tools {

namespace {

// For a shell: in single quotes, which the text itself must leave.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// What a command printed; its status in `status`.
std::string output_of(const std::string& command, int& status) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) fail_with(Code::io, "--peer", "cannot run {}", command);
  std::string text;
  char part[4096];
  for (std::size_t n; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  const int ended = pclose(pipe);
  status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  return text;
}

nlohmann::json parsed(const std::string& text, const std::string& place) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) fail_with(Code::malformed, place, "expected JSON");
  return json;
}

}  // namespace

nlohmann::json measure_peer(const std::string& named_path, const std::string& model,
                            std::int64_t context, unsigned threads) {
  const std::size_t equals = named_path.find('=');
  if (equals == std::string::npos || equals == 0)
    bad_usage("--peer", "expected NAME=PATH of a llama-bench, found {}", named_path);
  const std::string name = named_path.substr(0, equals), path = named_path.substr(equals + 1);
  const std::string base = fmt::format("{} -m {} -t {} -p 1,2,4,8,16 -n 0 -r 3 -fa 1 -o json",
                                       quoted(path), quoted(model), threads);
  int status = 0;
  std::string text = output_of(fmt::format("{} -d {} 2> /dev/null", base, context), status);
  // ik_llama.cpp's has no context before the rows.
  const bool deep = status == 0;
  if (!deep) text = output_of(base + " 2> /dev/null", status);
  if (status != 0)
    fail_with(Code::io, "--peer", "{} ended with status {}; is it a llama-bench?", path, status);
  nlohmann::json points = nlohmann::json::array();
  const nlohmann::json runs = parsed(text, path);
  for (const nlohmann::json& run : runs)
    if (run.is_object() && run.contains("n_prompt") && run.contains("avg_ns"))
      points.push_back({{"n", run["n_prompt"]}, {"ms", run["avg_ns"].get<double>() / 1e6}});
  if (points.empty()) fail_with(Code::malformed, path, "its JSON has no n_prompt and avg_ns");
  return {{"name", deep ? name : name + " (without context)"}, {"points", points}};
}

nlohmann::json read_json_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_with(Code::io, path, "cannot be opened");
  return parsed({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()}, path);
}

}  // namespace kedge::tools
