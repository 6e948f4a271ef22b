#include "kedge/io/gguf.hpp"

#include <cstdio>
#include <fstream>

#include "unit/io_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;
using io::Gguf;
using io::GgufArray;
using io::GgufValue;
using io::GgufWriter;
using io::Source;

std::string golden(const char* name) { return std::string(KEDGE_GOLDEN_DIR "/") + name; }

Bytes file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

bool same(const GgufArray& a, const GgufArray& b) {
  if (a.arrays.size() != b.arrays.size()) return false;
  for (std::size_t i = 0; i < a.arrays.size(); ++i)
    if (!same(a.arrays[i], b.arrays[i])) return false;
  return a.type == b.type && a.integers == b.integers && a.floats == b.floats &&
         a.strings == b.strings;
}
bool same(const GgufValue& a, const GgufValue& b) {
  if (a.type != b.type || a.value.index() != b.value.index()) return false;
  using Pointer = std::shared_ptr<const GgufArray>;
  if (const auto* array = std::get_if<Pointer>(&a.value))
    return same(**array, *std::get<Pointer>(b.value));
  return a.value == b.value;
}

// Everything that two files say is equal, tensor bytes included.
void expect_same(const Gguf& a, const Gguf& b) {
  ASSERT_EQ(a.metadata().size(), b.metadata().size());
  for (std::size_t i = 0; i < a.metadata().size(); ++i) {
    EXPECT_EQ(a.metadata()[i].first, b.metadata()[i].first);
    EXPECT_TRUE(same(a.metadata()[i].second, b.metadata()[i].second)) << a.metadata()[i].first;
  }
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const auto &x = a.tensors()[i], &y = b.tensors()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.type, y.type);
    EXPECT_EQ(x.rank, y.rank);
    EXPECT_TRUE(std::equal(x.extent, x.extent + 4, y.extent)) << x.name;
    auto p = a.read(x), q = b.read(y);
    ASSERT_TRUE(ok(p));
    ASSERT_TRUE(ok(q));
    ASSERT_EQ(p->size, q->size);
    EXPECT_EQ(std::memcmp(p->data, q->data, p->size), 0) << x.name;
  }
}

void rewrite(const Gguf& file, Bytes& out) {
  GgufWriter writer;
  for (const auto& [key, value] : file.metadata()) ASSERT_TRUE(ok(writer.add(key, value)));
  std::vector<io::TensorBytes> kept;
  for (const auto& t : file.tensors()) {
    auto bytes = file.read(t);
    ASSERT_TRUE(ok(bytes));
    auto view = io::as_tensor(t, *bytes);
    ASSERT_TRUE(ok(view));
    kept.push_back(std::move(*bytes));
    ASSERT_TRUE(ok(writer.add_tensor(t.name, *view)));
  }
  ASSERT_TRUE(ok(writer.write(out)));
}

// A hand-made file, field by field.
struct RawGguf {
  std::string bytes;
  template <class T>
  RawGguf& put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  RawGguf& text(std::string_view value) {
    put<std::uint64_t>(value.size());
    bytes.append(value);
    return *this;
  }
  RawGguf& header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    return put<std::uint32_t>(0x46554747).put(version).put(tensors).put(keys);
  }
  RawGguf& alignment(std::uint32_t value) {
    return text("general.alignment").put<std::uint32_t>(4).put(value);
  }
  RawGguf& tensor(std::string_view name, std::vector<std::uint64_t> extents, std::uint32_t type,
                  std::uint64_t offset) {
    text(name).put(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) put(extent);
    return put(type).put(offset);
  }
  RawGguf& data(std::size_t size) {
    while (bytes.size() % 32 != 0) bytes.push_back('\0');
    bytes.resize(bytes.size() + size);
    return *this;
  }
  Result<Gguf> open() const {
    return Gguf::open(Source::memory(std::as_bytes(std::span(bytes)), "raw.gguf"));
  }
};

