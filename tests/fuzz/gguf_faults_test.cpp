// Truncated, corrupted and lying GGUF and safetensors files: always an error or a file whose every
// tensor can be read, never a crash, and never an allocation that the bytes present do not justify.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "fuzz/counted_new.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/io/safetensors.hpp"
#include "unit/io_support.hpp"

namespace {

using namespace kedge;
using namespace kedge_test;
using io::Gguf;
using io::Safetensors;
using io::Source;

constexpr std::size_t cuts = 200, flips = 500;
constexpr std::size_t little = std::size_t{256}
                               << 10;  // no test file justifies one request above it
constexpr unsigned seed = 20240611;

Bytes sample_safetensors() {
  io::SafetensorsWriter writer;
  static const std::byte data[256] = {};
  EXPECT_TRUE(ok(writer.add_metadata("note", "some text")));
  const std::int64_t shape[] = {3, 2}, none[] = {0};
  for (const auto type :
       {io::SafeType::f32, io::SafeType::f16, io::SafeType::bf16, io::SafeType::i32,
        io::SafeType::i64, io::SafeType::i8, io::SafeType::u8, io::SafeType::boolean})
    EXPECT_TRUE(ok(writer.add_tensor(std::string("tensor.") + io::to_string(type), type, shape,
                                     {data, 6 * io::bytes_per_value(type)})));
  EXPECT_TRUE(ok(writer.add_tensor("none", io::SafeType::f32, none, {})));
  Bytes bytes;
  EXPECT_TRUE(ok(writer.write(bytes)));
  return bytes;
}

// Bytes in a heap block of exactly their size, so that AddressSanitizer sees one byte too far.
struct Exact {
  std::unique_ptr<std::byte[]> data;
  std::size_t size;
  explicit Exact(std::span<const std::byte> bytes)
      : data(new std::byte[bytes.size()]), size(bytes.size()) {
    if (size != 0) std::memcpy(data.get(), bytes.data(), size);
  }
  std::span<const std::byte> span() const { return {data.get(), size}; }
};

// Touches every byte of every tensor whose size is known; the number of tensors read.
template <class File>
int read_all(const File& file) {
  int count = 0;
  for (const auto& t : file.tensors()) {
    EXPECT_LE(t.offset, file.source().size());
    EXPECT_LE(t.bytes, file.source().size() - t.offset);
    auto bytes = file.read(t);
    if (!bytes) {
      EXPECT_EQ(bytes.error().code, Code::unsupported) << text(bytes.error());
      continue;
    }
    ++count;
    unsigned sum = 0;
    for (std::size_t i = 0; i < bytes->size; ++i) sum += static_cast<unsigned>(bytes->data[i]);
    volatile unsigned sink = sum;
    (void)sink;
    if (auto view = io::as_tensor(t, *bytes)) {
      EXPECT_EQ(view->bytes(), bytes->size);
    }
  }
  return count;
}

// Opens the bytes from memory and through a callback: both must come to the same verdict.
template <class File>
bool opens(const Bytes& bytes) {
  const Exact exact(bytes);
  CallbackFile callback{bytes};
  const auto open = [](Source source) {
    const Meter meter(little);
    return File::open(std::move(source));
  };
  auto memory = open(Source::memory(exact.span(), "file"));
  EXPECT_FALSE(Meter::refused()) << Meter::largest() << " bytes requested at once";
  auto called = open(callback.source("file"));
  EXPECT_FALSE(Meter::refused()) << Meter::largest() << " bytes requested at once";
  EXPECT_EQ(memory.has_value(), called.has_value());
  if (!memory && !called) {
    EXPECT_EQ(text(memory.error()), text(called.error()));
    EXPECT_NE(memory.error().place[0], '\0');
    EXPECT_NE(memory.error().reason[0], '\0');
    EXPECT_NE(memory.error().code, Code::out_of_memory) << text(memory.error());
  }
  if (memory && called) {
    EXPECT_EQ(read_all(*memory), read_all(*called));
  }
  return memory.has_value();
}

template <class File>
void truncate(const Bytes& bytes) {
  ASSERT_TRUE(opens<File>(bytes));
  for (std::size_t i = 0; i < cuts; ++i) {
    const std::size_t size = bytes.size() * i / cuts;
    EXPECT_FALSE(opens<File>(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(size))))
        << "cut to " << size << " of " << bytes.size() << " bytes";
  }
  // And every one of the last bytes, where only data is missing.
  for (std::size_t left = 1; left < 64; ++left)
    EXPECT_FALSE(opens<File>(Bytes(bytes.begin(), bytes.end() - static_cast<long>(left))))
        << left << " bytes cut off";
}

