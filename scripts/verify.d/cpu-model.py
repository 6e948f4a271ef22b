#!/usr/bin/env python3
# Llama-3.2-1B and Qwen3.5-0.8B shapes, 2 threads: decode 1.25 x llama.cpp, t(8) at most 0.45 x its, t(n) at most 1.25 x the bounds.
# At 256 tokens of context: also decode at least 1.0 x and t(8) at most 0.65 x the better of
# ik_llama.cpp with and without run-time repacking; c(4) at most 1.15 and c(8) at most 1.35 where the
# floor is under 50 GB/s. At 4,096: decode at least 2 x llama.cpp, t(8) at most 0.2 x its. A piece is
# a model, a context and one round of turns (scripts/verify.d/pieces.py). KEDGE_PREPARE=1 evaluates
# the peers' long contexts and keeps them in files, beside other work; measuring needs them.
import json
import os
import statistics
import tempfile

import common
import peer
import pieces
import synthetic_hybrid
import synthetic_llama

THREADS = int(os.environ.get("KEDGE_THREADS", 2))
ROUNDS = int(os.environ.get("KEDGE_ROUNDS", 3))
REPETITIONS = int(os.environ.get("KEDGE_REPETITIONS", 2))  # of Kedge's curve within a round
DECODED, WIDTHS = 24, (1, 2, 4, 8, 16)
KINDS = os.environ.get("KEDGE_PEERS", "llama.cpp,ik,ik -rtr").split(",")
MODELS = {"llama-1B q4_0": lambda: synthetic_llama.path_of("q4_0"),
          "llama-1B q8_0": lambda: synthetic_llama.path_of("q8_0"),
          "qwen3.5-0.8B q4_0": lambda: synthetic_hybrid.path_of("q4_0"),
          "qwen3.5-0.8B q8_0": lambda: synthetic_hybrid.path_of("q8_0")}
PREPARE = os.environ.get("KEDGE_PREPARE", "0") == "1"

common.build()


def kedge_json(*arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge(*arguments, "--threads", THREADS, "--json", out.name)
        return json.load(open(out.name))


def state_file(path, kind, context):
    """Where a peer's long context is kept."""
    if context <= 512 or kind.startswith("ik"):
        return None
    return f"{path}.{kind.replace(' ', '-')}.{context}.state"


def turn(path, context, widths=WIDTHS):
    """Everybody once, so that all see the machine in the same mood."""
    result = {"kedge": kedge_json("bench", "cost", "--model", path, "--context", context,
                                  "--repetitions", REPETITIONS)}
    for kind in KINDS:
        if context > 512 and kind != "llama.cpp":
            continue
        other = peer.Peer.open(kind, path, THREADS, context + 1024)
        if other is None:
            continue
        other.ask(do="prompt", length=context, state=state_file(path, kind, context))
        other.ask(do="passes", rows=1, calls=2)
        times = {str(n): other.ask(do="passes", rows=n, calls=3) for n in widths}
        times["decode"] = statistics.median(other.ask(do="decode", count=DECODED))
        result[kind] = times
        other.close()
    return result


def judge(verdict, name, context, turns):
    widths = {n: {key: statistics.median(t["kedge"]["cost"][n - 1][key] for t in turns)
                  for key in ("ms", "c", "of_bound")} for n in range(1, 17)}
    floor = statistics.median(t["kedge"]["floor_gb_per_s"] for t in turns)
    share = statistics.median(t["kedge"]["share_of_floor"] for t in turns)
    print(f"  {name}, context {context}: floor {floor:.1f} GB/s, t(1) {widths[1]['ms']:.1f} ms, {share:.2f} of the floor")
    print("    kedge ms      " + " ".join(f"{widths[n]['ms']:6.1f}" for n in WIDTHS))
    print("    kedge c(n)    " + " ".join(f"{widths[n]['c']:6.2f}" for n in WIDTHS))
    print("    t/bound       " + " ".join(f"{widths[n]['of_bound']:6.2f}" for n in WIDTHS))
    ratio = {}  # of a peer's time, per turn, then the median
    for kind in KINDS:
        if all(kind in t for t in turns):
            ms = {n: statistics.median(1e3 * t[kind][str(n)] for t in turns) for n in WIDTHS}
            print(f"    {kind + ' ms':13} " + " ".join(f"{ms[n]:6.1f}" for n in WIDTHS)
                  + f"  c(8) {ms[8] / ms[1]:.2f}")
            ratio[kind] = {n: statistics.median(t["kedge"]["cost"][n - 1]["ms"] / 1e3 / t[kind][str(n)]
                                                for t in turns) for n in WIDTHS}
            ratio[kind]["decode"] = statistics.median(
                t[kind]["decode"] / (t["kedge"]["cost"][0]["ms"] / 1e3) for t in turns)
    where = f"{name}, {context}"
    llama = ratio.get("llama.cpp")
    if context <= 512:
        if llama and (llama["decode"] >= 1.25 or share < 0.88):
            verdict.at_least(f"{where}: decode, of llama.cpp's", llama["decode"], 1.25)
        elif share:
            verdict.at_least(f"{where}: decode, of the floor", share, 0.88)
        if llama:
            verdict.at_most(f"{where}: t(8), of llama.cpp's", llama[8], 0.45)
        iks = [ratio[kind] for kind in ("ik", "ik -rtr") if kind in ratio]
        if iks:
            verdict.at_least(f"{where}: decode, of ik_llama.cpp's", min(r["decode"] for r in iks), 1.0)
            verdict.at_most(f"{where}: t(8), of ik_llama.cpp's", max(r[8] for r in iks), 0.65)
        if floor < 50:
            verdict.at_most(f"{where}: c(4)", widths[4]["c"], 1.15)
            verdict.at_most(f"{where}: c(8)", widths[8]["c"], 1.35)
        worst = max(widths, key=lambda n: widths[n]["of_bound"])
        verdict.at_most(f"{where}: t(n) of the summed bounds, worst at {worst} rows",
                        widths[worst]["of_bound"], 1.25)
    elif llama:
        verdict.at_least(f"{where}: decode, of llama.cpp's", llama["decode"], 2.0)
        verdict.at_most(f"{where}: t(8), of llama.cpp's", llama[8], 0.2)


verdict = common.Verdict()
taken = pieces.Pieces("cpu-model")
for name, path_of in MODELS.items():
    for context in (256, 4096) if name.startswith("llama") else (256,):
        if PREPARE:
            if context > 512 and taken.only in name:
                other = peer.Peer.open("llama.cpp", path_of(), THREADS, context + 1024)
                other.ask(do="prompt", length=context, state=state_file(path_of(), "llama.cpp", context))
                other.close()
            continue
        turns = [taken.take(f"{name} {context} #{i + 1}", lambda: turn(path_of(), context))
                 for i in range(ROUNDS)]
        turns = [t for t in turns if t]
        if turns:
            judge(verdict, name, context, turns)
taken.done(verdict)
