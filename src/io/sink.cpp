#include "kedge/io/sink.hpp"

#include <algorithm>

#include "io/guarded.hpp"

namespace kedge::inline KEDGE_ABI::io {

Result<Sink> Sink::create(const char* path) noexcept {
  Sink sink;
  KEDGE_TRY(sink.file_, os::WriteFile::create(path));
  return sink;
}

Sink Sink::memory(std::vector<std::byte>& bytes) noexcept {
  Sink sink;
  sink.memory_ = &bytes;
  return sink;
}

Sink Sink::callback(WriteFunction write, void* context) noexcept {
  Sink sink;
  sink.write_ = write;
  sink.context_ = context;
  return sink;
}

Status Sink::write(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return {};
  if (memory_ != nullptr) {
    KEDGE_CHECK(guarded("memory", [&]() -> Status {
      memory_->insert(memory_->end(), bytes.begin(), bytes.end());
      return {};
    }));
  } else if (write_ != nullptr) {
    if (!write_(context_, bytes))
      return fail(Code::io, "callback", "the write callback refused %zu bytes at offset %llu",
                  bytes.size(), static_cast<unsigned long long>(position_));
  } else {
    KEDGE_CHECK(file_.write(bytes));
  }
  position_ += bytes.size();
  return {};
}

Status Sink::pad(std::uint64_t count) noexcept {
  static constexpr std::byte zeros[4096] = {};
  while (count != 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, sizeof zeros));
    KEDGE_CHECK(write({zeros, part}));
    count -= part;
  }
  return {};
}

Status Sink::finish() noexcept {
  return memory_ == nullptr && write_ == nullptr ? file_.commit() : Status{};
}

}  // namespace kedge::inline KEDGE_ABI::io