TEST(Gguf, ReadsEveryTypeThatThePythonPackageWrites) {
  auto file = Gguf::open(golden("formats.gguf").c_str());
  ASSERT_TRUE(ok(file));
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(value_of(file->string("general.architecture")), "test");
  EXPECT_EQ(value_of(file->uint("test.u8")), 200u);
  EXPECT_EQ(value_of(file->number("test.i8")), -100);
  EXPECT_EQ(value_of(file->uint("test.u16")), 60000u);
  EXPECT_EQ(value_of(file->number("test.i16")), -30000);
  EXPECT_EQ(value_of(file->uint("test.u32")), 4000000000u);
  EXPECT_EQ(value_of(file->number("test.i32")), -2000000000);
  EXPECT_EQ(value_of(file->uint("test.u64")), 18000000000000000000u);
  EXPECT_EQ(std::get<std::int64_t>(file->find("test.i64")->value), -9000000000000000000);
  EXPECT_EQ(value_of(file->number("test.f32")), 0.1f);
  EXPECT_EQ(value_of(file->number("test.f64")), 0.1);
  EXPECT_TRUE(value_of(file->boolean("test.true")));
  EXPECT_FALSE(value_of(file->boolean("test.false")));
  EXPECT_EQ(value_of(file->string("test.string")), "K\u00e4se \u2013 \U0001F9C0");
  EXPECT_EQ(value_of(file->string("test.empty")), "");
  using Integers = std::vector<std::int64_t>;
  const auto numbers = [&](const char* key) { return value_of(file->array(key))->integers; };
  EXPECT_EQ(numbers("test.array.u8"), (Integers{0, 255}));
  EXPECT_EQ(numbers("test.array.i8"), (Integers{-128, 127}));
  EXPECT_EQ(numbers("test.array.u16"), (Integers{0, 65535}));
  EXPECT_EQ(numbers("test.array.i16"), (Integers{-32768, 32767}));
  EXPECT_EQ(numbers("test.array.u32"), (Integers{0, 4294967295}));
  EXPECT_EQ(numbers("test.array.i32"), (Integers{INT32_MIN, INT32_MAX}));
  EXPECT_EQ(numbers("test.array.u64"), (Integers{0, -1}));
  EXPECT_EQ(numbers("test.array.i64"), (Integers{INT64_MIN, INT64_MAX}));
  EXPECT_EQ(numbers("test.array.boolean"), (Integers{1, 0, 1}));
  EXPECT_EQ(value_of(file->array("test.array.f32"))->floats, (std::vector<double>{0.1f, -2.5}));
  EXPECT_EQ(value_of(file->array("test.array.f64"))->floats, (std::vector<double>{0.1, -2.5}));
  EXPECT_EQ(value_of(file->array("test.array.string"))->strings,
            (std::vector<std::string>{"a", "", "\u00e9\u00e8"}));
  const auto* tensor = file->tensor("f32");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->rank, 3);
  EXPECT_EQ(tensor->extent[0], 2);
  EXPECT_EQ(tensor->extent[1], 3);
  EXPECT_EQ(tensor->extent[2], 5);
  EXPECT_EQ(file->tensor("nobody"), nullptr);
}

TEST(Gguf, WriterReproducesThePythonPackagesBytes) {
  const std::string path = golden("formats.gguf");
  auto file = Gguf::open(path.c_str());
  ASSERT_TRUE(ok(file));
  Bytes written;
  rewrite(*file, written);
  EXPECT_EQ(written, file_bytes(path));
}

TEST(Gguf, RoundTripThroughMemoryPathAndCallback) {
  const Bytes bytes = sample_gguf();
  auto memory = Gguf::open(Source::memory(bytes));
  ASSERT_TRUE(ok(memory));
  EXPECT_EQ(memory->alignment(), 64u);
  EXPECT_EQ(value_of(memory->array("array.array"))->arrays.size(), 3u);
  Bytes again;
  rewrite(*memory, again);
  EXPECT_EQ(again, bytes);

  const std::string path = temporary("roundtrip.gguf");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  auto direct = Gguf::open(path.c_str());
  ASSERT_TRUE(ok(direct));
  expect_same(*memory, *direct);
  auto source = Source::open(path.c_str(), {.map = true});
  ASSERT_TRUE(ok(source));
  auto mapped = Gguf::open(std::move(*source));
  ASSERT_TRUE(ok(mapped));
  expect_same(*memory, *mapped);
  std::remove(path.c_str());

  CallbackFile callback{bytes};
  auto called = Gguf::open(callback.source());
  ASSERT_TRUE(ok(called));
  EXPECT_EQ(callback.calls, 1);  // one chunk holds this directory
  expect_same(*memory, *called);
}

