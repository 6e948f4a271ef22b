#include "vocabulary.hpp"

#include "kedge/text/utf8.hpp"

namespace kedge::inline KEDGE_ABI::text {

std::size_t Vocabulary::split(std::string_view piece, bool drop_missing,
                              std::vector<Symbol>& symbols) const {
  const auto add = [&](std::int32_t id, std::size_t begin, std::size_t length) {
    const auto index = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(length),
                       index - 1, index + 1});
  };
  bool last_unknown = false;
  for (std::size_t i = 0; i < piece.size();) {
    std::size_t length = 1;
    if (!byte_level) {
      const Utf8Step step = utf8_step(piece.substr(i));
      if (step.kind == Utf8Step::Kind::character) {
        length = step.length;
        if (const std::int32_t id = word(piece.substr(i, length)); id >= 0) {
          add(id, i, length);
          i += length;
          last_unknown = false;
          continue;
        }
      }
    }
    bool bytes = true;
    for (std::size_t k = 0; k < length; ++k)
      bytes = bytes && byte_ids[static_cast<unsigned char>(piece[i + k])] >= 0;
    if (bytes) {
      for (std::size_t k = 0; k < length; ++k)
        add(byte_ids[static_cast<unsigned char>(piece[i + k])], i + k, 1);
      last_unknown = false;
    } else if (unknown >= 0) {
      if (fuse_unknown && last_unknown) symbols.back().length += static_cast<std::uint32_t>(length);
      else add(unknown, i, length);
      last_unknown = true;
    } else if (!drop_missing) {
      return i;
    }
    i += length;
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return done;
}

}  // namespace kedge::inline KEDGE_ABI::text
