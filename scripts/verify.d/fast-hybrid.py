#!/usr/bin/env python3
# Qwen3.5-0.8B's shape, Q4_0 and Q8_0, 2 threads: decode at least 1.2 x llama.cpp's tokens per second, c(8) <= 2.0.
import json
import random
import statistics
import tempfile

import common
import llama_peer
import synthetic_hybrid

THREADS, PROMPT, TOKENS, REPETITIONS = 2, 256, 64, 5
WIDTHS = [1, 2, 4, 8, 16]
DECODE, COST = 1.2, 2.0

common.build()
prompt = [random.Random(1).randrange(synthetic_hybrid.VOCABULARY) for _ in range(PROMPT)]


def kedge_json(*arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge(*arguments, "--threads", THREADS, "--json", out.name)
        return json.load(open(out.name))


def kedge_decode(path):
    figures = kedge_json("generate", "--model", path, "--ignore-end", "--max-tokens", TOKENS,
                         "--context", 1024, "--tokens", ",".join(map(str, prompt)))
    assert figures["tokens"] == TOKENS, figures["tokens"]
    return figures["tokens_per_second"]


def llama_decode(peer):
    peer.rollback(0)
    peer.run(prompt, want_all=False)
    seconds = 0.0
    for _ in range(TOKENS - 1):
        seconds += peer.run([int(peer.logits(1)[0].argmax())], want_all=True)
    return (TOKENS - 1) / seconds


def llama_cost(peer):
    """c(n), logits for all n rows. A recurrent state cannot be taken back there without a copy, so
    the text goes on; a few hundred tokens more change little."""
    peer.rollback(0)
    peer.run(prompt, want_all=False)
    times = {n: [] for n in WIDTHS}
    for repetition in range(REPETITIONS + 1):
        for n in random.Random(repetition).sample(WIDTHS, len(WIDTHS)):
            took = min(peer.run(prompt[:n], want_all=True) for _ in range(2))
            if repetition > 0:  # the first warms up
                times[n].append(took)
    return {n: statistics.median(t) for n, t in times.items()}


def main():
    verdict = common.Verdict()
    for kind in ("q4_0", "q8_0"):
        path = synthetic_hybrid.path_of(kind)
        peer = llama_peer.Llama(path, THREADS, 2048, flash=True)
        # Interleaved, so that both see the machine in the same mood; the first of each warms up.
        pairs = [(kedge_decode(path), llama_decode(peer)) for _ in range(REPETITIONS + 1)][1:]
        for ours, theirs in pairs:
            print(f"  {kind}: kedge {ours:7.1f} tokens/s   llama.cpp {theirs:7.1f} tokens/s   ratio "
                  f"{ours / theirs:.2f}")
        cost = kedge_json("bench", "cost", "--model", path, "--context", PROMPT, "--repetitions",
                          REPETITIONS)
        ours = {row["n"]: row["c"] for row in cost["cost"]}
        theirs = llama_cost(peer)
        print(f"  {kind}: kedge     t(1) {cost['cost'][0]['ms']:.2f} ms  "
              + "  ".join(f"c({n}) {ours[n]:.2f}" for n in WIDTHS))
        print(f"  {kind}: llama.cpp t(1) {1e3 * theirs[1]:.2f} ms  "
              + "  ".join(f"c({n}) {theirs[n] / theirs[1]:.2f}" for n in WIDTHS))
        verdict.at_least(f"{kind}: decode, median ratio of {REPETITIONS} pairs, {THREADS} threads, "
                         f"{PROMPT} prompt tokens", statistics.median(a / b for a, b in pairs),
                         DECODE)
        verdict.at_most(f"{kind}: c(8)", ours[8], COST)
        del peer
    verdict.done()


main()