TEST(Gguf, CallbackReadsALongDirectoryInChunks) {
  GgufWriter writer;
  GgufArray words;
  words.type = Type::string;
  for (int i = 0; i < 20000; ++i) words.strings.push_back("word" + std::to_string(i));
  words.strings.push_back(std::string(300000, 'x'));  // longer than a chunk
  ASSERT_TRUE(ok(writer.add_array("words", words)));
  ASSERT_TRUE(
      ok(writer.add_array("numbers", integers(Type::u16, std::vector<std::int64_t>(99999, 7)))));
  Bytes bytes;
  ASSERT_TRUE(ok(writer.write(bytes)));
  CallbackFile callback{bytes};
  auto file = Gguf::open(callback.source());
  ASSERT_TRUE(ok(file));
  EXPECT_EQ(value_of(file->array("words"))->strings, words.strings);
  EXPECT_EQ(value_of(file->array("numbers"))->integers, std::vector<std::int64_t>(99999, 7));
  EXPECT_LT(callback.calls, static_cast<int>(bytes.size() / 30000));
  callback.refuse = true;
  EXPECT_TRUE(fails_with(Gguf::open(callback.source("remote")), Code::io, {"remote", "refused"}));
}

TEST(Gguf, TypedAccessNamesKeyExpectedAndFound) {
  const Bytes bytes = sample_gguf();
  auto file = Gguf::open(Source::memory(bytes, "sample.gguf"));
  ASSERT_TRUE(ok(file));
  EXPECT_TRUE(fails_with(file->uint("nobody"), Code::not_found, {"sample.gguf", "nobody"}));
  EXPECT_TRUE(fails_with(file->uint("f32"), Code::malformed,
                         {"sample.gguf", "key 'f32'", "expected an integer", "found f32"}));
  EXPECT_TRUE(fails_with(file->uint("i8"), Code::malformed, {"i8", "0 or more", "-100"}));
  EXPECT_TRUE(fails_with(file->number("yes"), Code::malformed, {"a number", "boolean"}));
  EXPECT_TRUE(fails_with(file->boolean("u8"), Code::malformed, {"a boolean", "u8"}));
  EXPECT_TRUE(fails_with(file->string("u8"), Code::malformed, {"a string", "u8"}));
  EXPECT_TRUE(fails_with(file->array("empty"), Code::malformed, {"an array", "string"}));
}

TEST(Gguf, HeaderErrors) {
  EXPECT_TRUE(fails_with(RawGguf{}.open(), Code::malformed, {"raw.gguf", "empty"}));
  EXPECT_TRUE(fails_with(RawGguf{}.put<std::uint32_t>(0x46554748).open(), Code::malformed,
                         {"raw.gguf", "GGUF", "48 47 55 46"}));
  EXPECT_TRUE(
      fails_with(RawGguf{}.header(0, 0, 1).open(), Code::unsupported, {"2 or 3", "found 1"}));
  EXPECT_TRUE(
      fails_with(RawGguf{}.header(0, 0, 4).open(), Code::unsupported, {"2 or 3", "found 4"}));
  EXPECT_TRUE(
      fails_with(RawGguf{}.header(0, 0, 0x03000000).open(), Code::unsupported, {"big-endian"}));
  EXPECT_TRUE(ok(RawGguf{}.header(0, 0, 2).open()));
  EXPECT_TRUE(ok(RawGguf{}.header(0, 0, 3).open()));
}

TEST(Gguf, MetadataErrors) {
  const auto key = [](std::uint32_t type) {
    RawGguf raw;
    raw.header(0, 1).text("the.key").put(type);
    return raw;
  };
  EXPECT_TRUE(fails_with(key(13).put<std::uint64_t>(0).open(), Code::malformed,
                         {"key 'the.key'", "0 to 12", "found 13"}));
  EXPECT_TRUE(fails_with(key(7).put<std::uint8_t>(2).open(), Code::malformed,
                         {"key 'the.key'", "boolean", "found 2"}));
  EXPECT_TRUE(fails_with(key(10).put<std::uint32_t>(2).open(), Code::malformed,
                         {"key 'the.key'", "8 bytes", "file's end"}));
  EXPECT_TRUE(
      fails_with(key(9).put<std::uint32_t>(7).put<std::uint64_t>(1).put<std::uint8_t>(9).open(),
                 Code::malformed, {"key 'the.key'", "booleans", "found 9"}));
  RawGguf twice;
  twice.header(0, 2);
  for (int i = 0; i < 2; ++i) twice.text("the.key").put<std::uint32_t>(4).put<std::uint32_t>(1);
  EXPECT_TRUE(fails_with(twice.open(), Code::malformed, {"the.key", "twice"}));
  EXPECT_TRUE(fails_with(RawGguf{}.header(0, 1).text("").put<std::uint64_t>(0).open(),
                         Code::malformed, {"key 0", "found none"}));
  // Control bytes of a hostile name do not reach the terminal.
  EXPECT_TRUE(fails_with(RawGguf{}.header(0, 1).text("\x1b[2J").put<std::uint64_t>(99).open(),
                         Code::malformed, {"'?[2J'"}));
}

