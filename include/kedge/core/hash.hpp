// A 64-bit digest that tells files and models apart: XXH64 with seed 0 (Y. Collet, "xxHash fast
// digest algorithm", specification 0.1.1). Fast, equal on every machine, and no protection against
// someone who wants a collision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

class Hash {
 public:
  void add(std::span<const std::byte> bytes) noexcept {
    total_ += bytes.size();
    while (!bytes.empty()) {
      if (held_ == 0 && bytes.size() >= sizeof block_) {
        std::size_t done = 0;
        for (; done + sizeof block_ <= bytes.size(); done += sizeof block_)
          mix(bytes.data() + done);
        bytes = bytes.subspan(done);
        continue;
      }
      const std::size_t room = sizeof block_ - held_;
      const std::size_t part = bytes.size() < room ? bytes.size() : room;
      std::memcpy(block_ + held_, bytes.data(), part);
      held_ += part;
      bytes = bytes.subspan(part);
      if (held_ == sizeof block_) {
        mix(block_);
        held_ = 0;
      }
    }
  }
  template <class T>
  void add_value(const T& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_class_v<T>, "padding has no value");
    add(std::as_bytes(std::span(&value, 1)));
  }

  std::uint64_t value() const noexcept {
    std::uint64_t h = prime5;
    if (total_ >= sizeof block_) {
      h = rotate(lane_[0], 1) + rotate(lane_[1], 7) + rotate(lane_[2], 12) + rotate(lane_[3], 18);
      for (const std::uint64_t lane : lane_) h = (h ^ round(0, lane)) * prime1 + prime4;
    }
    h += total_;
    const std::byte* p = block_;
    std::size_t left = held_;
    for (; left >= 8; left -= 8, p += 8)
      h = rotate(h ^ round(0, read<std::uint64_t>(p)), 27) * prime1 + prime4;
    if (left >= 4) {
      h = rotate(h ^ (read<std::uint32_t>(p) * prime1), 23) * prime2 + prime3;
      left -= 4;
      p += 4;
    }
    for (; left > 0; --left, ++p)
      h = rotate(h ^ (static_cast<std::uint64_t>(*p) * prime5), 11) * prime1;
    h = (h ^ h >> 33) * prime2;
    h = (h ^ h >> 29) * prime3;
    return h ^ h >> 32;
  }

  static std::uint64_t of(std::span<const std::byte> bytes) noexcept {
    Hash hash;
    hash.add(bytes);
    return hash.value();
  }

 private:
  static constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu,
                                 prime3 = 0x165667B19E3779F9u, prime4 = 0x85EBCA77C2B2AE63u,
                                 prime5 = 0x27D4EB2F165667C5u;

  static std::uint64_t rotate(std::uint64_t x, int n) noexcept { return x << n | x >> (64 - n); }
  static std::uint64_t round(std::uint64_t lane, std::uint64_t word) noexcept {
    return rotate(lane + word * prime2, 31) * prime1;
  }
  template <class T>
  static std::uint64_t read(const std::byte* p) noexcept {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  void mix(const std::byte* block) noexcept {
    for (int i = 0; i < 4; ++i) lane_[i] = round(lane_[i], read<std::uint64_t>(block + 8 * i));
  }

  std::uint64_t lane_[4] = {prime1 + prime2, prime2, 0, std::uint64_t{0} - prime1};
  std::uint64_t total_ = 0;
  std::byte block_[32] = {};
  std::size_t held_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI
