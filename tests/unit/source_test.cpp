#include "kedge/io/source.hpp"

#include <sys/stat.h>

#include <cstdio>
#include <fstream>

#include "kedge/io/sink.hpp"
#include "unit/io_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;
using io::Sink;
using io::Source;

Bytes ramp(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

void expect_same_bytes(const Source& source, const Bytes& bytes) {
  ASSERT_EQ(source.size(), bytes.size());
  for (const auto& [offset, size] : {std::pair<std::size_t, std::size_t>{0, bytes.size()},
                                     {3, 100},
                                     {bytes.size() - 1, 1},
                                     {bytes.size(), 0}}) {
    Bytes out(size);
    ASSERT_TRUE(ok(source.read(offset, out)));
    EXPECT_TRUE(std::equal(out.begin(), out.end(), bytes.begin() + static_cast<long>(offset)))
        << offset;
  }
  Bytes out(10);
  EXPECT_TRUE(
      fails_with(source.read(bytes.size() - 9, out), Code::malformed, {"expected 10 bytes"}));
  EXPECT_TRUE(fails_with(source.read(~std::uint64_t{0}, out), Code::malformed, {"10 bytes"}));
}

TEST(Source, PathMappedAndRead) {
  const std::string path = temporary("source");
  const Bytes bytes = ramp(70000);
  auto sink = Sink::create(path.c_str());
  ASSERT_TRUE(ok(sink));
  ASSERT_TRUE(ok(sink->write(bytes)));
  ASSERT_TRUE(ok(sink->finish()));
  auto mapped = Source::open(path.c_str(), {.map = true});
  ASSERT_TRUE(ok(mapped));
  EXPECT_NE(mapped->mapped(), nullptr);
  expect_same_bytes(*mapped, bytes);
  auto read = Source::open(path.c_str());
  ASSERT_TRUE(ok(read));
  EXPECT_EQ(read->mapped(), nullptr);
  expect_same_bytes(*read, bytes);
  // Moving keeps the mapping alive exactly once.
  Source moved = std::move(*mapped);
  moved = Source(std::move(moved));
  expect_same_bytes(moved, bytes);
  // A file that shrinks while it is read is an error, not a crash.
  ASSERT_EQ(::truncate(path.c_str(), 100), 0);
  Bytes out(200);
  EXPECT_TRUE(
      fails_with(read->read(0, out), Code::io, {path.c_str(), "100 more bytes", "file's end"}));
  std::remove(path.c_str());
}

TEST(Source, PathErrorsSayWhatIsWrong) {
  EXPECT_TRUE(fails_with(Source::open("/nowhere/model.gguf"), Code::not_found,
                         {"/nowhere/model.gguf", "No such file"}));
  EXPECT_TRUE(fails_with(Source::open("/"), Code::io, {"directory"}));
  EXPECT_TRUE(fails_with(Source::open("/dev/null"), Code::io, {"/dev/null", "regular file"}));
  const std::string empty = temporary("empty");
  std::ofstream(empty).flush();
  EXPECT_TRUE(fails_with(Source::open(empty.c_str()), Code::malformed, {empty.c_str(), "empty"}));
  std::remove(empty.c_str());
  const std::string pipe = temporary("pipe");  // must not wait for a writer
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(Source::open(pipe.c_str()), Code::io, {"regular file"}));
  std::remove(pipe.c_str());
  // Of a long path the error keeps the end, where the file's own name is.
  const std::string long_path = "/" + std::string(300, 'x') + "/model.gguf";
  EXPECT_TRUE(fails_with(Source::open(long_path.c_str()), Code::io, {"...xxx", "xx/model.gguf:"}));
}

TEST(Source, MemoryAndCallback) {
  const Bytes bytes = ramp(5000);
  expect_same_bytes(Source::memory(bytes), bytes);
  CallbackFile file{bytes};
  expect_same_bytes(file.source(), bytes);
  file.refuse = true;
  Bytes out(8);
  EXPECT_TRUE(fails_with(file.source("remote").read(16, out), Code::io,
                         {"remote", "8 bytes", "offset 16"}));
  EXPECT_TRUE(fails_with(Source::memory({}).read(0, out), Code::malformed, {"found 0 bytes"}));
}

TEST(Source, LoadBorrowsOnlyWhatIsAligned) {
  alignas(64) std::byte bytes[256];
  for (int i = 0; i < 256; ++i) bytes[i] = static_cast<std::byte>(i);
  const Source source = Source::memory(bytes);
  auto borrowed = source.load(64, 32);
  ASSERT_TRUE(ok(borrowed));
  EXPECT_EQ(borrowed->data, bytes + 64);
  EXPECT_EQ(borrowed->owned.size(), 0u);
  auto copied = source.load(65, 32);
  ASSERT_TRUE(ok(copied));
  EXPECT_EQ(copied->data, copied->owned.data());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(copied->data) % 64, 0u);
  EXPECT_EQ(std::memcmp(copied->data, bytes + 65, 32), 0);
  EXPECT_TRUE(fails_with(source.load(250, 7), Code::malformed, {"7 bytes at offset 250"}));
  Allocator none = default_allocator();
  none.allocate = [](void*, std::size_t, std::size_t) noexcept -> void* { return nullptr; };
  EXPECT_TRUE(fails_with(source.load(65, 32, none), Code::out_of_memory, {"32 bytes"}));
}

TEST(Sink, ReplacesAFileOnlyWhenFinished) {
  const std::string path = temporary("sink");
  std::ofstream(path) << "old";
  const auto content = [&] {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const auto bytes = std::as_bytes(std::span("new bytes", 9));
  {
    auto sink = Sink::create(path.c_str());
    ASSERT_TRUE(ok(sink));
    ASSERT_TRUE(ok(sink->write(bytes)));
    EXPECT_EQ(content(), "old");
  }
  EXPECT_EQ(content(), "old");
  auto sink = Sink::create(path.c_str());
  ASSERT_TRUE(ok(sink));
  ASSERT_TRUE(ok(sink->write(bytes)));
  ASSERT_TRUE(ok(sink->pad(2)));
  EXPECT_EQ(sink->position(), 11u);
  ASSERT_TRUE(ok(sink->finish()));
  EXPECT_EQ(content(), std::string("new bytes\0\0", 11));
  std::remove(path.c_str());
  EXPECT_TRUE(fails_with(Sink::create("/"), Code::io, {"directory"}));
  EXPECT_TRUE(fails_with(Sink::create("/dev/null"), Code::io, {"device"}));
  EXPECT_TRUE(fails_with(Sink::create("/nowhere/x"), Code::not_found, {"/nowhere/x"}));
}

}  // namespace
