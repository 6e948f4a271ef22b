#include "common/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/failure.hpp"
#include "kedge/io/sink.hpp"

namespace kedge::tools {

namespace {

// Code points, not bytes: what a terminal shows of Latin and similar text.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned>(c) & 0xC0) != 0x80; }));
}

}  // namespace

Table Table::of_pairs() {
  Table table;
  table.column("", Align::left);
  table.column("", Align::left);
  return table;
}

std::string Table::text(std::string_view indent) const {
  std::vector<std::size_t> width;
  for (const std::string& heading : headings_) width.push_back(columns(heading));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size() && i < width.size(); ++i)
      width[i] = std::max(width[i], columns(row[i]));
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text(indent);
    for (std::size_t i = 0; i < cells.size() && i < width.size(); ++i) {
      const std::string pad(width[i] - columns(cells[i]), ' ');
      text += aligns_[i] == Align::right ? pad + cells[i] : cells[i] + pad;
      text += "  ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  const auto named = [](const std::string& heading) { return !heading.empty(); };
  if (std::any_of(headings_.begin(), headings_.end(), named)) line(headings_);
  for (const auto& row : rows_) line(row);
  return out;
}

void Table::print(std::FILE* stream, std::string_view indent) const {
  std::fputs(text(indent).c_str(), stream);
  std::fflush(stream);
}

bool is_terminal(std::FILE* stream) noexcept { return isatty(fileno(stream)) == 1; }

void Progress::show(double done, std::string_view what) noexcept {
  using namespace std::chrono_literals;
  static const bool terminal = is_terminal(stderr);
  const auto now = std::chrono::steady_clock::now();
  if (!terminal || now - start_ < 500ms || now - last_ < 100ms) return;
  last_ = now;
  shown_ = true;
  std::fprintf(stderr, "\r%s %3.0f %% %.*s\x1b[K", task_.c_str(), 100 * done,
               static_cast<int>(std::min<std::size_t>(what.size(), 60)), what.data());
  std::fflush(stderr);
}

void Progress::clear() noexcept {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

std::string bytes_text(double bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= limit) {
      while (!out.empty() && (static_cast<unsigned>(out.back()) & 0xC0) == 0x80) out.pop_back();
      return out + "...";
    }
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (byte < 0x20 || byte == 0x7F) out += fmt::format("\\x{:02x}", byte);
    else out += c;
  }
  return out;
}

void write_json(const std::string& path, const nlohmann::json& value) {
  if (path.empty()) return;
  // Bytes that are no UTF-8 (a model may generate some) become U+FFFD instead of an exception.
  const std::string text =
      value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  io::Sink sink = must(io::Sink::create(path.c_str()));
  must(sink.write({reinterpret_cast<const std::byte*>(text.data()), text.size()}));
  must(sink.finish());
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace kedge::tools
