// What the tests of files share: a source behind a callback, error matching, a sample file.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "kedge/io/gguf_writer.hpp"

namespace kedge_test {

using Bytes = std::vector<std::byte>;

// Bytes behind a read callback, with a count of its calls. Reads outside the bytes are refused.
struct CallbackFile {
  Bytes bytes;
  int calls = 0;
  bool refuse = false;
  std::uint64_t claimed = 0;  // a size that is not true; 0 for the true one

  kedge::io::Source source(const char* name = "callback") {
    const auto read = [](void* context, std::uint64_t offset,
                         std::span<std::byte> out) noexcept -> bool {
      auto& file = *static_cast<CallbackFile*>(context);
      ++file.calls;
      if (file.refuse || offset > file.bytes.size() || out.size() > file.bytes.size() - offset)
        return false;
      std::memcpy(out.data(), file.bytes.data() + offset, out.size());
      return true;
    };
    return kedge::io::Source::callback(read, this, claimed != 0 ? claimed : bytes.size(), name);
  }
};

inline std::string text(const kedge::Error& error) {
  return std::string(kedge::to_string(error.code)) + ": " + error.place + ": " + error.reason;
}

// The result has an error with this code whose text holds every one of the words.
template <class T>
testing::AssertionResult fails_with(const kedge::Result<T>& result, kedge::Code code,
                                    std::initializer_list<const char*> words) {
  if (result) return testing::AssertionFailure() << "it succeeded";
  const std::string found = text(result.error());
  if (result.error().code != code)
    return testing::AssertionFailure()
           << "expected code " << kedge::to_string(code) << ", " << found;
  for (const char* word : words)
    if (found.find(word) == std::string::npos)
      return testing::AssertionFailure() << "'" << word << "' is not in: " << found;
  return testing::AssertionSuccess() << found;
}
template <class T>
testing::AssertionResult ok(const kedge::Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << text(result.error());
}

// The value; without one the test fails and goes on with a default.
template <class T>
T value_of(kedge::Result<T> result) {
  if (result) return *std::move(result);
  ADD_FAILURE() << text(result.error());
  return T{};
}

// A path of this process alone.
inline std::string temporary(const char* name) {
  return testing::TempDir() + "kedge_" + std::to_string(::getpid()) + "_" + name;
}

using Type = kedge::io::GgufValue::Type;

inline kedge::io::GgufArray integers(Type type, std::vector<std::int64_t> values) {
  kedge::io::GgufArray array;
  array.type = type;
  array.integers = std::move(values);
  return array;
}

// A file with a key of every type, arrays of every type, and tensors of several formats. The last
// tensor fills its alignment, so that the file ends with a byte that means something.
inline Bytes sample_gguf() {
  using namespace kedge;
  io::GgufWriter writer;
  const auto must = [](const Status& status) { ASSERT_TRUE(ok(status)); };
  must(writer.add_string("general.architecture", "sample"));
  must(writer.add_unsigned("general.alignment", 64));
  must(writer.add_unsigned("u8", 200, Type::u8));
  must(writer.add_signed("i8", -100, Type::i8));
  must(writer.add_unsigned("u16", 60000, Type::u16));
  must(writer.add_signed("i16", -30000, Type::i16));
  must(writer.add_unsigned("u32", 4000000000u));
  must(writer.add_signed("i32", -2000000000));
  must(writer.add_unsigned("u64", 18000000000000000000u, Type::u64));
  must(writer.add_signed("i64", -9000000000000000000, Type::i64));
  must(writer.add_float("f32", 0.5));
  must(writer.add_float("f64", 0.1, Type::f64));
  must(writer.add_boolean("yes", true));
  must(writer.add_boolean("no", false));
  must(writer.add_string("empty", ""));
  for (const Type type : {Type::u8, Type::u16, Type::u32, Type::u64})
    must(
        writer.add_array(std::string("array.") + io::to_string(type), integers(type, {0, 1, 127})));
  for (const Type type : {Type::i8, Type::i16, Type::i32, Type::i64})
    must(
        writer.add_array(std::string("array.") + io::to_string(type), integers(type, {-128, 127})));
  must(writer.add_array("array.u64.high", integers(Type::u64, {-1})));  // 2^64-1 by its bits
  must(writer.add_array("array.boolean", integers(Type::boolean, {1, 0, 1})));
  io::GgufArray floats;
  floats.type = Type::f32;
  floats.floats = {0.5, -2.5};
  must(writer.add_array("array.f32", floats));
  floats.type = Type::f64;
  floats.floats = {0.1, -1e300};
  must(writer.add_array("array.f64", floats));
  io::GgufArray strings;
  strings.type = Type::string;
  strings.strings = {"a", "", "some longer text that is not stored in place"};
  must(writer.add_array("array.string", strings));
  io::GgufArray nested;
  nested.type = Type::array;
  nested.arrays = {integers(Type::i32, {1, 2}), strings, io::GgufArray{}};
  must(writer.add_array("array.array", nested));
  must(writer.add_array("array.none", io::GgufArray{}));

  static const std::vector<std::uint8_t> data = [] {
    std::vector<std::uint8_t> bytes(4096);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(i * 37 + 11);
    return bytes;
  }();
  must(writer.add_tensor("f32", tensor(data.data(), Element::f32, 2, 3, 5)));
  must(writer.add_tensor("f16", tensor(data.data() + 1, Element::f16, 7)));
  must(writer.add_tensor("bf16", tensor(data.data() + 2, Element::bf16, 1, 2, 3, 4)));
  must(writer.add_tensor("q8_0", tensor(data.data() + 3, Element::q8_0, 3, 64)));
  must(writer.add_tensor("q4_0", tensor(data.data() + 4, Element::q4_0, 2, 32)));
  must(writer.add_tensor("q4_1", tensor(data.data() + 5, Element::q4_1, 2, 32)));
  must(writer.add_tensor("q6_k", tensor(data.data() + 6, Element::q6_k, 2, 256)));
  must(writer.add_tensor("last", tensor(data.data() + 7, Element::f32, 16)));
  Bytes bytes;
  must(writer.write(bytes));
  return bytes;
}

}  // namespace kedge_test
