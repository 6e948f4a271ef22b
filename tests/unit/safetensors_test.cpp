#include "kedge/io/safetensors.hpp"

#include <cstdio>

#include "unit/io_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;
using io::Safetensors;
using io::SafetensorsWriter;
using io::SafeType;
using io::Source;

// A file with this header text and so many bytes of data.
struct RawSafetensors {
  std::string bytes;
  explicit RawSafetensors(std::string_view header, std::size_t data = 0) {
    const std::uint64_t length = header.size();
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes.append(header).append(data, '\0');
  }
  Result<Safetensors> open() const {
    return Safetensors::open(Source::memory(std::as_bytes(std::span(bytes)), "raw.safetensors"));
  }
};
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text.append(part);
  return text;
}
std::string entry(const char* name, const char* type, const char* shape, const char* offsets) {
  return joined({"\"", name, R"(":{"dtype":")", type, R"(","shape":)", shape, R"(,"data_offsets":)",
                 offsets, "}"});
}
Result<Safetensors> one(const char* type, const char* shape, const char* offsets,
                        std::size_t data) {
  return RawSafetensors(joined({"{", entry("w", type, shape, offsets), "}"}), data).open();
}

TEST(Safetensors, ReadsWhatThePythonPackageWrites) {
  auto file = Safetensors::open(KEDGE_GOLDEN_DIR "/formats.safetensors");
  ASSERT_TRUE(ok(file));
  ASSERT_EQ(file->metadata().size(), 1u);
  EXPECT_EQ(file->metadata()[0], (std::pair<std::string, std::string>("source", "gguf package")));
  const auto* f32 = file->tensor("f32");
  ASSERT_NE(f32, nullptr);
  EXPECT_EQ(f32->shape, (std::vector<std::int64_t>{2, 3, 5}));
  EXPECT_EQ(file->tensor("nobody"), nullptr);
}

