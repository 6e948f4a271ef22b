#!/usr/bin/env python3
# Every tokenizer family: the ids of the `tokenizers` package on 10,000 random strings and on single characters, from tokenizer.json and GGUF.
#
# KEDGE_SEED chooses the strings. Strings have no character that is newer than the older of the two
# sides' Unicode versions: PCRE2's (10.42: 14.0), which is also that of Python 3.11's unicodedata.
import json
import os
import pathlib
import random
import subprocess
import sys
import unicodedata

import common

# This file has the package's name.
sys.path = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).resolve().parent]
(tokenizers,) = common.need("tokenizers")
common.build()
verdict = common.Verdict()
FOLDER = common.root / "tests/golden/tokenizers"
seed = int(os.environ.get("KEDGE_SEED", random.SystemRandom().randrange(1 << 32)))
print(f"seed {seed}, tokenizers {tokenizers.__version__}, Unicode {unicodedata.unidata_version}")

ALL = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
# Private use and noncharacters are the same in every version.
ASSIGNED = [c for c in ALL if unicodedata.category(c) != "Cn" or ord(c) & 0xFFFE == 0xFFFE]
# Where thousands of neighbours are alike, one of 97 stands for them when every character is tried.
ALIKE = [(0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0x17000, 0x18CFF), (0x20000, 0x3FFFF),
         (0xF0000, 0x10FFFF)]
TRIED = [c for c in ASSIGNED
         if ord(c) % 97 == 0 or not any(first <= ord(c) <= last for first, last in ALIKE)]
print(f"{len(ALL) - len(ASSIGNED)} of {len(ALL)} code points are unassigned in Unicode "
      f"{unicodedata.unidata_version} and left out")


def unknown_to(form):
    """Characters that the package's normalizer, whose tables are older than the rest of it, does not
    know: it disagrees with Python's unicodedata about them. Kedge has no part in this."""
    normalizer = getattr(tokenizers.normalizers, form)()
    found = set()
    for c in ASSIGNED:
        probes = [c]
        if unicodedata.combining(c):  # its class decides the order among others
            probes += [f"a{a}{b}" for x in "\u0334\u05b0\u0316\u0301\u0345" for a, b in ((x, c), (c, x))]
        elif not unicodedata.decomposition(c):
            continue
        if any(normalizer.normalize_str(p) != unicodedata.normalize(form, p) for p in probes):
            found.add(c)
    return found


UNKNOWN = {form: unknown_to(form) for form in ("NFC", "NFKC")}
for form, found in UNKNOWN.items():
    print(f"{len(found)} of {len(ASSIGNED)} characters are newer than the package's {form} and left "
          f"out where a tokenizer normalizes so:", " ".join(f"U+{ord(c):04X}" for c in sorted(found)[:12]),
          "..." if len(found) > 12 else "")


def pools(usable):
    by_kind = {}
    for c in usable:
        by_kind.setdefault(unicodedata.category(c)[0], []).append(c)
        if unicodedata.combining(c):
            by_kind.setdefault("combining", []).append(c)
        if unicodedata.decomposition(c):
            by_kind.setdefault("decomposes", []).append(c)
        if 0x4E00 <= ord(c) < 0x9FFF or 0x3040 <= ord(c) < 0x30FF:
            by_kind.setdefault("east", []).append(c)
        if 0x1F300 <= ord(c) < 0x1FAFF:
            by_kind.setdefault("emoji", []).append(c)
        if 0x1100 <= ord(c) < 0x1200:
            by_kind.setdefault("jamo", []).append(c)
    by_kind["space"] = list("    \n\n\r\t\u00a0\u3000\u2003\u1680\u0085\u180e\u200b")
    by_kind["ascii"] = [chr(c) for c in range(0x20, 0x7F)]
    by_kind["lower"] = [chr(c) for c in range(0x61, 0x7B)]
    by_kind["digit"] = list("0123456789")
    by_kind["joiner"] = list("\u200d\ufe0f\u20e3\U0001f3fd")
    by_kind["all"] = usable
    return list(by_kind.values())


