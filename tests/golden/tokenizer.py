#!/usr/bin/env python3
"""Writes the tokenizer goldens with the `tokenizers` and `transformers` packages.

    python tests/golden/tokenizer.py                  tokenizer_small.json (vocabulary included)
    python tests/golden/tokenizer.py --model M.gguf   tokenizer_smollm2.json for SmolLM2's vocabulary

Needs tokenizers, transformers and, for --model, gguf.
"""
import argparse
import collections
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tokenizer_inputs import CHATS, CORPUS, LONG_TEXTS, TEXTS

HERE = pathlib.Path(__file__).parent
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
# Llama 3's expression, as its tokenizer.json has it.
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
          " + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
          "{{ '<|im_start|>assistant\n' }}{% endif %}")
SMOLLM2 = CHATML.replace(
    "{% for message in messages %}",
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}")

TEMPLATES = {"chatml": CHATML, "smollm2": SMOLLM2}


def pre_tokenizer(name):
    if name == "smollm":  # as in SmolLM2's tokenizer.json
        return pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    if name == "llama-bpe":
        return pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    raise ValueError(name)


def build(pre, tokens, types, merges):
    tokenizer = Tokenizer(models.BPE(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in merges],
        ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == CONTROL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False)
                          for t, kind in zip(tokens, types) if kind == USER_DEFINED])
    assert tokenizer.get_vocab_size() == len(tokens)
    return tokenizer


def encode(tokenizer, text, parse_special):
    tokenizer.encode_special_tokens = not parse_special
    return tokenizer.encode(text, add_special_tokens=False).ids


def expand(text):
    return text if isinstance(text, str) else text[0] * text[1]


def cases(tokenizers, texts, missing):
    """One case per text: ids by pre-tokenizer; what equals an earlier list is left out."""
    for text in texts:
        case = {"text": text}
        if any(byte in missing for byte in expand(text).encode()):
            case["missing"] = True  # the vocabulary has no token for some byte, which is dropped
        for pre, tokenizer in tokenizers.items():
            plain = encode(tokenizer, expand(text), False)
            special = encode(tokenizer, expand(text), True)
            if plain != case.get("smollm"):
                case[pre] = plain
            if special != plain:
                case[pre + " special"] = special
        yield case


def chats(tokenizer):
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    for name, template in TEMPLATES.items():
        for messages in CHATS:
            for prompt in (False, True):
                chat = [{"role": role, "content": content} for role, content in messages]
                text = fast.apply_chat_template(chat, chat_template=template, tokenize=False,
                                                add_generation_prompt=prompt)
                result = {"template": name, "messages": messages, "prompt": prompt,
                          "text": text}
                # Here the text's own "<|im_end|>" would become tokens: Kedge's do not, on purpose.
                if not any("<|" in role + content for role, content in messages):
                    result["ids"] = encode(tokenizer, text, True)
                yield result


def alphabet():
    """GPT-2's byte-to-unicode characters in the order of the bytes."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(256, 512))
    characters = [chr(byte) if byte in own else chr(next(rest)) for byte in range(256)]
    assert set(characters) == set(pre_tokenizers.ByteLevel.alphabet())
    return characters


def learn(corpus, count):
    """The first `count` merges of byte-pair encoding; ties go to the smallest pair, so that the
    result is the same everywhere."""
    pieces = pre_tokenizer("smollm").pre_tokenize_str(corpus)
    words = [(list(word), n) for word, n in collections.Counter(p for p, _ in pieces).items()]
    merges = []
    for _ in range(count):
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(f"{left} {right}")
        for symbols, _ in words:
            i = 0
            while i + 1 < len(symbols):
                if symbols[i] == left and symbols[i + 1] == right:
                    symbols[i:i + 2] = [left + right]
                i += 1
    return merges


def small():
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>>"]
    user_defined = ["<tool>", "</tool>"]
    merges = learn(CORPUS, 420)
    # The word at the end has no merges: only a pre-tokenizer that looks up whole words yields it.
    normal = alphabet() + [merge.replace(" ", "") for merge in merges] + ["\u0120anchorless"]
    tokens = control + user_defined + normal
    types = [CONTROL] * len(control) + [USER_DEFINED] * len(user_defined) + [NORMAL] * len(normal)
    built = {pre: build(pre, tokens, types, merges) for pre in ("smollm", "llama-bpe")}
    return {"tokens": tokens, "types": types, "merges": merges, "bos": 1, "eos": 2, "unknown": 0,
            "padding": 2, "templates": TEMPLATES, "cases": list(cases(built, TEXTS, set())),
            "chats": list(chats(built["smollm"]))}


def of_model(path):
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    tokens, types, merges, template = (fields[key].contents() for key in (
        "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
        "tokenizer.chat_template"))
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert template == SMOLLM2
    tokenizer = build("smollm", tokens, types, merges)
    missing = {byte for byte, char in enumerate(alphabet()) if char not in set(tokens)}
    return {"missing": sorted(missing),
            "cases": list(cases({"smollm": tokenizer}, TEXTS + LONG_TEXTS, missing)),
            "chats": list(chats(tokenizer))}


def write(name, golden):
    lists = {key: value for key, value in golden.items() if key in ("cases", "chats")}
    head = {key: value for key, value in golden.items() if key not in lists}
    lines = [f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}"
             for key, value in head.items()]
    for key, items in lists.items():
        rows = ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)
        lines.append(f"{json.dumps(key)}:[\n{rows}]")
    (HERE / name).write_text("{" + ",\n".join(lines) + "}\n")
    print(name, (HERE / name).stat().st_size, "bytes,", len(golden["cases"]), "texts,",
          len(golden["chats"]), "chats")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a GGUF file of SmolLM2")
    arguments = parser.parse_args()
    if arguments.model:
        write("tokenizer_smollm2.json", of_model(arguments.model))
    else:
        write("tokenizer_small.json", small())
