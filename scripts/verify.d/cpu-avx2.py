#!/usr/bin/env python3
# AVX2 alone: Kedge with --isa avx2 at least as fast as llama.cpp built for AVX2 at every width, t(8) at most 0.6 x its.
# KEDGE_LLAMA_AVX2 names the folder of llama.cpp's libraries built with GGML_NATIVE=OFF, GGML_AVX2,
# GGML_FMA, GGML_F16C and GGML_BMI2 (and nothing newer), of the version of llama-cpp-python. A piece
# is one round of a model (scripts/verify.d/pieces.py).
import json
import os
import statistics
import tempfile

import common
import peer
import pieces
import synthetic_llama

THREADS = int(os.environ.get("KEDGE_THREADS", 2))
ROUNDS = int(os.environ.get("KEDGE_ROUNDS", 3))
REPETITIONS = int(os.environ.get("KEDGE_REPETITIONS", 1))
CONTEXT, WIDTHS = 256, (1, 2, 3, 4, 5, 6, 8, 12, 16)
MODELS = {"SmolLM2 q4_1": lambda: common.model,
          "llama-1B q4_0": lambda: synthetic_llama.path_of("q4_0"),
          "llama-1B q8_0": lambda: synthetic_llama.path_of("q8_0")}

common.need_model()
common.build()


def turn(path):
    other = peer.Peer.open("llama.cpp avx2", path, THREADS, CONTEXT + 512)
    if other is None:
        common.skip("there is no llama.cpp for AVX2 to compare with")
    other.ask(do="prompt", length=CONTEXT)
    other.ask(do="passes", rows=1, calls=2)
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("bench", "cost", "--model", path, "--context", CONTEXT, "--repetitions", REPETITIONS,
                     "--isa", "avx2", "--threads", THREADS, "--json", out.name)
        ours = json.load(open(out.name))
    theirs = {str(n): other.ask(do="passes", rows=n, calls=3) for n in WIDTHS}
    other.close()
    return {"kedge": ours, "llama.cpp": theirs}


verdict = common.Verdict()
taken = pieces.Pieces("cpu-avx2")
for name, path_of in MODELS.items():
    turns = [taken.take(f"{name} #{i + 1}", lambda: turn(path_of())) for i in range(ROUNDS)]
    turns = [t for t in turns if t]
    if not turns:
        continue
    ratio = {n: statistics.median(t["kedge"]["cost"][n - 1]["ms"] / (1e3 * t["llama.cpp"][str(n)])
                                  for t in turns) for n in WIDTHS}
    print(f"  {name}, floor {statistics.median(t['kedge']['floor_gb_per_s'] for t in turns):.1f} GB/s, rows "
          + " ".join(f"{n:6}" for n in WIDTHS))
    for who, ms in (("kedge", lambda t, n: t["kedge"]["cost"][n - 1]["ms"]),
                    ("llama.cpp", lambda t, n: 1e3 * t["llama.cpp"][str(n)])):
        print(f"    {who:10} ms " + " ".join(f"{statistics.median(ms(t, n) for t in turns):6.1f}" for n in WIDTHS))
    worst = max(ratio, key=ratio.get)
    verdict.at_most(f"{name}: time, of llama.cpp's, worst at {worst} rows", ratio[worst], 1.0)
    verdict.at_most(f"{name}: t(8), of llama.cpp's", ratio[8], 0.6)
taken.done(verdict)
