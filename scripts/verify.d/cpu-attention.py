#!/usr/bin/env python3
# Attention, 32/8 heads, 8,192 keys, F16 and Q8_0: one query at least 0.7 of the read floor, 8 at least 0.7 of the F32 peak.
# Heads of 64 and 128; caches of several layers in rotation; floor and peak of the same repetition.
# A piece is one cache and head size (scripts/verify.d/pieces.py).
import json
import os
import tempfile

import common
import pieces

THREADS = int(os.environ.get("KEDGE_THREADS", 2))
REPETITIONS = int(os.environ.get("KEDGE_REPETITIONS", 9))
TARGET = 0.7

common.build()


def curve(cache, size):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("bench", "ops", "attention", "--from-memory", "--caches", cache, "--head-dims", size,
                     "--threads", THREADS, "--repetitions", REPETITIONS, "--json", out.name)
        return json.load(open(out.name))["curves"][0]


verdict = common.Verdict()
taken = pieces.Pieces("cpu-attention")
for cache in ("f16", "q8_0"):
    for size in (64, 128):
        found = taken.take(f"{cache} {size}", lambda: curve(cache, size))
        if found is None:
            continue
        limits = found["limits"][len(found["limits"]) // 2]
        print(f"  {found['name']}: " + "   ".join(
            f"{w['n']} rows {w['microseconds']['median']:.0f} us, {w['share_of_floor']['median']:.2f} of the "
            f"floor, {w['share_of_peak']['median']:.2f} of the peak" for w in found["widths"])
            + f"   ({limits['floor_gb_per_s']:.1f} GB/s, {limits['peak_gmac_per_s'][found['family']]:.0f} GMAC/s)")
        one, eight = found["widths"]
        verdict.at_least(f"{cache}, heads of {size}: one query, of the floor",
                         one["share_of_floor"]["median"], TARGET)
        verdict.at_least(f"{cache}, heads of {size}: 8 queries, of the F32 peak",
                         eight["share_of_peak"]["median"], TARGET)
taken.done(verdict)
