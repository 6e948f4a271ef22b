#include "kedge/text/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <limits>
#include <unordered_map>

#include "bpe.hpp"
#include "byte_level.hpp"
#include "guard.hpp"
#include "pre_tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

using Ids = std::unordered_map<std::string_view, std::int32_t>;

constexpr std::size_t largest = std::numeric_limits<std::int32_t>::max();

// For "%.*s": as much of a text as an error has room for.
int shown(std::string_view text) {
  return static_cast<int>(std::min<std::size_t>(text.size(), 80));
}

bool special(TokenType type) { return type == TokenType::control || type == TokenType::unknown; }

std::int32_t id_of(const Ids& ids, std::string_view text) {
  const auto found = ids.find(text);
  return found == ids.end() ? -1 : found->second;
}

}  // namespace

struct Tokenizer::Impl {
  PreTokenizer pre;
  MergeTable merges;
  std::array<std::int32_t, 256> byte_ids{};
  std::string bytes;                 // of all tokens, one after the other
  std::vector<std::size_t> offsets;  // size() + 1
  std::vector<TokenType> types;
  std::size_t longest = 0;
  Ids added;                         // control, unknown and user-defined tokens by text
  std::vector<std::size_t> lengths;  // of their texts, longest first
  std::bitset<256> first;            // bytes that one of them starts with
  Ids words;                         // all other tokens by bytes, if the pre-tokenizer wants it
  std::optional<std::int32_t> bos, eos, unknown, padding;
  std::vector<std::int32_t> ends;
  bool add_bos = false;

  std::string_view token(std::int32_t id) const noexcept {
    const auto i = static_cast<std::size_t>(id);
    return std::string_view(bytes).substr(offsets[i], offsets[i + 1] - offsets[i]);
  }
  Status set_tokens(const TokenizerData& data, const Ids& ids);
  Status set_merges(const TokenizerData& data, const Ids& ids);
  Status set_ids(const TokenizerData& data);
  std::int32_t added_at(std::string_view text, bool parse_special) const;
  Status append(std::string_view text, EncodeOptions options, std::vector<std::int32_t>& ids) const;
};

Status Tokenizer::Impl::set_tokens(const TokenizerData& data, const Ids& ids) {
  types = data.types;
  offsets.reserve(data.tokens.size() + 1);
  offsets.push_back(0);
  std::vector<bool> byte_level(data.tokens.size());
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const bool verbatim = types[i] != TokenType::normal && types[i] != TokenType::unused;
    // A text with a character outside the alphabet stands for itself; no merge can reach it.
    byte_level[i] = !verbatim && byte_level_decode(data.tokens[i], bytes);
    if (!byte_level[i]) bytes += data.tokens[i];
    offsets.push_back(bytes.size());
    longest = std::max(longest, offsets[i + 1] - offsets[i]);
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::int32_t id = id_of(ids, byte_level_char(static_cast<std::uint8_t>(byte)));
    byte_ids[byte] = id >= 0 && byte_level[static_cast<std::size_t>(id)] ? id : -1;
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    if (special(types[i]) || types[i] == TokenType::user_defined) {
      added.emplace(token(id), id);
      lengths.push_back(token(id).size());
      first.set(static_cast<unsigned char>(token(id)[0]));
    } else if (pre.row().whole_words && byte_level[i]) {
      words.emplace(token(id), id);
    }
  }
  std::sort(lengths.begin(), lengths.end(), std::greater<>());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  return {};
}

