#!/usr/bin/env python3
# SmolLM2 Q4_1, 2 threads: decode at least 1.8 x llama.cpp's tokens per second, in one run.
import json
import statistics
import tempfile

import common
import llama_peer

THREADS, TOKENS, REPETITIONS, TARGET = 2, 128, 7, 1.8
PROMPT = (common.root / "tests/golden/text/ledger.txt").read_text()

common.need_model()
common.build()
peer = llama_peer.Llama(common.model, THREADS, 1024, flash=True)
prompt = peer.tokens(PROMPT)[:256]


def llama_tokens_per_second():
    peer.rollback(0)
    peer.run(prompt, want_all=False)
    seconds = 0.0
    for _ in range(TOKENS - 1):
        seconds += peer.run([int(peer.logits(1)[0].argmax())], want_all=True)
    return (TOKENS - 1) / seconds


def kedge_tokens_per_second():
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("generate", "--model", common.model, "--threads", THREADS, "--ignore-end",
                     "--max-tokens", TOKENS, "--context", 1024, "--tokens",
                     ",".join(map(str, prompt)), "--json", out.name)
        figures = json.load(open(out.name))
    assert figures["tokens"] == TOKENS, figures["tokens"]
    return figures["tokens_per_second"]


# Interleaved, so that both see the machine in the same mood; the first of each warms up.
pairs = [(kedge_tokens_per_second(), llama_tokens_per_second()) for _ in range(REPETITIONS + 1)][1:]
for ours, theirs in pairs:
    print(f"  kedge {ours:8.1f} tokens/s   llama.cpp {theirs:8.1f} tokens/s   ratio {ours / theirs:.2f}")
verdict = common.Verdict()
verdict.at_least(f"decode, median ratio of {REPETITIONS} pairs, {THREADS} threads, {len(prompt)} "
                 f"prompt tokens", statistics.median(a / b for a, b in pairs), TARGET)
verdict.done()
