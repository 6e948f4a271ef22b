// Entry points of the fuzzers: plain functions that take any bytes, touch everything that a reader
// makes of them, and return 0. A finding is a crash, a sanitizer's report, or an exception.
#pragma once

#include <cstddef>
#include <cstdint>

int fuzz_gguf(const std::uint8_t* data, std::size_t size);          // a GGUF file, up to its model
int fuzz_safetensors(const std::uint8_t* data, std::size_t size);   // a safetensors file
int fuzz_folder_index(const std::uint8_t* data, std::size_t size);  // model.safetensors.index.json
int fuzz_config(const std::uint8_t* data,
                std::size_t size);  // config.json of a folder, up to its model
int fuzz_draft(const std::uint8_t* data,
               std::size_t size);  // config.json of a DFlash or DSpark draft, up to its model
int fuzz_ngram_counts(const std::uint8_t* data, std::size_t size);  // a cache drafter's file
int fuzz_package(const std::uint8_t* data, std::size_t size);       // model-package.json
int fuzz_json(const std::uint8_t* data, std::size_t size);          // the JSON wrapper
