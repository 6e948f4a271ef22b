// What the program prints: tables that line up, progress on a terminal, JSON for machines.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace kedge::tools {

// Columns as wide as their widest cell; numbers to the right, words to the left.
class Table {
 public:
  enum class Align { left, right };
  void column(std::string heading, Align align = Align::right) {
    headings_.push_back(std::move(heading));
    aligns_.push_back(align);
  }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // Two columns, "name  value", without a heading.
  static Table of_pairs();
  std::string text(std::string_view indent = "") const;
  void print(std::FILE* stream = stdout, std::string_view indent = "") const;

 private:
  std::vector<std::string> headings_;
  std::vector<Align> aligns_;
  std::vector<std::vector<std::string>> rows_;
};

// One line on stderr that is rewritten in place. Silent unless stderr is a terminal, and for the
// first half second of a task.
class Progress {
 public:
  explicit Progress(std::string task) : task_(std::move(task)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }
  void show(double done, std::string_view what = "") noexcept;
  void clear() noexcept;

 private:
  std::string task_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_{};
  bool shown_ = false;
};

bool is_terminal(std::FILE* stream) noexcept;

// "92.3 MiB"
std::string bytes_text(double bytes);
// "1,234,567"
std::string grouped(std::int64_t value);
// Control characters and quotes as escapes; at most `limit` bytes, then "...".
std::string printable(std::string_view text, std::size_t limit);

// Nothing for an empty path; "-" is stdout.
void write_json(const std::string& path, const nlohmann::json& value);

// Where text for people goes: stdout, unless that carries the JSON.
inline std::FILE* text_stream(const std::string& json_path) {
  return json_path == "-" ? stderr : stdout;
}

double median(std::vector<double> values);

}  // namespace kedge::tools
