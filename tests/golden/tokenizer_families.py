#!/usr/bin/env python3
"""Writes a small tokenizer of every family and its goldens, with the `tokenizers` package:

    python tests/golden/tokenizer_families.py

    tokenizers/NAME/tokenizer.json   with the family's own normalizer, pre-tokenizer and decoder
    tokenizers/NAME/tokenizer.gguf   the same, where GGUF can say it
    tokenizers/NAME/golden.json      the ids of hard inputs, and of inputs with special tokens

The steps before the model are those that the families' published tokenizer.json files have (Qwen's
and Llama's also stand in transformers' source); the vocabularies are learned here from this folder's
own texts, since no step depends on them. Needs tokenizers and gguf.
"""
import collections
import json
import pathlib

from gguf import GGUFWriter
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tokenizer_inputs import CORPUS, TEXTS

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "tokenizers"
MARK = "\u2581"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"


def tiktoken(number):
    return (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + number + r"| ?[^\s\p{L}\p{N}]+[\r\n]*" +
            TAIL)


QWEN35 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" +
          TAIL)


def expand(text):
    return text if isinstance(text, str) else text[0] * text[1]


def byte_level(*expressions):
    splits = [pre_tokenizers.Split(Regex(e), "isolated") for e in expressions]
    return pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


# name: normalizer, pre-tokenizer, ignore_merges, whether a prompt begins with bos
BYTE_LEVEL = {
    "gpt-2": (None, gpt2(), False, False),
    "smollm": (None, pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), gpt2()]), False, False),
    "llama-bpe": (None, byte_level(tiktoken(r"\p{N}{1,3}")), True, True),
    "qwen2": (normalizers.NFC(), byte_level(tiktoken(r"\p{N}")), False, False),
    "qwen35": (normalizers.NFC(), byte_level(QWEN35), False, False),
    "chatglm-bpe": (None, byte_level(tiktoken(r"\p{N}{1,3}")), False, False),
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>>", "<|begin_of_text|>",
           "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "[gMASK]", "<sop>", "<|system|>",
           "<|user|>", "<|assistant|>", "<|observation|>"]
USER_DEFINED = ["<tool>", "</tool>", "<think>", "</think>"]


def texts():
    own = [(HERE / "text" / name).read_text() for name in ("harbour.txt", "ledger.txt")]
    return [CORPUS, *own, *[expand(t)[:200] for t in TEXTS]]


def learn(words, count):
    """The first `count` merges of byte-pair encoding over a Counter of words; ties go to the
    smallest pair, so that the result is the same everywhere."""
    words = [(list(word), n) for word, n in sorted(words.items())]
    merges = []
    for _ in range(count):
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append((left, right))
        for symbols, _ in words:
            i = 0
            while i + 1 < len(symbols):
                if symbols[i] == left and symbols[i + 1] == right:
                    symbols[i:i + 2] = [left + right]
                i += 1
    return merges


def byte_alphabet():
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(256, 512))
    return [chr(byte) if byte in own else chr(next(rest)) for byte in range(256)]


def byte_level_vocabulary():
    """Learned from pieces as every family cuts them, so that a wrong cut shows."""
    words = collections.Counter()
    for _, pre, _, _ in BYTE_LEVEL.values():
        for text in texts():
            words.update(piece for piece, _ in pre.pre_tokenize_str(text))
    merges = learn(words, 700)
    tokens = byte_alphabet() + [left + right for left, right in merges]
    # Without merges: only where whole words are looked up.
    tokens += ["\u0120anchorless"]
    return list(dict.fromkeys(tokens)), merges


def add(tokenizer, special, user_defined):
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in user_defined])


def bos_first(tokenizer, bos):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])


def make_byte_level(name, tokens, merges):
    normalizer, pre, whole, bos = BYTE_LEVEL[name]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges,
                                     ignore_merges=whole))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    add(tokenizer, SPECIAL, USER_DEFINED)
    if bos:
        bos_first(tokenizer, "<|begin_of_text|>")
    return tokenizer