TEST(Safetensors, RoundTrip) {
  std::vector<std::byte> data(64);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i + 1);
  SafetensorsWriter writer;
  ASSERT_TRUE(ok(
      writer.add_metadata("note", "quotes \" and \\ and \n and K\u00e4se \uffff \U0010ffff \x7f")));
  ASSERT_TRUE(ok(writer.add_metadata("empty", "")));
  const std::int64_t three[] = {3}, one_by_two[] = {1, 2}, none[] = {4, 0};
  const auto bytes = [&](std::size_t size) {
    return std::span<const std::byte>(data.data(), size);
  };
  ASSERT_TRUE(ok(writer.add_tensor("bool", SafeType::boolean, three, bytes(3))));
  ASSERT_TRUE(ok(writer.add_tensor("u8", SafeType::u8, three, bytes(3))));
  ASSERT_TRUE(ok(writer.add_tensor("i8", SafeType::i8, three, bytes(3))));
  ASSERT_TRUE(ok(writer.add_tensor("f16", SafeType::f16, three, bytes(6))));
  ASSERT_TRUE(ok(writer.add_tensor("scalar", SafeType::bf16, {}, bytes(2))));
  ASSERT_TRUE(ok(writer.add_tensor("i64", SafeType::i64, one_by_two, bytes(16))));
  ASSERT_TRUE(ok(writer.add_tensor("none", SafeType::f32, none, {})));
  ASSERT_TRUE(ok(writer.add_tensor("quo\"te", tensor(data.data(), Element::i32, 2, 2))));
  ASSERT_TRUE(ok(writer.add_tensor("f32", tensor(data.data(), Element::f32, 4, 4))));
  Bytes written;
  ASSERT_TRUE(ok(writer.write(written)));

  CallbackFile callback{written};
  const std::string path = temporary("roundtrip.safetensors");
  ASSERT_TRUE(ok(writer.write(path.c_str())));
  Result<Safetensors> files[] = {Safetensors::open(Source::memory(written)),
                                 Safetensors::open(callback.source()),
                                 Safetensors::open(path.c_str())};
  for (const auto& file : files) {
    ASSERT_TRUE(ok(file));
    ASSERT_EQ(file->metadata().size(), 2u);
    EXPECT_EQ(file->metadata()[0].second,
              "quotes \" and \\ and \n and K\u00e4se \uffff \U0010ffff \x7f");
    ASSERT_EQ(file->tensors().size(), 9u);
    EXPECT_EQ(file->tensor("i64")->shape, (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(file->tensor("none")->bytes, 0u);
    EXPECT_TRUE(file->tensor("scalar")->shape.empty());
    EXPECT_EQ(file->tensor("quo\"te")->type, SafeType::i32);
    for (const auto& t : file->tensors()) {
      EXPECT_EQ(t.offset % io::bytes_per_value(t.type), 0u) << t.name;
      auto read = file->read(t);
      ASSERT_TRUE(ok(read));
      ASSERT_EQ(read->size, t.bytes);
      if (t.bytes != 0) {
        EXPECT_EQ(std::memcmp(read->data, data.data(), t.bytes), 0) << t.name;
      }
    }
    auto read = file->read(*file->tensor("f32"));
    auto view = io::as_tensor(*file->tensor("f32"), *read);
    ASSERT_TRUE(ok(view));
    EXPECT_EQ(view->rows(), 4);
    EXPECT_EQ(view->bytes(), 64u);
    read = file->read(*file->tensor("scalar"));
    view = io::as_tensor(*file->tensor("scalar"), *read);
    ASSERT_TRUE(ok(view));
    EXPECT_EQ(view->width(), 1);
    read = file->read(*file->tensor("u8"));
    EXPECT_TRUE(fails_with(io::as_tensor(*file->tensor("u8"), *read), Code::unsupported, {"U8"}));
  }
  std::remove(path.c_str());
}

TEST(Safetensors, HeaderErrors) {
  const Code bad = Code::malformed;
  EXPECT_TRUE(ok(RawSafetensors("{}").open()));
  EXPECT_TRUE(fails_with(Safetensors::open(Source::memory({})), bad, {"empty"}));
  EXPECT_TRUE(
      fails_with(RawSafetensors("[]").open(), bad, {"raw.safetensors", "an object", "an array"}));
  EXPECT_TRUE(fails_with(RawSafetensors("{\"a\":").open(), bad, {"JSON", "byte"}));
  EXPECT_TRUE(fails_with(RawSafetensors("{} x").open(), bad, {"JSON", "byte"}));
  EXPECT_TRUE(fails_with(RawSafetensors("").open(), bad, {"JSON"}));
  EXPECT_TRUE(fails_with(RawSafetensors("{\"a\":1e999}").open(), bad, {"JSON"}));
  EXPECT_TRUE(fails_with(RawSafetensors("{\"a\xFF\":1}").open(), bad, {"JSON"}));
  EXPECT_TRUE(fails_with(RawSafetensors(std::string(100000, '[')).open(), bad, {"depth", "4"}));
  EXPECT_TRUE(
      fails_with(RawSafetensors("{\"a\":3}").open(), bad, {"'a'", "an object", "an integer"}));
  EXPECT_TRUE(
      fails_with(RawSafetensors(R"({"__metadata__":{"k":1}})").open(), bad, {"'k'", "a string"}));
  const std::string w = entry("w", "U8", "[4]", "[0,4]");
  EXPECT_TRUE(
      fails_with(RawSafetensors(joined({"{", w, ",", w, "}"}), 4).open(), bad, {"'w'", "twice"}));
  RawSafetensors long_header("{}");
  long_header.bytes[7] = 0x10;
  EXPECT_TRUE(fails_with(long_header.open(), bad, {"header", "at most 2 bytes of text"}));
}

TEST(Safetensors, TensorErrors) {
  const Code bad = Code::malformed;
  EXPECT_TRUE(ok(one("F32", "[2,2]", "[0,16]", 16)));
  EXPECT_TRUE(
      fails_with(one("F33", "[2]", "[0,8]", 8), Code::unsupported, {"'w'", "F32", "'F33'"}));
  EXPECT_TRUE(
      fails_with(one("F32", "[2,-2]", "[0,16]", 16), bad, {"'w': shape", "0 or more", "-2"}));
  EXPECT_TRUE(fails_with(one("F32", "[2.5]", "[0,10]", 10), bad, {"'w': shape", "real"}));
  EXPECT_TRUE(fails_with(one("F32", "\"2\"", "[0,8]", 8), bad, {"'w': shape", "a string"}));
  EXPECT_TRUE(
      fails_with(one("F32", "[9223372036854775807]", "[0,8]", 8), bad, {"'w': shape", "2^63"}));
  EXPECT_TRUE(fails_with(one("F32", "[18446744073709551615]", "[0,8]", 8), bad, {"'w': shape"}));
  EXPECT_TRUE(fails_with(one("F32", "[99999999999999999999]", "[0,8]", 8), bad, {"real"}));
  EXPECT_TRUE(
      fails_with(one("F32", "[2]", "[0,7]", 8), bad, {"'w'", "expected 8 bytes", "0 to 7"}));
  EXPECT_TRUE(fails_with(one("F32", "[2]", "[8,0]", 8), bad, {"'w'", "8 to 0"}));
  EXPECT_TRUE(fails_with(one("F32", "[2]", "[0]", 8), bad, {"'w'", "two integers"}));
  EXPECT_TRUE(fails_with(one("F32", "[2]", "[0,8]", 7), bad, {"'w'", "8 bytes", "found 7"}));
  EXPECT_TRUE(fails_with(one("F32", "[2]", "[0,8]", 9), bad, {"8", "found 9"}));
  EXPECT_TRUE(fails_with(one("F32", "[2]", "[4,12]", 12), bad, {"'w'", "start at 0", "found 4"}));
  const std::string overlap =
      joined({"{", entry("a", "U8", "[4]", "[0,4]"), ",", entry("b", "U8", "[4]", "[2,6]"), "}"});
  EXPECT_TRUE(fails_with(RawSafetensors(overlap, 6).open(), bad, {"'b'", "start at 4", "found 2"}));
  EXPECT_TRUE(fails_with(RawSafetensors(R"({"w":{"dtype":"U8","shape":[1]}})", 1).open(), bad,
                         {"'w': data_offsets", "not in"}));
}

TEST(SafetensorsWriter, RefusesWhatTheFormatCannotHold) {
  SafetensorsWriter writer;
  const std::byte data[8] = {};
  const std::int64_t two[] = {2}, negative[] = {-2};
  const Code invalid = Code::invalid_argument;
  EXPECT_TRUE(
      fails_with(writer.add_tensor("w", SafeType::f32, two, {data, 7}), invalid, {"w", "8", "7"}));
  EXPECT_TRUE(
      fails_with(writer.add_tensor("w", SafeType::f32, negative, {data, 8}), invalid, {"w"}));
  EXPECT_TRUE(fails_with(writer.add_tensor("__metadata__", SafeType::f32, two, {data, 8}), invalid,
                         {"reserved"}));
  EXPECT_TRUE(fails_with(writer.add_tensor("w", tensor(data, Element::q8_0, 32)), Code::unsupported,
                         {"q8_0"}));
  EXPECT_TRUE(ok(writer.add_tensor("w", SafeType::f32, two, {data, 8})));
  EXPECT_TRUE(
      fails_with(writer.add_tensor("w", SafeType::f32, two, {data, 8}), invalid, {"already"}));
  // Stray, cut short, overlong, surrogate, too high.
  for (const char* text : {"a\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80"}) {
    SafetensorsWriter bad;
    ASSERT_TRUE(ok(bad.add_metadata("k", text)));
    Bytes out;
    EXPECT_TRUE(fails_with(bad.write(out), invalid, {"UTF-8"})) << text;
    EXPECT_TRUE(out.empty());
  }
}

}  // namespace
