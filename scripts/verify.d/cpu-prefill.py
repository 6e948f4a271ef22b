#!/usr/bin/env python3
# Prefill of 512 tokens at least 1.3 x llama.cpp's speed; SmolLM2: decode 2.5 x llama.cpp, 1.3 x ik_llama.cpp, t(8) at most 0.2 x llama.cpp's.
# Prefill of the shapes of Llama-3.2-1B and Qwen3.5-0.8B and of SmolLM2. A piece is one round of a
# model (scripts/verify.d/pieces.py).
import json
import os
import random
import statistics
import tempfile

import common
import peer
import pieces
import synthetic_hybrid
import synthetic_llama

THREADS = int(os.environ.get("KEDGE_THREADS", 2))
ROUNDS = int(os.environ.get("KEDGE_ROUNDS", 3))
TOKENS, CONTEXT, DECODED = 512, 256, 64
MODELS = {"SmolLM2 q4_1": lambda: common.model,
          "llama-1B q4_0": lambda: synthetic_llama.path_of("q4_0"),
          "llama-1B q8_0": lambda: synthetic_llama.path_of("q8_0"),
          "qwen3.5-0.8B q4_0": lambda: synthetic_hybrid.path_of("q4_0")}

common.need_model()
common.build()


def kedge_json(*arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge(*arguments, "--threads", THREADS, "--json", out.name)
        return json.load(open(out.name))


def kedge_prefill(path):
    tokens = [random.Random(1).randrange(3, 32000) for _ in range(TOKENS)]
    figures = kedge_json("generate", "--model", path, "--ignore-end", "--max-tokens", 2, "--context",
                         TOKENS + 64, "--tokens", ",".join(map(str, tokens)))
    assert figures["prompt_tokens"] == TOKENS, figures["prompt_tokens"]
    return 1e3 * TOKENS / figures["prefill_ms"]


def prefill(path):
    other = peer.Peer.open("llama.cpp", path, THREADS, TOKENS + 64)
    if other is None:
        common.skip("there is no llama.cpp to compare with")
    other.ask(do="prompt", length=32)  # warms up
    result = {"llama.cpp": TOKENS / other.ask(do="prompt", length=TOKENS), "kedge": kedge_prefill(path)}
    other.close()
    return result


def small(path):
    """Decode and passes of 8 rows, everybody in turn."""
    result = {"kedge": kedge_json("bench", "cost", "--model", path, "--context", CONTEXT,
                                  "--repetitions", 3)}
    for kind in ("llama.cpp", "ik", "ik -rtr"):
        other = peer.Peer.open(kind, path, THREADS, CONTEXT + 512)
        if other is None:
            continue
        other.ask(do="prompt", length=CONTEXT)
        other.ask(do="passes", rows=1, calls=3)
        result[kind] = {"8": other.ask(do="passes", rows=8, calls=5),
                        "1": other.ask(do="passes", rows=1, calls=5),
                        "decode": statistics.median(other.ask(do="decode", count=DECODED))}
        other.close()
    return result


verdict = common.Verdict()
taken = pieces.Pieces("cpu-prefill")
for name, path_of in MODELS.items():
    turns = [taken.take(f"prefill {name} #{i + 1}", lambda: prefill(path_of())) for i in range(ROUNDS)]
    turns = [t for t in turns if t]
    if turns:
        for t in turns:
            print(f"  {name}: kedge {t['kedge']:.1f} tokens/s, llama.cpp {t['llama.cpp']:.1f}")
        verdict.at_least(f"{name}: prefill of {TOKENS} tokens, of llama.cpp's speed",
                         statistics.median(t["kedge"] / t["llama.cpp"] for t in turns), 1.3)
turns = [taken.take(f"SmolLM2 passes #{i + 1}", lambda: small(common.model)) for i in range(ROUNDS)]
turns = [t for t in turns if t]
if turns:
    ms = {n: statistics.median(t["kedge"]["cost"][n - 1]["ms"] for t in turns) for n in (1, 8)}
    print(f"  SmolLM2 kedge: t(1) {ms[1]:.2f} ms, t(8) {ms[8]:.2f} ms")
    ratio = {}
    for kind in ("llama.cpp", "ik", "ik -rtr"):
        if all(kind in t for t in turns):
            one, eight = (statistics.median(1e3 * t[kind][n] for t in turns) for n in ("1", "8"))
            print(f"  SmolLM2 {kind}: t(1) {one:.2f} ms, t(8) {eight:.2f} ms")
            ratio[kind] = (statistics.median(1e3 * t[kind]["decode"] / t["kedge"]["cost"][0]["ms"] for t in turns),
                           statistics.median(t["kedge"]["cost"][7]["ms"] / (1e3 * t[kind]["8"]) for t in turns))
    if "llama.cpp" in ratio:
        verdict.at_least("SmolLM2: decode, of llama.cpp's", ratio["llama.cpp"][0], 2.5)
        verdict.at_most("SmolLM2: t(8), of llama.cpp's", ratio["llama.cpp"][1], 0.2)
    iks = [ratio[kind][0] for kind in ("ik", "ik -rtr") if kind in ratio]
    if iks:
        verdict.at_least("SmolLM2: decode, of the better ik_llama.cpp's", min(iks), 1.3)
taken.done(verdict)
