#!/usr/bin/env python3
# SmolLM2 Q4_1, 2 threads, context 256: a pass of 8 rows costs at most 2.2 passes of one row, c(8) <= 2.2.
import json
import statistics
import tempfile

import common

THREADS, CONTEXT, REPETITIONS, TARGET = 2, 256, 9, 2.2

common.need_model()
common.build()


def kedge_cost():
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("bench", "cost", "--model", common.model, "--threads", THREADS, "--context",
                     CONTEXT, "--repetitions", REPETITIONS, "--json", out.name)
        return json.load(open(out.name))


def llama_cost(widths):
    """c(n) of llama.cpp: logits for all n rows, undone afterwards; order shuffled per repetition."""
    import random

    import llama_peer
    peer = llama_peer.Llama(common.model, THREADS, 2 * CONTEXT, flash=True)
    tokens = peer.tokens((common.root / "tests/golden/text/harbour.txt").read_text())
    peer.run(tokens[:CONTEXT], want_all=False)
    ratios, one = {n: [] for n in widths}, []
    for repetition in range(REPETITIONS + 1):
        times = {}
        for n in random.Random(repetition).sample(widths, len(widths)):
            peer.rollback(CONTEXT)
            peer.run(tokens[CONTEXT:CONTEXT + n], want_all=True)
            peer.rollback(CONTEXT)
            times[n] = peer.run(tokens[CONTEXT:CONTEXT + n], want_all=True)
        if repetition > 0:  # the first warms up
            one.append(times[1])
            for n in widths:
                ratios[n].append(times[n] / times[1])
    return 1e3 * statistics.median(one), {n: statistics.median(r) for n, r in ratios.items()}


cost = kedge_cost()
ours = {row["n"]: row["c"] for row in cost["cost"]}
print(f"  kedge     t(1) {cost['cost'][0]['ms']:.2f} ms, {100 * cost['share_of_floor']:.0f} % of the read floor of "
      f"{cost['floor_gb_per_s']:.1f} GB/s")
print("  kedge     " + "  ".join(f"c({n}) {c:.2f}" for n, c in ours.items()))
try:
    import llama_cpp  # noqa: F401
    ms, theirs = llama_cost([1, 2, 4, 8, 16])
    print(f"  llama.cpp t(1) {ms:.2f} ms  " + "  ".join(f"c({n}) {c:.2f}" for n, c in theirs.items()))
except ImportError:
    print("  llama.cpp is absent (no Python package llama_cpp); the target does not need it")
verdict = common.Verdict()
verdict.at_most("c(8)", ours[8], TARGET)
verdict.done()
