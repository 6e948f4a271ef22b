"""tokenizer.json of byte-level BPE (Qwen's) as GGUF metadata."""
import json
import pathlib

import gguf


def write_tokenizer(out, folder, vocabulary, pre):
    """False when the folder has none: the file then has token numbers only."""
    path = pathlib.Path(folder) / "tokenizer.json"
    if not path.is_file():
        out.add_tokenizer_model("none")
        return False
    whole = json.loads(path.read_text())
    model = whole["model"]
    if model["type"] != "BPE":
        raise SystemExit(f"{path}: expected a BPE model, found {model['type']}")
    tokens = [f"[PAD{i}]" for i in range(vocabulary)]
    types = [gguf.TokenType.UNUSED] * vocabulary
    for text, number in model["vocab"].items():
        tokens[number], types[number] = text, gguf.TokenType.NORMAL
    for added in whole.get("added_tokens", []):
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre(pre)
    out.add_token_list(tokens)
    out.add_token_types(types)
    out.add_token_merges(merges)
    settings = pathlib.Path(folder) / "tokenizer_config.json"
    settings = json.loads(settings.read_text()) if settings.is_file() else {}
    numbers = {text: number for number, text in enumerate(tokens)}
    for key, add in (("eos_token", out.add_eos_token_id), ("bos_token", out.add_bos_token_id),
                     ("pad_token", out.add_pad_token_id)):
        text = settings.get(key)
        text = text.get("content") if isinstance(text, dict) else text
        if text in numbers:
            add(numbers[text])
    out.add_add_bos_token(bool(settings.get("add_bos_token", False)))
    template = pathlib.Path(folder) / "chat_template.jinja"
    template = template.read_text() if template.is_file() else settings.get("chat_template")
    if isinstance(template, str):
        out.add_chat_template(template)
    return True
