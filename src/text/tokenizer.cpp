#include "kedge/text/tokenizer.hpp"

#include <algorithm>
#include <limits>

#include "definition.hpp"
#include "guard.hpp"
#include "score_bpe.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

// One call's encoder of pieces, of the kind that the model is.
class PieceEncoder {
 public:
  PieceEncoder(const Tokenizer::Impl& impl, std::string_view text, bool drop_missing,
               std::vector<std::int32_t>& ids)
      : impl_(impl),
        text_(text),
        drop_missing_(drop_missing),
        ids_(ids),
        by_merges_(impl.merges, impl.vocabulary),
        by_scores_(impl.scores, impl.vocabulary) {}

  Status add(std::string_view piece) {
    if (impl_.whole_words) {
      if (const std::int32_t id = impl_.vocabulary.word(piece); id >= 0) {
        ids_.push_back(id);
        return {};
      }
    }
    const std::size_t missing = append(piece);
    if (missing == Vocabulary::done) return {};
    // A piece of the text itself, or one of what normalization made of it.
    const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(text_.data());
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(piece.data());
    const bool own = at >= begin && at < begin + text_.size();
    return fail(Code::invalid_argument, "encode",
                "the vocabulary has no token for byte 0x%02x at offset %zu%s",
                static_cast<unsigned>(static_cast<unsigned char>(piece[missing])),
                missing + (own ? at - begin : 0), own ? "" : " of a normalized piece");
  }

 private:
  std::size_t append(std::string_view piece) {
    switch (impl_.model) {
      case ModelKind::merges:
        return by_merges_.append(piece, drop_missing_, ids_);
      case ModelKind::scores:
        return by_scores_.append(piece, drop_missing_, ids_);
      case ModelKind::unigram:
        break;
    }
    return impl_.unigram.append(impl_.vocabulary, piece, drop_missing_, ids_);
  }

  const Tokenizer::Impl& impl_;
  std::string_view text_;
  bool drop_missing_;
  std::vector<std::int32_t>& ids_;
  BpeEncoder by_merges_;
  ScoreBpeEncoder by_scores_;
};

}  // namespace

Status Tokenizer::Impl::append(std::string_view text, EncodeOptions options,
                               std::vector<std::int32_t>& ids) const {
  constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
  if (text.size() > most) {
    return fail(Code::invalid_argument, "encode", "text has %zu bytes; at most 2^31 - 1",
                text.size());
  }
  KEDGE_TRY(Splitter splitter, Splitter::create(pre));
  PieceEncoder encoder(*this, text, options.drop_missing_bytes, ids);
  const auto token = [&](std::int32_t id) { ids.push_back(id); };
  const auto word = [&](std::string_view piece) { return encoder.add(piece); };
  std::string normalized;
  return added.split(
      text, options.parse_special, token, [&](std::size_t begin, std::size_t end) -> Status {
        std::string_view plain = text.substr(begin, end - begin);
        if (!normalizer.empty()) {
          normalized = plain;
          KEDGE_CHECK(normalizer.apply(normalized));
          plain = normalized;
          if (plain.size() > most) {
            return fail(Code::invalid_argument, "encode",
                        "the normalized text has %zu bytes; at most 2^31 - 1", plain.size());
          }
        }
        return added_normalized.split(
            plain, options.parse_special, token, [&](std::size_t from, std::size_t to) {
              const bool first = begin == 0 && from == 0 && !options.continues;
              return splitter.split(plain.substr(from, to - from), first, word);
            });
      });
}

Status Tokenizer::append(std::string_view text, EncodeOptions options,
                         std::vector<std::int32_t>& ids) const noexcept {
  const std::size_t before = ids.size();
  Status status = guarded("encode", [&] { return impl_->append(text, options, ids); });
  if (!status) ids.resize(before);
  return status;
}

Result<std::vector<std::int32_t>> Tokenizer::encode(std::string_view text,
                                                    EncodeOptions options) const noexcept {
  std::vector<std::int32_t> ids;
  KEDGE_CHECK(append(text, options, ids));
  return ids;
}

Result<std::string> Tokenizer::decode(std::span<const std::int32_t> ids) const noexcept {
  return guarded("decode", [&]() -> Result<std::string> {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || ids[i] >= size()) {
        return fail(Code::invalid_argument, "decode", "id %d at %zu; the vocabulary has %d tokens",
                    ids[i], i, size());
      }
      text += impl_->token(ids[i]);
    }
    if (impl_->strip_space && text.starts_with(' ')) text.erase(0, 1);
    return text;
  });
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const noexcept {
  return id >= 0 && id < size() ? impl_->token(id) : std::string_view();
}
bool Tokenizer::is_special(std::int32_t id) const noexcept {
  return id >= 0 && id < size() && special(impl_->types[static_cast<std::size_t>(id)]);
}
bool Tokenizer::is_unused(std::int32_t id) const noexcept {
  return id >= 0 && id < size() && impl_->types[static_cast<std::size_t>(id)] == TokenType::unused;
}
bool Tokenizer::is_end(std::int32_t id) const noexcept {
  return std::binary_search(impl_->ends.begin(), impl_->ends.end(), id);
}
std::optional<std::int32_t> Tokenizer::find_special(std::string_view text) const noexcept {
  const auto found = impl_->added_ids.find(text);
  if (found == impl_->added_ids.end()) return std::nullopt;
  return found->second;
}
std::int32_t Tokenizer::size() const noexcept {
  return static_cast<std::int32_t>(impl_->types.size());
}
std::size_t Tokenizer::longest_token() const noexcept { return impl_->longest; }
std::optional<std::int32_t> Tokenizer::bos() const noexcept { return impl_->bos; }
std::optional<std::int32_t> Tokenizer::eos() const noexcept { return impl_->eos; }
std::optional<std::int32_t> Tokenizer::unknown() const noexcept { return impl_->unknown; }
std::optional<std::int32_t> Tokenizer::padding() const noexcept { return impl_->padding; }
std::span<const std::int32_t> Tokenizer::ends() const noexcept { return impl_->ends; }
bool Tokenizer::add_bos() const noexcept {
  return impl_->bos && !impl_->prefix.empty() && impl_->prefix[0] == *impl_->bos;
}
std::span<const std::int32_t> Tokenizer::prefix() const noexcept { return impl_->prefix; }
bool Tokenizer::strips_space() const noexcept { return impl_->strip_space; }
std::string_view Tokenizer::pre() const noexcept { return impl_->name; }

}  // namespace kedge::inline KEDGE_ABI::text