TEST(Gguf, TensorErrors) {
  const auto one = [](std::vector<std::uint64_t> extents, std::uint32_t type, std::uint64_t offset,
                      std::size_t data) {
    RawGguf raw;
    raw.header(1, 0).tensor("w", extents, type, offset).data(data);
    return raw.open();
  };
  EXPECT_TRUE(ok(one({8, 2}, 0, 0, 64)));
  EXPECT_TRUE(fails_with(one({8, 2}, 0, 0, 63), Code::malformed, {"'w'", "64 bytes", "found 63"}));
  EXPECT_TRUE(fails_with(one({8, 0}, 0, 0, 64), Code::malformed, {"'w'", "found 0"}));
  EXPECT_TRUE(fails_with(one({}, 0, 0, 64), Code::malformed, {"'w'", "1 to 4", "found 0"}));
  EXPECT_TRUE(fails_with(one({1, 1, 1, 1, 1}, 0, 0, 64), Code::malformed, {"1 to 4", "found 5"}));
  EXPECT_TRUE(
      fails_with(one({1ull << 32, 1ull << 32}, 0, 0, 64), Code::malformed, {"'w'", "2^63"}));
  EXPECT_TRUE(fails_with(one({1ull << 63}, 0, 0, 64), Code::malformed, {"'w'", "2^63"}));
  EXPECT_TRUE(fails_with(one({1ull << 62}, 0, 0, 64), Code::malformed, {"'w'", "2^64 bytes"}));
  EXPECT_TRUE(fails_with(one({33}, 8, 0, 640), Code::malformed, {"'w'", "32", "Q8_0", "found 33"}));
  EXPECT_TRUE(
      fails_with(one({8}, 0, 4, 640), Code::malformed, {"'w'", "multiple of 32", "found 4"}));
  EXPECT_TRUE(
      fails_with(one({8}, 0, ~0ull - 31, 64), Code::malformed, {"'w'", "32 bytes at offset"}));
}

TEST(Gguf, AlignmentIsReadAndChecked) {
  RawGguf wide;
  wide.header(1, 1).alignment(128).tensor("w", {8}, 0, 128);
  wide.bytes.resize((wide.bytes.size() + 127) / 128 * 128 + 128 + 32);
  auto file = wide.open();
  ASSERT_TRUE(ok(file));
  EXPECT_EQ(file->tensors()[0].offset, wide.bytes.size() - 32);
  for (const std::uint32_t bad : {0u, 48u, 0xFFFFFFFFu})
    EXPECT_TRUE(fails_with(RawGguf{}.header(0, 1).alignment(bad).open(), Code::malformed,
                           {"general.alignment", "power of two", std::to_string(bad).c_str()}));
  EXPECT_TRUE(fails_with(
      RawGguf{}.header(0, 1).text("general.alignment").put<std::uint32_t>(6).put(32.0f).open(),
      Code::malformed, {"general.alignment", "unsigned", "found f32"}));
}

TEST(Gguf, TensorsMayNotOverlapOrRepeat) {
  const auto two = [](std::uint64_t first, std::uint64_t second, const char* name) {
    RawGguf raw;
    raw.header(2, 0).tensor("a", {16}, 0, first).tensor(name, {16}, 0, second).data(160);
    return raw.open();
  };
  EXPECT_TRUE(ok(two(0, 64, "b")));
  EXPECT_TRUE(ok(two(96, 0, "b")));  // any order
  EXPECT_TRUE(fails_with(two(0, 32, "b"), Code::malformed, {"'b'", "'a'", "found"}));
  EXPECT_TRUE(fails_with(two(64, 64, "b"), Code::malformed, {"'b'", "'a'"}));
  EXPECT_TRUE(fails_with(two(0, 64, "a"), Code::malformed, {"'a'", "twice"}));
}