Status Tokenizer::Impl::set_merges(const TokenizerData& data, const Ids& ids) {
  constexpr const char* place = "tokenizer.ggml.merges";
  merges.reserve(data.merges.size());
  std::string joined;
  for (std::size_t i = 0; i < data.merges.size(); ++i) {
    const std::string_view merge = data.merges[i];
    const std::size_t space = merge.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == merge.size() ||
        merge.find(' ', space + 1) != std::string_view::npos) {
      return fail(Code::malformed, place,
                  "merge %zu is \"%.*s\"; expected two tokens with one space between", i,
                  shown(merge), merge.data());
    }
    const std::string_view parts[] = {merge.substr(0, space), merge.substr(space + 1)};
    joined.assign(parts[0]).append(parts[1]);
    std::int32_t found[3];
    const std::string_view texts[] = {parts[0], parts[1], joined};
    for (int k = 0; k < 3; ++k) {
      found[k] = id_of(ids, texts[k]);
      if (found[k] < 0) {
        return fail(Code::malformed, place,
                    "merge %zu \"%.*s\" names \"%.*s\", which is not a token", i, shown(merge),
                    merge.data(), shown(texts[k]), texts[k].data());
      }
      if (special(types[static_cast<std::size_t>(found[k])])) {
        return fail(Code::malformed, place,
                    "merge %zu \"%.*s\" names the special token %d; text must not become one", i,
                    shown(merge), merge.data(), found[k]);
      }
    }
    if (!merges.add(found[0], found[1], found[2])) {
      return fail(Code::malformed, place, "merge %zu \"%.*s\" is there twice", i, shown(merge),
                  merge.data());
    }
  }
  return {};
}

Status Tokenizer::Impl::set_ids(const TokenizerData& data) {
  const auto check = [&](const char* key, std::int32_t id) -> Status {
    if (id >= 0 && static_cast<std::size_t>(id) < data.tokens.size()) return {};
    return fail(Code::malformed, key, "id %d is not in a vocabulary of %zu tokens", id,
                data.tokens.size());
  };
  if (data.bos) KEDGE_CHECK(check("tokenizer.ggml.bos_token_id", *data.bos));
  if (data.eos) KEDGE_CHECK(check("tokenizer.ggml.eos_token_id", *data.eos));
  if (data.unknown) KEDGE_CHECK(check("tokenizer.ggml.unknown_token_id", *data.unknown));
  if (data.padding) KEDGE_CHECK(check("tokenizer.ggml.padding_token_id", *data.padding));
  for (const std::int32_t end : data.ends) KEDGE_CHECK(check("tokenizer end of turn", end));
  bos = data.bos;
  eos = data.eos;
  unknown = data.unknown;
  padding = data.padding;
  ends = data.ends;
  if (eos) ends.push_back(*eos);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  // The family's habit needs a token to act on; what the file says outright must be possible.
  add_bos = data.add_bos.value_or(pre.row().add_bos && bos.has_value());
  if (add_bos && !bos) {
    return fail(Code::malformed, "tokenizer.ggml.add_bos_token",
                "is set, but tokenizer.ggml.bos_token_id is missing");
  }
  return {};
}

Result<Tokenizer> Tokenizer::create(TokenizerData data) noexcept {
  return guarded("tokenizer", [&]() -> Result<Tokenizer> {
    if (data.model != "gpt2") {
      return fail(Code::unsupported, "tokenizer.ggml.model",
                  "unknown tokenizer model \"%.*s\"; known: gpt2 (byte-level BPE)",
                  shown(data.model), data.model.c_str());
    }
    auto impl = std::make_shared<Impl>();
    {
      KEDGE_TRY(PreTokenizer pre, PreTokenizer::create(data.pre));
      impl->pre = std::move(pre);
    }
    if (data.tokens.empty() || data.tokens.size() > largest || data.merges.size() > largest) {
      return fail(Code::malformed, "tokenizer.ggml.tokens",
                  "%zu tokens and %zu merges; expected 1 to 2^31 - 1 tokens", data.tokens.size(),
                  data.merges.size());
    }
    if (data.types.size() != data.tokens.size()) {
      return fail(Code::malformed, "tokenizer.ggml.token_type", "%zu types for %zu tokens",
                  data.types.size(), data.tokens.size());
    }
    Ids ids;
    ids.reserve(data.tokens.size());
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
      const std::string& token = data.tokens[i];
      if (token.empty())
        return fail(Code::malformed, "tokenizer.ggml.tokens", "token %zu is empty", i);
      if (data.types[i] < TokenType::normal || data.types[i] > TokenType::unused) {
        return fail(Code::unsupported, "tokenizer.ggml.token_type",
                    "token %zu \"%.*s\" has type %d; expected 1 to 5", i, shown(token),
                    token.c_str(), static_cast<int>(data.types[i]));
      }
      const auto [other, fresh] = ids.emplace(token, static_cast<std::int32_t>(i));
      if (!fresh) {
        return fail(Code::malformed, "tokenizer.ggml.tokens", "tokens %d and %zu are both \"%.*s\"",
                    other->second, i, shown(token), token.c_str());
      }
    }
    KEDGE_CHECK(impl->set_tokens(data, ids));
    KEDGE_CHECK(impl->set_merges(data, ids));
    KEDGE_CHECK(impl->set_ids(data));
    return Tokenizer(std::move(impl));
  });
}