def sentencepiece_vocabulary():
    """<unk>, <s>, </s>, the bytes, characters, and pieces with SentencePiece's scores."""
    words = collections.Counter()
    for text in texts():
        words.update(w for w in (MARK + text.replace(" ", MARK)).replace(MARK, "\0" + MARK)
                     .split("\0") if len(w) < 60)
    characters = collections.Counter()
    for word, n in words.items():
        for c in word:
            characters[c] += n
    kept = sorted((c for c in characters if characters[c] > 1), key=lambda c: (-characters[c], c))
    kept = [c for c in kept if c not in "\0\u00e9"][:300]  # some fall back to bytes
    words = collections.Counter({w: n for w, n in words.items() if all(c in kept for c in w)})
    pieces = list(dict.fromkeys(left + right for left, right in learn(words, 900)))
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + pieces + kept
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces) + len(kept))]
    types = [2, 3, 3] + [6] * 256 + [1] * (len(pieces) + len(kept))
    return tokens, scores, types


def merges_of(tokens, scores):
    """As Hugging Face converts SentencePiece's scores."""
    vocabulary = {t: i for i, t in enumerate(tokens)}
    merges = []
    for token, score in list(zip(tokens, scores))[259:]:
        local = [(token[:i], token[i:], score) for i in range(1, len(token))
                 if token[:i] in vocabulary and token[i:] in vocabulary]
        merges += sorted(local, key=lambda m: (vocabulary[m[0]], vocabulary[m[1]]))
    merges.sort(key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)
    return [(left, right) for left, right, _ in merges]


def plain_decoder():
    return decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(),
                              decoders.Fuse(), decoders.Strip(content=" ", left=1)])


def make_llama(tokens, merges, metaspace):
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges,
                                     fuse_unk=True, byte_fallback=True, unk_token="<unk>"))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    tokenizer.decoder = plain_decoder()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    bos_first(tokenizer, "<s>")
    return tokenizer


def make_unigram(tokens, scores):
    # No bytes: some characters are unknown. Scores as a model's: longer is a little better.
    pairs = [("<unk>", 0.0), ("</s>", 0.0)]
    pairs += [(t, round(-4 - 0.01 * i + 0.7 * len(t), 4)) for i, t in enumerate(tokens[259:])]
    tokenizer = Tokenizer(models.Unigram(pairs, unk_id=0, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "always", split=True)
    tokenizer.decoder = decoders.Metaspace(MARK, "always")
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "</s>")])
    return tokenizer


def make_steps(tokens, merges):
    """Every other step and flag that is supported, in one."""
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges,
                                     fuse_unk=False, byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"[\p{Zs}\t]{3,}"), "   "),
         normalizers.Replace("\u2014", "--")])
    split = pre_tokenizers.Split
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        split(Regex(r"\p{Han}+|[\p{Hiragana}\p{Katakana}]+"), "isolated"),
        split(Regex(r"(?<=[a-z])(?=[A-Z])"), "isolated"),
        split(Regex(r"\d{1,3}(?=(?:\d{3})*\b)"), "isolated"),
        split("#", "removed"),
        split(Regex(r"[!?.]"), "merged_with_previous"),
        split(Regex(r"[(\[{]"), "merged_with_next"),
        split(Regex(r"-"), "contiguous"),
        split(Regex(r"[^=]+"), "contiguous", invert=True),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Metaspace(MARK, "never", split=True)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([
        AddedToken("<unk>", normalized=False), AddedToken("<s>", normalized=False),
        AddedToken("</s>", normalized=False), AddedToken("<mask>", lstrip=True, normalized=False),
        AddedToken("<end>", rstrip=True, normalized=False)])
    tokenizer.add_tokens([
        AddedToken("sea", single_word=True, normalized=False),
        AddedToken("Caf\u00e9 ", normalized=True), AddedToken("\ufb01ne", normalized=True),
        AddedToken("<both>", lstrip=True, rstrip=True, single_word=True, normalized=False)])
    return tokenizer