TEST(Gguf, UnsupportedTypesAreListed) {
  RawGguf raw;
  raw.header(2, 0).tensor("q2", {256}, 10, 0).tensor("new", {5}, 1234, 96).data(128);
  auto file = raw.open();
  ASSERT_TRUE(ok(file));
  const auto &q2 = file->tensors()[0], &unknown = file->tensors()[1];
  EXPECT_FALSE(q2.supported);
  EXPECT_EQ(q2.bytes, 84u);
  auto bytes = file->read(q2);
  ASSERT_TRUE(ok(bytes));
  EXPECT_TRUE(fails_with(io::as_tensor(q2, *bytes), Code::unsupported, {"q2", "Q2_K"}));
  EXPECT_FALSE(unknown.supported);
  EXPECT_EQ(unknown.bytes, 0u);
  EXPECT_TRUE(fails_with(file->read(unknown), Code::unsupported, {"'new'", "1234"}));
}

TEST(GgufWriter, RefusesWhatTheFormatCannotHold) {
  GgufWriter writer;
  const auto invalid = Code::invalid_argument;
  EXPECT_TRUE(fails_with(writer.add_unsigned("k", 256, Type::u8), invalid, {"k", "256", "u8"}));
  EXPECT_TRUE(fails_with(writer.add_signed("k", -129, Type::i8), invalid, {"-129", "i8"}));
  EXPECT_TRUE(fails_with(writer.add_signed("k", 1, Type::u8), invalid, {"k", "u8"}));
  EXPECT_TRUE(fails_with(writer.add_float("k", 1e39), invalid, {"f32"}));
  EXPECT_TRUE(fails_with(writer.add_string("", "x"), invalid, {"name"}));
  EXPECT_TRUE(fails_with(writer.add_unsigned("general.alignment", 48), invalid, {"power of two"}));
  EXPECT_TRUE(fails_with(writer.add_array("k", integers(Type::u8, {-1})), invalid, {"-1", "u8"}));
  EXPECT_TRUE(fails_with(writer.add_array("k", integers(Type::string, {1})), invalid, {"string"}));
  EXPECT_TRUE(ok(writer.add_boolean("k", true)));
  EXPECT_TRUE(fails_with(writer.add_boolean("k", true), invalid, {"k", "already"}));
  const float data[64] = {};
  EXPECT_TRUE(fails_with(writer.add_tensor("t", tensor(data, Element::q8_0, 33)), invalid, {"33"}));
  EXPECT_TRUE(
      fails_with(writer.add_tensor("t", tensor(data, Element::f32, 0)), invalid, {"found 0"}));
  EXPECT_TRUE(
      fails_with(writer.add_tensor("t", tensor(nullptr, Element::f32, 1)), invalid, {"no data"}));
  EXPECT_TRUE(fails_with(writer.add_tensor("t", tensor(data, Element::q8_act, 32)),
                         Code::unsupported, {"q8_act"}));
  EXPECT_TRUE(ok(writer.add_tensor("t", tensor(data, Element::f32, 64))));
  EXPECT_TRUE(
      fails_with(writer.add_tensor("t", tensor(data, Element::f32, 1)), invalid, {"already"}));
  EXPECT_TRUE(fails_with(writer.write("/nowhere/x.gguf"), Code::not_found, {"/nowhere/x.gguf"}));
  const auto refuse = [](void*, std::span<const std::byte>) noexcept { return false; };
  EXPECT_TRUE(fails_with(writer.write(io::Sink::callback(refuse, nullptr)), Code::io, {"refused"}));
}

TEST(GgufWriter, MayReplaceTheFileItReadsFrom) {
  const std::string path = temporary("replace.gguf");
  const Bytes bytes = sample_gguf();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  auto file = Gguf::open(path.c_str());  // mapped, and borrowed below
  ASSERT_TRUE(ok(file));
  GgufWriter writer;
  ASSERT_TRUE(ok(writer.add_unsigned("general.alignment", 64)));
  std::vector<io::TensorBytes> kept;
  for (const auto& t : file->tensors()) {
    kept.push_back(value_of(file->read(t)));
    ASSERT_TRUE(ok(writer.add_tensor(t.name, value_of(io::as_tensor(t, kept.back())))));
  }
  ASSERT_TRUE(ok(writer.write(path.c_str())));
  auto replaced = Gguf::open(path.c_str());
  ASSERT_TRUE(ok(replaced));
  EXPECT_EQ(replaced->metadata().size(), 1u);
  for (const auto& t : file->tensors()) {
    auto before = file->read(t), after = replaced->read(*replaced->tensor(t.name));
    ASSERT_EQ(before->size, after->size);
    EXPECT_EQ(std::memcmp(before->data, after->data, before->size), 0) << t.name;
  }
  std::remove(path.c_str());
}

}  // namespace
