#!/usr/bin/env python3
# Decoding with --draft auto: at least 0.98 x plain on each of 45 prompts, 1.5 x on repetitive ones.
#
# SmolLM2 and Qwen3.5-0.8B's shape with random weights, 2 threads, the median of five pairs per
# prompt, plain and speculative in turn every 2 tokens. A hybrid whose text is noise has nothing to
# repeat: the repetitive prompts go to one of the same shape whose text repeats itself. What is
# measured stays in build/never-slower, one file per model and category, and is taken from there when
# KEDGE_RESUME is set.
import json
import os
import statistics
import sys

import common
import synthetic_hybrid

THREADS, PAIRS = 2, int(os.environ.get("KEDGE_PAIRS", 5))
TOKENS = {"SmolLM2": 96, "hybrid": 48}
REPETITION_TOKENS = 96
EACH, REPETITIVE = 0.98, 1.5
CATEGORIES = ["repetition", "adversarial", "chat", "code", "prose"]
PROMPTS = common.root / "tests/golden/prompts/speculation.jsonl"

common.build()
common.need_model()
models = {"SmolLM2": common.model, "hybrid": synthetic_hybrid.path_of("q4_0")}
repeating = {"SmolLM2": common.model, "hybrid": synthetic_hybrid.path_of("q4_0", repeats=True)}
folder = common.root / "build/never-slower"
folder.mkdir(parents=True, exist_ok=True)


def measure(name, category):
    out = folder / f"{name}-{category}.json"
    if not (os.environ.get("KEDGE_RESUME") and out.is_file()):
        repetition = category == "repetition"
        common.kedge("bench", "speculation", "--model", (repeating if repetition else models)[name],
                     "--prompts", PROMPTS, "--category", category, "--draft", "auto", "--max-tokens",
                     REPETITION_TOKENS if repetition else TOKENS[name], "--ignore-end",
                     "--repetitions", PAIRS, "--threads", THREADS, "--json", out,
                     *(["--bytes"] if name == "hybrid" else []))
    return json.load(open(out))["prompts"]


verdict = common.Verdict()
for name in os.environ.get("KEDGE_ONLY", "SmolLM2,hybrid").split(","):
    repetitive, worst = [], []
    for category in CATEGORIES:
        for prompt in measure(name, category):
            low, high = min(prompt["ratios"]), max(prompt["ratios"])
            print(f"  {name:8} {category:12} {prompt['id']:>3}  ratio {prompt['ratio']:.3f}  "
                  f"[{low:.3f}, {high:.3f}]  tau {prompt['tau']:.2f}  text equal: {prompt['text_equal']}")
            sys.stdout.flush()
            worst.append(prompt["ratio"])
            if category == "repetition":
                repetitive.append(prompt["ratio"])
    verdict.at_least(f"{name}: the least of {len(worst)} prompts", min(worst), EACH)
    verdict.at_least(f"{name}: the repetitive ones, median", statistics.median(repetitive), REPETITIVE)
    verdict.at_least(f"{name}: the repetitive ones, least", min(repetitive), REPETITIVE)
verdict.done()