// The longest added token that `text` starts with, -1 if none.
std::int32_t Tokenizer::Impl::added_at(std::string_view text, bool parse_special) const {
  if (!first.test(static_cast<unsigned char>(text[0]))) return -1;
  for (const std::size_t length : lengths) {
    if (length > text.size()) continue;
    const std::int32_t id = id_of(added, text.substr(0, length));
    if (id < 0) continue;
    if (parse_special || !special(types[static_cast<std::size_t>(id)])) return id;
  }
  return -1;
}

Status Tokenizer::Impl::append(std::string_view text, EncodeOptions options,
                               std::vector<std::int32_t>& ids) const {
  if (text.size() > largest) {
    return fail(Code::invalid_argument, "encode", "text has %zu bytes; at most 2^31 - 1",
                text.size());
  }
  KEDGE_TRY(Splitter splitter, Splitter::create(pre));
  WordEncoder encoder(merges, byte_ids);
  const auto word = [&](std::string_view piece) -> Status {
    if (pre.row().whole_words) {
      if (const std::int32_t id = id_of(words, piece); id >= 0) {
        ids.push_back(id);
        return {};
      }
    }
    const std::size_t missing = encoder.append(piece, options.drop_missing_bytes, ids);
    if (missing == WordEncoder::done) return {};
    return fail(Code::invalid_argument, "encode",
                "the vocabulary has no token for byte 0x%02x at offset %zu",
                static_cast<unsigned>(static_cast<unsigned char>(piece[missing])),
                static_cast<std::size_t>(piece.data() - text.data()) + missing);
  };
  std::size_t plain = 0;  // where the text that is not encoded yet begins
  for (std::size_t i = 0; i < text.size();) {
    const std::int32_t id = added_at(text.substr(i), options.parse_special);
    if (id < 0) {
      ++i;
      continue;
    }
    KEDGE_CHECK(splitter.split(text.substr(plain, i - plain), word));
    ids.push_back(id);
    plain = i += token(id).size();
  }
  return splitter.split(text.substr(plain), word);
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
    return text;
  });
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const noexcept {
  return id >= 0 && id < size() ? impl_->token(id) : std::string_view();
}
bool Tokenizer::is_special(std::int32_t id) const noexcept {
  return id >= 0 && id < size() && special(impl_->types[static_cast<std::size_t>(id)]);
}
bool Tokenizer::is_end(std::int32_t id) const noexcept {
  return std::binary_search(impl_->ends.begin(), impl_->ends.end(), id);
}
std::optional<std::int32_t> Tokenizer::find_special(std::string_view text) const noexcept {
  const auto found = impl_->added.find(text);
  if (found == impl_->added.end()) return std::nullopt;
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
bool Tokenizer::add_bos() const noexcept { return impl_->add_bos; }
std::string_view Tokenizer::pre() const noexcept { return impl_->pre.row().name; }

}  // namespace kedge::inline KEDGE_ABI::text
