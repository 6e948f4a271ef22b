#!/usr/bin/env python3
"""Writes chat_templates.json: chats as `transformers` renders them with the models' own templates.

    python tests/golden/chat_templates.py FOLDER

FOLDER has the template texts, NAME.jinja by the names below, from the models' tokenizer_config.json.
They are not part of this project, which knows them by their hashes. Also prints each text's row for
src/text/chat_formats.cpp. Needs tokenizers, transformers and jinja2.
"""
import json
import pathlib
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from tokenizer_inputs import CHATS

HERE = pathlib.Path(__file__).parent
# file: name here, bos, roles (None: any)
TEMPLATES = {
    "qwen2": ("qwen2", "", None),
    "qwen2.5": ("qwen2.5", "", {"system", "user", "assistant", "tool"}),
    "qwen2.5-double": ("qwen2.5", "", {"system", "user", "assistant", "tool"}),
    "qwen3": ("qwen3", "", {"system", "user", "assistant", "tool"}),
    "llama3": ("llama3", "<|begin_of_text|>", None),
    "llama3-old": ("llama3-open", "<|begin_of_text|>", None),
    "glm4-bare": ("glm4", "", {"system", "user", "assistant", "observation"}),
    "glm4": ("glm4-newline", "", {"system", "user", "assistant", "observation"}),
    "mistral-v0.2": ("mistral", "<s>", {"user", "assistant"}),
}
MORE = [
    [("user", "q"), ("assistant", "<think>\n\nhm\n</think>\n\n\nyes\n"), ("user", "and?")],
    [("user", "q"), ("assistant", "<think>\n\nhm\n</think>\n\n\nyes\n")],
    [("user", "q"), ("assistant", "plain")],
    [("user", "q"), ("assistant", "</think> a </think>\nb<think>c"), ("assistant", "last")],
    [("user", "q"), ("assistant", "a<think>b<think>\nc\n\n</think>d"), ("tool", "1"), ("tool", "2"),
     ("assistant", "done")],
    [("tool", "first"), ("user", "u"), ("tool", "t"), ("user", "<tool_response>x</tool_response>"),
     ("assistant", "after a tool's answer")],
    [("system", "s"), ("system", "second"), ("assistant", "a")],
    [("user", " \u3000\x1f\u00a0trim\u200b\u2029\x85\n"), ("assistant", "\t"), ("user", "x")],
    [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
    [("observation", "seen"), ("user", "")],
    [("user", "\n"), ("assistant", "\n\n")],
]


def normal_form(text):
    return text.replace("\\n", "\n").rstrip("\n").encode()


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def render(fast, source, chat, prompt, **more):
    try:
        return fast.apply_chat_template(
            [{"role": role, "content": content} for role, content in chat], chat_template=source,
            tokenize=False, add_generation_prompt=prompt, **more)
    except Exception as error:  # the template's own raise_exception
        print("  refused:", error)
        return None


def main():
    lines = []
    for file, (name, bos, roles) in TEMPLATES.items():
        source = (pathlib.Path(sys.argv[1]) / f"{file}.jinja").read_text()
        data = normal_form(source)
        print(f'    {{"{name}", {len(data)}, 0x{fnv1a(data):016X}u}},')
        fast = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos,
                                       eos_token="</s>")
        variants = [(name, {})]
        if name == "qwen3":
            variants.append(("qwen3-no-thinking", {"enable_thinking": False}))
        for variant, more in variants:
            for chat in CHATS + MORE:
                for prompt in (False, True):
                    text = render(fast, source, chat, prompt, **more)
                    # Some templates leave out what has another role; here that is an error.
                    if roles is not None and any(role not in roles for role, _ in chat):
                        text = None
                    lines.append(json.dumps({"template": variant, "messages": chat, "prompt": prompt,
                                             "text": text}, separators=(",", ":")))
    lines = list(dict.fromkeys(lines))
    (HERE / "chat_templates.json").write_text("[\n" + ",\n".join(lines) + "]\n")
    print(len(lines), "chats,", (HERE / "chat_templates.json").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