MORE_TEXTS = [
    "<s> a</s>b <s>", "</s>", "x<mask> y", "x  <mask>  y<end>  z<end>", "sea seas sea, undersea sea",
    "(sea) _sea sea1 \u00e9sea sea\u0301", "caf\u00e9 Caf\u00e9 Cafe\u0301 xCaf\u00e9 y", "fine \ufb01ne of\ufb01ne",
    " <both>  a<both>b <both> \u3000<both>\n", "camelCaseName HTTPServer aB", "1234567 12 1234",
    "a#b##c#", "wait!! what?! (a [b {c", "a--b---c - d", "a==b=c", "\u2014 \u2014\u2014x",
    "\u4f60\u597dabc\u3042\u30a2\u6f22\u3005\u3007", "tabs\t\t\t\tand    spaces",
    "<0x41> <0x0A> \u2581 a\u2581b", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>",
    "[gMASK]<sop><|user|>\nhi<|assistant|>\n<think></think>", "a <think> b </think>c",
    "A\u030a \u212b \u1e9b\u0323 \uac00\u11a8 \u0344 q\u0307\u0323 \u0958", "\u2126 \ufb2c \u0f73 \u2adc",
]


def golden(tokenizer):
    cases = []
    unknown = tokenizer.token_to_id("<unk>")
    forbidden = {i for i, token in tokenizer.get_added_tokens_decoder().items()
                 if token.special and i != unknown}
    for text in TEXTS + MORE_TEXTS:
        case = {"text": text}
        for key, skip in (("ids", True), ("special", False)):
            tokenizer.encode_special_tokens = skip
            ids = tokenizer.encode(expand(text), add_special_tokens=False).ids
            # Unigram finds special tokens in plain text all the same. Kedge does not, on purpose.
            if key == "ids" and not forbidden.isdisjoint(ids):
                continue
            if ids != case.get("ids"):
                case[key] = ids
        cases.append(case)
    tokenizer.encode_special_tokens = False
    return {"prefix": tokenizer.encode("", add_special_tokens=True).ids, "cases": cases}


def write(name, tokenizer):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    data = golden(tokenizer)
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in data["cases"])
    (folder / "golden.json").write_text(
        f'{{"prefix":{json.dumps(data["prefix"])},\n"cases":[\n{rows}]}}\n')


def write_gguf(name, keys):
    writer = GGUFWriter(FOLDER / name / "tokenizer.gguf", "llama")
    keys(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main():
    tokens, merges = byte_level_vocabulary()
    everything = tokens + SPECIAL + USER_DEFINED
    types = [1] * len(tokens) + [3] * len(SPECIAL) + [4] * len(USER_DEFINED)
    for name, (_, _, _, bos) in BYTE_LEVEL.items():
        tokenizer = make_byte_level(name, tokens, merges)
        assert all(tokenizer.token_to_id(t) == i for i, t in enumerate(everything))
        write(name, tokenizer)

        def keys(writer):
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(name)
            writer.add_token_list(everything)
            writer.add_token_types(types)
            writer.add_token_merges([" ".join(merge) for merge in merges])
            if bos:
                writer.add_bos_token_id(everything.index("<|begin_of_text|>"))
            writer.add_eos_token_id(everything.index("<|endoftext|>"))
        write_gguf(name, keys)

    tokens, scores, types = sentencepiece_vocabulary()
    merges = merges_of(tokens, scores)
    write("llama", make_llama(tokens, merges, False))
    write("metaspace", make_llama(tokens, merges, True))
    write("unigram", make_unigram(tokens, scores))
    write("steps", make_steps(tokens, merges))

    def keys(writer):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
    write_gguf("llama", keys)
    for path in sorted(FOLDER.rglob("*.*")):
        print(path.relative_to(HERE), path.stat().st_size, "bytes")
        assert path.stat().st_size < 300_000


if __name__ == "__main__":
    main()
