// Packer: moves weights from files into a model's memory, a slice of a tensor at a time, so that
// the buffers stay small and progress and cancellation are seen within a tensor. Private to the
// compiled library.
#pragma once

#include <span>

#include "kedge/core/hash.hpp"
#include "model/loader.hpp"

namespace kedge::inline KEDGE_ABI {

class Packer {
 public:
  struct Buffers {
    std::size_t slice = 0;    // a slice as it is stored
    std::size_t scratch = 0;  // of workers that quantize
    std::size_t made = 0;     // what a device is given and the files do not have as it is
  };
  static Buffers buffers(std::span<const LoadItem> items, const Model::Options& options) noexcept;

  Packer(const Model::Options& options, const char* place) noexcept
      : options_(options), place_(place) {}

  Status reserve(std::span<const LoadItem> items) noexcept;
  // Fills the item's target, which has its memory.
  Status pack(LoadItem& item) noexcept;
  Status read_vector(const FileTensor& source, const Tensor& target) noexcept;

 private:
  Status pack_slice(const LoadItem& item, const std::byte* rows, std::int64_t first,
                    std::int64_t panels) noexcept;
  Status pack_vector(LoadItem& item) noexcept;
  // To the device, and into the item's digest.
  Status send(const LoadItem& item, std::size_t offset, const std::byte* bytes, std::size_t size,
              Hash& digest) noexcept;
  // Bytes of a tensor: where they are in memory, or read into the buffer.
  Result<const std::byte*> read(const FileTensor& source, std::uint64_t first,
                                std::size_t size) noexcept;
  Result<const std::byte*> read_rows(const LoadItem& item, std::int64_t first,
                                     std::int64_t count) noexcept;
  Status read_into(const FileTensor& source, std::uint64_t first, std::span<std::byte> to) noexcept;
  Status read_taps(const FileTensor& source, const Tensor& target) noexcept;
  static void convert(Conversion conversion, const Tensor& vector) noexcept;
  Status advance(std::uint64_t bytes, const FileTensor& source) noexcept;
  Status stopped(const FileTensor& source) const noexcept;
  Unexpected stopped_at(const FileTensor& source) const noexcept;

  const Model::Options& options_;
  const char* place_;
  Buffer slice_, scratch_, made_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI
