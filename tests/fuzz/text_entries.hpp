// Entry points of the text component's fuzzers: plain functions that take any bytes as a file, make
// a tokenizer of it, and send a text there and back. They return 0. A finding is a crash, a
// sanitizer's report, or an exception.
#pragma once

#include <cstddef>
#include <cstdint>

int fuzz_tokenizer(const std::uint8_t* data, std::size_t size);       // a tokenizer.json
int fuzz_tokenizer_gguf(const std::uint8_t* data, std::size_t size);  // a GGUF file