def strings(draw, usable, words, count):
    kinds = pools(usable)
    for _ in range(count):
        text = ""
        while len(text) < draw.choice((4, 20, 60)):
            kind = draw.random()
            if kind < 0.35:
                text += draw.choice(words)
            else:
                pool = draw.choice(kinds)
                text += "".join(draw.choice(pool) for _ in range(draw.choice((1, 1, 2, 5))))
        yield text


def theirs(tokenizer, texts, parse_special):
    tokenizer.encode_special_tokens = not parse_special
    return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


def ours(path, texts, parse_special):
    command = [str(common.program), "tokenize", "--tokenizer", str(path), "--lines-json", "-",
               "--json"] + ["--parse-special"] * parse_special
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(command)}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def differing(path, tokenizer, texts, parse_special):
    expected = theirs(tokenizer, texts, parse_special)
    found = ours(path, texts, parse_special)
    assert len(found) == len(texts)
    return [one for one in zip(texts, expected, found) if one[1] != one[2]]


def comparable(tokenizer, texts):
    """Without those that spell a special token, for Unigram: the package makes such a token of plain
    text all the same, and Kedge never does, on purpose."""
    if '"type":"Unigram"' not in tokenizer.to_str().replace(" ", ""):
        return texts
    special = [t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special]
    kept = [text for text in texts
            if not any(s in tokenizer.normalizer.normalize_str(text) for s in special)]
    print(f"  plain text: {len(texts) - len(kept)} of {len(texts)} spell a special token, left out")
    return kept


def show(text, expected, found):
    print("  text    ", " ".join(f"U+{ord(c):04X}" for c in text))
    print("  theirs  ", expected)
    print("  ours    ", found)


for folder in sorted(path for path in FOLDER.iterdir() if path.is_dir()):
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    added = tokenizer.get_added_tokens_decoder()
    words = [token.content for token in added.values()]
    words += ["the", " anchor", "'s", "'LL", "Hello", "\r\n", "   ", "1999", " 42", "e\u0301", "</s>",
              "<0x41>", "\u2581", "camelCase", "caf\u00e9", "\u4f60\u597d", "\u0928\u092e\u0938\u094d"]
    # The older of the two sides' versions decides what can be compared.
    text = (folder / "tokenizer.json").read_text()
    forms = [form for form in UNKNOWN if f'"type":"{form}"' in text]
    left_out = set().union(*(UNKNOWN[form] for form in forms))
    usable = [c for c in ASSIGNED if c not in left_out]
    # Each character between others: which of them differ at all?
    single = [f"a{c}b {c}{c}1 {c}" for c in TRIED if c not in left_out]
    paths = [path for path in (folder / "tokenizer.json", folder / "tokenizer.gguf") if path.exists()]
    differ = set()
    for path in paths:
        wrong = differing(path, tokenizer, single, False)
        differ.update(text[1] for text, _, _ in wrong)
        print(f"{folder.name} {path.suffix[1:]}: {len(single)} characters, {len(wrong)} differ:",
              " ".join(f"U+{ord(text[1]):04X}" for text, _, _ in wrong[:40]))
        if wrong:
            show(*wrong[0])
    verdict.at_most(f"{folder.name}: characters that differ", len(differ), 0)
    draw = random.Random(f"{seed} {folder.name}")
    texts = list(strings(draw, usable, words, 14_000))  # some may not be comparable
    for path in paths:
        for parse_special in (False, True):
            tried = (texts if parse_special else comparable(tokenizer, texts))[:10_000]
            assert len(tried) == 10_000
            wrong = differing(path, tokenizer, tried, parse_special)
            if wrong:
                show(*min(wrong, key=lambda one: len(one[0])))
            verdict.at_most(
                f"{folder.name} {path.suffix[1:]}{', special tokens' if parse_special else ''}: "
                f"different ids in {len(tried)} strings", len(wrong), 0)
verdict.done()