// Flips within [0, range): the whole file, or its directory alone.
template <class File>
void flip(const Bytes& bytes, std::size_t range) {
  std::mt19937 random(seed);
  std::size_t valid = 0;
  for (std::size_t i = 0; i < flips; ++i) {
    const std::size_t at = random() % range;
    const auto mask = static_cast<std::byte>(1 + random() % 255);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", flip " << i << ": byte " << at << " ^ "
                                    << static_cast<int>(mask));
    Bytes changed = bytes;
    changed[at] ^= mask;
    valid += opens<File>(changed);
  }
  // Some flips hit values that may be anything, others what must be right.
  EXPECT_GT(valid, 0u) << "seed " << seed;
  EXPECT_LT(valid, flips) << "seed " << seed;
  std::printf("seed %u: %zu of %zu flipped files are still valid\n", seed, valid, flips);
}

// Every allocation in turn fails: each time out_of_memory, no leak (AddressSanitizer looks), no
// crash.
template <class File>
void starve(const Bytes& bytes) {
  std::size_t failed = 0;
  for (std::size_t n = 1;; ++n) {
    CallbackFile callback{bytes};
    auto result = [&] {
      const Meter meter(little, n);
      return File::open(callback.source());
    }();
    if (!Meter::refused()) {
      EXPECT_TRUE(ok(result));
      break;
    }
    ++failed;
    EXPECT_TRUE(fails_with(result, Code::out_of_memory, {})) << "allocation " << n;
  }
  EXPECT_GT(failed, 20u);
}

std::size_t directory_size(const Bytes& bytes) {
  auto file = Gguf::open(Source::memory(bytes));
  EXPECT_TRUE(ok(file));
  return file ? static_cast<std::size_t>(file->tensors()[0].offset) : 0;
}

TEST(GgufFaults, Truncated) { truncate<Gguf>(sample_gguf()); }
TEST(GgufFaults, Flipped) {
  const Bytes bytes = sample_gguf();
  flip<Gguf>(bytes, bytes.size());
}
TEST(GgufFaults, FlippedInTheDirectory) {
  const Bytes bytes = sample_gguf();
  flip<Gguf>(bytes, directory_size(bytes));
}
TEST(GgufFaults, Starved) { starve<Gguf>(sample_gguf()); }

TEST(SafetensorsFaults, Truncated) { truncate<Safetensors>(sample_safetensors()); }
TEST(SafetensorsFaults, Flipped) {
  const Bytes bytes = sample_safetensors();
  flip<Safetensors>(bytes, bytes.size());
}
TEST(SafetensorsFaults, Starved) { starve<Safetensors>(sample_safetensors()); }

// A GGUF written field by field.
struct Raw {
  std::string bytes;
  template <class T>
  Raw& put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Raw& name(std::string_view value) {
    put<std::uint64_t>(value.size());
    bytes.append(value);
    return *this;
  }
  Raw& header(std::uint64_t tensors, std::uint64_t keys) {
    return put<std::uint32_t>(0x46554747).put<std::uint32_t>(3).put(tensors).put(keys);
  }
  // Key "k" of an array of `count` elements of this type number.
  Raw& array(std::uint32_t type, std::uint64_t count) {
    return name("k").put<std::uint32_t>(9).put(type).put(count);
  }
  Raw& tail(std::size_t size) {
    bytes.append(size, '\0');
    return *this;
  }
};

// Opens the lie from memory and through a callback that also lies about its size: an error with
// these words, and no large request for memory.
void expect_lie(const Raw& raw, std::initializer_list<const char*> words) {
  const auto bytes = std::as_bytes(std::span(raw.bytes));
  const Exact exact(bytes);
  auto memory = [&] {
    const Meter meter(little);
    return Gguf::open(Source::memory(exact.span(), "lie.gguf"));
  }();
  EXPECT_FALSE(Meter::refused()) << Meter::largest() << " bytes requested at once";
  EXPECT_TRUE(fails_with(memory, Code::malformed, words));

  CallbackFile callback{Bytes(bytes.begin(), bytes.end())};
  callback.claimed = std::uint64_t{1} << 62;
  auto called = [&] {
    const Meter meter(little);
    return Gguf::open(callback.source("lie.gguf"));
  }();
  EXPECT_FALSE(Meter::refused()) << Meter::largest() << " bytes requested at once";
  EXPECT_FALSE(called);
}

