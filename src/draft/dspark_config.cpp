#include "kedge/draft/dspark_config.hpp"

#include "draft/dspark_reader.hpp"
#include "io/guarded.hpp"

namespace kedge::inline KEDGE_ABI::draft {

bool is_dspark(const ModelFiles& files) noexcept {
  const auto is = io::guarded(files.name(), [&]() -> Result<bool> {
    if (files.gguf() == nullptr) return is_dspark_folder(files);
    const auto name = files.gguf()->string("general.architecture");
    return name && *name == "dflash";
  });
  return is && *is;
}

Result<DsparkConfig> read_dspark_config(const ModelFiles& files) noexcept {
  return io::guarded(files.name(), [&]() -> Result<DsparkConfig> {
    DsparkConfig c;
    if (files.gguf() != nullptr) {
      KEDGE_TRY(c, read_dspark_gguf(*files.gguf(), files.tensors()));
    } else {
      KEDGE_TRY(c, read_dspark_folder(files));
    }
    if (c.drafts() < 1)
      return fail(Code::malformed, files.name(),
                  "block_size: expected at least 2 where slot 0 guesses nothing, found %lld",
                  static_cast<long long>(c.block));
    return c;
  });
}

namespace {

std::string list(const std::vector<std::int32_t>& numbers) {
  std::string text;
  for (const std::int32_t n : numbers) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return text;
}

std::string reach(const DsparkConfig::Layer& l) {
  std::string text = l.window == 0 ? "all of the context"
                                   : "the last " + std::to_string(l.window) + " before the block";
  return text + (l.causal ? ", slots up to themselves" : ", the whole block");
}

}  // namespace

Result<std::string> describe(const DsparkConfig& c) noexcept {
  return io::guarded("describe", [&]() -> Result<std::string> {
    const auto number = [](std::int64_t n) { return std::to_string(n); };
    const ModelConfig& b = c.backbone;
    std::string text = std::string("kind: ") + c.kind() + ", format " + c.format + '\n';
    text += "layout: ";
    text += c.sample_from_anchor ? "anchor-first, slot k guesses position a + k + 1, "
                                 : "1+N, slot k guesses position a + k, ";
    text += number(c.block) + " slots, " + number(c.drafts()) + " drafts (" + c.layout + ")\n";
    text += "taps: " + (c.taps.empty() ? "2, L / 2, L - 3" : list(c.taps)) +
            " (k: what enters layer k of the target), width " + number(c.target_width) + '\n';
    text += "layers: " + number(b.layers) + ", width " + number(b.width) + ", " + number(b.heads) +
            '/' + number(b.kv_heads) + " heads of " + number(b.head_dim) + '\n';
    for (std::size_t i = 0; i < c.layers.size(); ++i)
      text += "layer " + std::to_string(i) + " sees: " + reach(c.layers[i]) + '\n';
    text += std::string("rotary pairs: ") + (b.rope_interleaved ? "neighbours" : "halves") + '\n';
    text += "mask token: " + number(c.mask_token) + '\n';
    text += "vocabulary: " + number(c.draft_vocabulary) + " of " + number(b.vocabulary) + '\n';
    constexpr const char* heads[] = {"vanilla", "gated", "rnn"};
    if (c.rank > 0)
      text += std::string("Markov head: ") + heads[c.head] + ", rank " + number(c.rank) + '\n';
    text += std::string("confidence head: ") +
            (!c.confidence              ? "none"
             : c.confidence_with_markov ? "of hidden state and Markov embedding"
                                        : "of the hidden state") +
            '\n';
    for (const std::string& note : c.notes) text += "note: " + note + '\n';
    return text;
  });
}

}  // namespace kedge::inline KEDGE_ABI::draft
