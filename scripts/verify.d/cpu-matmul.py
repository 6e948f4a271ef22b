#!/usr/bin/env python3
# One matrix larger than the cache, 1 to 16 rows: t(n) at most 1.12 (K formats, and where the bounds meet: 1.25) x bound(n).
# bound(n) = max(bytes / read floor, n x multiply-adds / 0.75 of the peak), both measured in the same
# repetition; the next row at most bound(n) - bound(n-1) + 8 % of t(1); c(8) at most 1.1 where the
# floor is under 50 GB/s. Pieces: a format each, two minutes together (scripts/verify.d/pieces.py).
import json
import os
import tempfile

import common
import pieces

THREADS = int(os.environ.get("KEDGE_THREADS", 2))
REPETITIONS = int(os.environ.get("KEDGE_REPETITIONS", 9))
FORMATS = os.environ.get("KEDGE_FORMATS", "q8_0,q4_0,q4_1,bf16,q4_k,q5_k,q6_k").split(",")
SHAPE = os.environ.get("KEDGE_SHAPE", "14336x4096")
PLAIN = ("q8_0", "q4_0", "q4_1", "bf16")

common.build()


def curve(name):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("bench", "ops", "matmul", "--from-memory", "--formats", name, "--shape", SHAPE,
                     "--threads", THREADS, "--repetitions", REPETITIONS, "--json", out.name)
        return json.load(open(out.name))["curves"][0]


verdict = common.Verdict()
taken = pieces.Pieces("cpu-matmul")
for name in FORMATS:
    found = taken.take(f"{name} {SHAPE}", lambda: curve(name))
    if found is None:
        continue
    floor = sorted(limits["floor_gb_per_s"] for limits in found["limits"])[len(found["limits"]) // 2]
    widths = found["widths"]
    print(f"  {found['name']}, {found['isa']}, floor {floor:.1f} GB/s: t(1) "
          f"{widths[0]['microseconds']['median']:.0f} us, {widths[0]['share_of_floor']['median']:.2f} of the floor")
    print("    c(n)    " + " ".join(f"{w['c']['median']:5.2f}" for w in widths))
    print("    t/bound " + " ".join(f"{w['of_bound']['median']:5.2f}" for w in widths))
    # How far each width is from its own target, the worst first.
    def target(w):
        meets = 1 / 1.3 <= w["arithmetic_over_memory"] <= 1.3
        return 1.12 if name in PLAIN and not meets else 1.25
    worst = max(widths, key=lambda w: w["of_bound"]["median"] / target(w))
    verdict.at_most(f"{name}: t/bound, worst at {worst['n']} rows", worst["of_bound"]["median"],
                    target(worst))
    step = max(widths[1:], key=lambda w: w["step_excess"]["median"])
    verdict.at_most(f"{name}: a further row beyond its bound, of t(1), worst at {step['n']} rows",
                    step["step_excess"]["median"], 0.08)
    if floor < 50 and name in PLAIN:
        verdict.at_most(f"{name}: c(8)", widths[7]["c"]["median"], 1.1)
taken.done(verdict)