TEST(GgufLies, Counts) {
  constexpr std::uint64_t huge = std::uint64_t{1} << 60, all = ~std::uint64_t{0};
  for (const std::uint64_t count : {huge, all, all / 2 + 1, all / 33 + 1, std::uint64_t{100}}) {
    const std::string found = std::to_string(count);
    expect_lie(Raw{}.header(count, 0).tail(64), {"tensors", found.c_str()});
    expect_lie(Raw{}.header(0, count).tail(64), {"keys", found.c_str()});
    for (std::uint32_t type = 0; type <= 12; ++type)
      expect_lie(Raw{}.header(0, 1).array(type, count).tail(64),
                 {"key 'k'", "array elements", found.c_str()});
  }
  // Each count fits the file alone, both together do not.
  expect_lie(Raw{}.header(3, 8).tail(112), {"3 tensors and 8 keys"});
}

TEST(GgufLies, StringLengths) {
  for (const std::uint64_t length :
       {std::uint64_t{1} << 60, ~std::uint64_t{0}, std::uint64_t{66}}) {
    const std::string found = std::to_string(length);
    expect_lie(Raw{}.header(0, 1).put(length).tail(65), {"name of key 0", found.c_str()});
    expect_lie(Raw{}.header(0, 1).name("k").put<std::uint32_t>(8).put(length).tail(65),
               {"key 'k'", found.c_str()});
    expect_lie(Raw{}.header(0, 1).array(8, 1).put(length).tail(65), {"key 'k'", found.c_str()});
    expect_lie(Raw{}.header(1, 0).put(length).tail(65), {"name of tensor 0", found.c_str()});
  }
  expect_lie(Raw{}.header(0, 1).name(std::string(65536, 'k')).tail(64), {"65535", "65536"});
}

TEST(GgufLies, ArraysNestedAThousandDeep) {
  Raw raw;
  raw.header(0, 1).array(9, 1);
  for (int i = 0; i < 1000; ++i) raw.put<std::uint32_t>(9).put<std::uint64_t>(1);
  expect_lie(raw.put<std::uint32_t>(0).put<std::uint64_t>(0), {"key 'k'", "nested at most 8"});
}

TEST(GgufLies, NestedArraysAsDeepAsAllowed) {
  Raw raw;
  raw.header(0, 1).array(9, 1);
  for (int i = 2; i < 8; ++i) raw.put<std::uint32_t>(9).put<std::uint64_t>(1);
  raw.put<std::uint32_t>(0).put<std::uint64_t>(1).put<std::uint8_t>(42);
  auto file = Gguf::open(Source::memory(std::as_bytes(std::span(raw.bytes))));
  ASSERT_TRUE(ok(file));
  const io::GgufArray* array = value_of(file->array("k"));
  for (int i = 1; i < 8; ++i) array = &array->arrays.at(0);
  EXPECT_EQ(array->integers, std::vector<std::int64_t>{42});
}

TEST(GgufLies, TensorOffsetsAndExtents) {
  const auto tensor = [](std::initializer_list<std::uint64_t> extents, std::uint64_t offset) {
    Raw raw;
    raw.header(1, 0).name("w").put(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) raw.put(extent);
    return raw.put<std::uint32_t>(0).put(offset).tail(96);
  };
  expect_lie(tensor({8}, ~std::uint64_t{31}), {"tensor 'w'", "at offset 18446744073709551584"});
  expect_lie(tensor({8}, std::uint64_t{1} << 63), {"tensor 'w'", "at offset"});
  expect_lie(tensor({std::uint64_t{1} << 61}, 32), {"tensor 'w'", "9223372036854775808 bytes"});
  expect_lie(tensor({std::uint64_t{1} << 62}, 0), {"tensor 'w'", "2^64"});
  expect_lie(tensor({1 << 30, 1 << 30, 1 << 30, 1 << 30}, 0), {"tensor 'w'", "2^63"});
  expect_lie(tensor({~std::uint64_t{0}, 2}, 0), {"tensor 'w'", "2^63"});
}

}  // namespace
