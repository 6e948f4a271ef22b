#!/usr/bin/env python3
# A model of 1 GB is usable within 0.3 s from its packed weights; loading takes at most 1.1 x its file and the state of memory.
# The files are in the system's cache. The text from packed weights is that of a plain load.
import json
import pathlib
import resource
import subprocess
import tempfile

import common
import synthetic_llama

TOKENS, STATE = 24, 32 << 20  # bytes: activations, and keys and values of a short text
common.build()
model = pathlib.Path(synthetic_llama.path_of("q8_0"))
size = model.stat().st_size


def generate(*arguments):
    out = common.kedge("generate", "--model", model, "--tokens", "1,2,3,4", "--max-tokens", TOKENS, "--draft",
                       "none", "--threads", 2, *arguments, "--json", "-")
    return json.loads(out)["token_ids"]


verdict = common.Verdict()
with tempfile.TemporaryDirectory() as folder:
    packed = f"{folder}/packed"
    plain = generate()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    made = json.loads(common.kedge("pack", "--model", model, "--out", packed, "--json", "-"))
    print(f"  {model.name}, {size / 1e9:.2f} GB: packed and written in {made['pack_ms'] / 1000:.2f} s")
    loads = sorted(json.loads(common.kedge("pack", "--model", model, "--out", packed, "--check", "--json", "-"))
                   ["load_ms"] for _ in range(5))
    verdict.at_most("a load from packed weights, median of 5, ms", loads[2], 300)
    verdict.at_most("peak memory of loading and a text, of the file and the state", peak / (size + STATE), 1.1)
    same = sum(a == b for a, b in zip(generate("--packed", packed), plain))
    verdict.at_least("tokens equal to those of a plain load", same, TOKENS)
verdict.done()
