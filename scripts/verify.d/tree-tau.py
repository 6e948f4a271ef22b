#!/usr/bin/env python3
# A tree of n-gram branches has a larger tau than the same drafter's chain, on tests/golden/prompts.
import json
import tempfile

import common

NODES, TOKENS, PROMPTS = 12, 64, common.root / "tests/golden/prompts/speculation.jsonl"

common.build()
common.need_model()


def taus(tree):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("bench", "speculation", "--model", common.model, "--prompts", PROMPTS, "--draft",
                     f"suffix:n={NODES},tree={tree}", "--max-tokens", TOKENS, "--ignore-end",
                     "--threads", 2, "--json", out.name)
        return {name: c["tau"] for name, c in json.load(open(out.name))["categories"].items()}


chain, tree = taus(0), taus(1)
for name in chain:
    print(f"  {name:12} chain {chain[name]:.3f}   tree {tree[name]:.3f}")
verdict = common.Verdict()
verdict.at_least(f"tau of trees of {NODES} guesses over that of chains, all prompts together",
                 tree["together"] / chain["together"], 1.0001)
verdict.done()
