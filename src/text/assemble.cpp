// A definition becomes a tokenizer.
#include <algorithm>
#include <cmath>

#include "byte_level.hpp"
#include "definition.hpp"

namespace kedge::inline KEDGE_ABI::text {
namespace {

constexpr std::string_view end_texts[] = {"<|im_end|>",      "<|endoftext|>", "<|eot_id|>",
                                          "<|end_of_text|>", "<|eom_id|>",    "<|end|>"};

// The byte of "<0x41>"; -1 for any other text.
int byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int byte = 0;
  for (const char c : text.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return -1;
    byte = byte * 16 + (digit ? c - '0' : c - 'A' + 10);
  }
  return byte;
}

// A space is written as U+2581.
void add_plain(std::string_view text, std::string& bytes) {
  constexpr std::string_view space = "\xE2\x96\x81";
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with(space)) {
      bytes += ' ';
      i += space.size();
    } else {
      bytes += text[i++];
    }
  }
}

}  // namespace

void add_known_ends(const std::vector<std::string>& texts, const std::vector<TokenType>& types,
                    std::vector<std::int32_t>& ends) {
  for (std::size_t i = 0; i < std::min(texts.size(), types.size()); ++i) {
    if (types[i] == TokenType::control &&
        std::find(std::begin(end_texts), std::end(end_texts), texts[i]) != std::end(end_texts)) {
      ends.push_back(static_cast<std::int32_t>(i));
    }
  }
}

Status Tokenizer::Impl::set_tokens(Definition& definition) {
  vocabulary.byte_level = definition.byte_level;
  vocabulary.byte_ids.fill(-1);
  vocabulary.unknown = definition.unknown_symbol;
  vocabulary.fuse_unknown = definition.fuse_unknown;
  // Words by their text serve whole words, characters and SentencePiece's joining.
  const bool by_word = !definition.byte_level || definition.whole_words;
  const std::size_t count = definition.texts.size();
  offsets.reserve(count + 1);
  offsets.push_back(0);
  double least = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& text = definition.texts[i];
    const auto id = static_cast<std::int32_t>(i);
    const TokenType type = definition.types[i];
    const bool normal = type == TokenType::normal || type == TokenType::unused;
    const std::size_t before = bytes.size();
    bool usable = normal && !text.empty();
    if (type == TokenType::byte) {
      const int byte = byte_of(text);
      if (byte < 0) {
        return fail(Code::malformed, definition.file,
                    "token %zu \"%.*s\" is a byte; expected <0xNN>", i, shown(text), text.c_str());
      }
      bytes += static_cast<char>(byte);
      vocabulary.byte_ids[static_cast<std::size_t>(byte)] = id;
    } else if (!normal) {
      bytes += text;
    } else if (!definition.byte_level) {
      if (definition.marks_space) add_plain(text, bytes);
      else bytes += text;
    } else if (!byte_level_decode(text, bytes)) {
      // A text with a character outside the alphabet stands for itself; no merge can reach it.
      bytes += text;
      usable = false;
    }
    offsets.push_back(bytes.size());
    longest = std::max(longest, bytes.size() - before);
    if (definition.byte_level && usable && bytes.size() - before == 1)
      vocabulary.byte_ids[static_cast<unsigned char>(bytes.back())] = id;
    if (!definition.scores.empty())
      least = i == 0 ? definition.scores[i] : std::min(least, definition.scores[i]);
    if (!usable || !by_word) continue;
    const std::string_view key =
        definition.byte_level ? std::string_view(bytes).substr(before) : std::string_view(text);
    vocabulary.words.emplace(key, id);
    vocabulary.longest_word = std::max(vocabulary.longest_word, key.size());
    if (model == ModelKind::unigram) unigram.add(key, id, definition.scores[i]);
  }
  if (model == ModelKind::unigram) unigram.finish(least);
  types = std::move(definition.types);
  scores = std::move(definition.scores);
  return {};
}

Status Tokenizer::Impl::set_added(const Definition& definition) {
  for (std::size_t i = 0; i < types.size(); ++i)
    if (special(types[i]) || types[i] == TokenType::user_defined)
      added_ids.emplace(definition.texts[i], static_cast<std::int32_t>(i));
  for (const AddedToken& token : definition.added) {
    AddedToken one = token;
    if (one.normalized) KEDGE_CHECK(normalizer.apply(one.content));
    if (one.content.empty())
      return fail(Code::malformed, definition.file, "added token %d has no text", one.id);
    AddedTokens& set = one.normalized ? added_normalized : added;
    if (!set.add(one)) {
      return fail(Code::malformed, definition.file, "added token \"%.*s\" is there twice",
                  shown(one.content), one.content.c_str());
    }
  }
  KEDGE_CHECK(added.finish());
  return added_normalized.finish();
}

Result<Tokenizer> assemble(Definition definition) {
  auto impl = std::make_shared<Tokenizer::Impl>();
  impl->name = std::move(definition.name);
  impl->normalizer = std::move(definition.normalizer);
  impl->pre = std::move(definition.pre);
  impl->model = definition.model;
  impl->whole_words = definition.whole_words;
  impl->strip_space = definition.strip_space;
  for (const double score : definition.scores)
    if (!std::isfinite(score))
      return fail(Code::malformed, definition.file, "a score is not finite");
  KEDGE_CHECK(impl->set_tokens(definition));
  KEDGE_CHECK(impl->set_added(definition));
  impl->merges.reserve(definition.merges.size());
  for (std::size_t i = 0; i < definition.merges.size(); ++i) {
    const Definition::Merge& merge = definition.merges[i];
    if (!impl->merges.add(merge.left, merge.right, merge.joined)) {
      const std::string& left = definition.texts[static_cast<std::size_t>(merge.left)];
      const std::string& right = definition.texts[static_cast<std::size_t>(merge.right)];
      return fail(Code::malformed, definition.file, "merge %zu \"%.*s %.*s\" is there twice", i,
                  shown(left), left.c_str(), shown(right), right.c_str());
    }
  }
  impl->bos = definition.bos;
  impl->eos = definition.eos;
  impl->unknown = definition.unknown;
  impl->padding = definition.padding;
  impl->prefix = std::move(definition.prefix);
  impl->ends = std::move(definition.ends);
  if (impl->eos) impl->ends.push_back(*impl->eos);
  std::sort(impl->ends.begin(), impl->ends.end());
  impl->ends.erase(std::unique(impl->ends.begin(), impl->ends.end()), impl->ends.end());
  return Tokenizer(std::move(impl));
}

}  // namespace kedge::inline KEDGE_ABI::text
