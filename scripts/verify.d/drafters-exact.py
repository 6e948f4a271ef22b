#!/usr/bin/env python3
# Greedy text with every drafter is the plain text, on a real model and on one with recurrent layers.
import json
import os
import subprocess
import sys

from common import build, model, program, root, skip

prompts = []
for line in (root / "tests/golden/prompts/speculation.jsonl").read_text().splitlines():
    entry = json.loads(line)
    prompts.append(entry["turns"][0] if "turns" in entry else entry["messages"][0]["content"])
copying = ["lookup:min=1", "map-k:key=4", "map-k4v:key=3", "mod:key=4", "cache", "suffix",
           "suffix:tree=0", "mod+suffix+lookup"]


def generate(file, prompt, draft, count):
    # Models without a tokenizer take the prompt's bytes as tokens. The window `best` would not let a
    # model draft for itself, which costs what it saves.
    given = ["--prompt", prompt, "--chat"] if isinstance(prompt, str) else [
        "--tokens", ",".join(map(str, prompt))]
    run = subprocess.run(
        [str(program), "generate", "--model", str(file), *given, "--max-tokens", str(count), "--draft",
         draft, "--window", "all", "--json", "-", *os.environ.get("KEDGE_OPTIONS", "").split()],
        capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{draft}: {run.stderr.strip()}")
    return json.loads(run.stdout)


def compare(file, texts, kinds, count, must_propose=True):
    plain = [generate(file, text, "none", count) for text in texts]
    short = 0
    for kind in kinds:
        equal = accepted = rounds = proposed = 0
        for text, expected in zip(texts, plain):
            found = generate(file, text, kind, count)
            equal += found["token_ids"] == expected["token_ids"]
            accepted += found["accepted"]
            proposed += found["proposed"]
            rounds += found["rounds"]
        short += equal < len(texts) or (must_propose and proposed == 0)
        print(f"{file.name}, {kind.replace(str(file), 'itself')}: {equal}/{len(texts)} texts "
              f"equal, {proposed} drafts proposed, {accepted} accepted, "
              f"tau {1 + accepted / max(rounds, 1):.3f}", flush=True)
    return short


if not model.exists():
    skip(f"no model at {model}; scripts/model gets it")
build()
print("20 prompts of up to 128 tokens, target: every text equal")
failed = compare(model, prompts[::2][:20], [*copying, f"model:path={model}",
                                            f"model:path={model},n=2,extend=suffix"], 128)
hybrid = model.parent / "hybrid-0.8B-random.Q4_0.gguf"
if hybrid.exists():
    # A step of it takes ten times as long, and its text is noise in which no token comes twice, so
    # those that copy have little to propose; tests/exact/drafters_test.cpp has hybrids that repeat.
    print("2 prompts of 40 tokens, target: every text equal")
    texts = [list(prompt.encode())[:120] for prompt in prompts[:2]]
    failed += compare(hybrid, texts, copying, 40, must_propose=False)
    failed += compare(hybrid, texts[:1], [f"model:path={hybrid},n=3"], 12)
else:
    print(f"SKIPPED: no {hybrid}; scripts/verify.d/synthetic_hybrid.py makes it")
sys.exit(1 if failed else 0)
