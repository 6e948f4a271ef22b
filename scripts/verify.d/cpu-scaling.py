#!/usr/bin/env python3
# How c(n) grows with context, width, model size and cores: derived from bytes and multiply-adds, to 64 cores and 70B models.
# t(n) = max(W / B, n M / (0.75 P)) + max(K / B, n A / (0.75 F)): weights W and their multiply-adds M,
# keys and values K and attention's multiply-adds A; bandwidth B, int8 and F32 peaks P and F. Where
# cpu-model has measured this machine, the formula is held against it (target: within 1.25 x).
import json
import os
import pathlib
import statistics

import common

Q4_0 = 4.5 / 8  # bytes per weight
# name: weights in products, layers, heads, kv_heads, head_dim
MODELS = {"1B": (1.236e9, 16, 32, 8, 64), "8B": (7.5e9, 32, 32, 8, 128), "70B": (69.5e9, 80, 64, 8, 128)}
# name: GB/s, cores; 2-thread peaks below are per core. The first is measured, the others are assumed:
# a desktop with two channels of DDR5-5600, a server with twelve of DDR5-4800, both at 80 %.
MACHINES = {"8 cores, 72 GB/s": (72, 8), "64 cores, 370 GB/s": (370, 64)}
INT8_PER_CORE, F32_PER_CORE = 260, 62  # 1e9 multiply-adds per second, measured: vpdpbusd and FMA zmm


def seconds(model, context, n, bandwidth, int8, f32):
    weights, layers, heads, kv_heads, size = MODELS[model]
    kv = 2 * layers * kv_heads * size * 2 * context
    attention = 2 * layers * heads * size * context
    share = 0.75e9
    return (max(weights * Q4_0 / (bandwidth * 1e9), n * weights / (share * int8))
            + max(kv / (bandwidth * 1e9), n * attention / (share * f32)))


def main():
    verdict = common.Verdict()
    kept = pathlib.Path(os.environ.get("KEDGE_RESULTS", common.root / "build/verify")) / "cpu-model.json"
    machines = dict(MACHINES)
    if kept.is_file():
        turns = [v["figures"]["kedge"] for k, v in json.loads(kept.read_text()).items()
                 if k.startswith("llama-1B q4_0 256")]
        if turns:
            limits = [limit for t in turns for limit in t["limits"]]
            here = (statistics.median(limit["floor_gb_per_s"] for limit in limits),
                    statistics.median(limit["peak_gmac_per_s"].get("vpdpbusd zmm", 0) for limit in limits),
                    statistics.median(limit["peak_gmac_per_s"].get("fma zmm", 0) for limit in limits))
            for n in (1, 8):
                measured = statistics.median(t["cost"][n - 1]["ms"] for t in turns)
                derived = 1e3 * seconds("1B", 256, n, *here)
                verdict.at_most(f"1B Q4_0, 256, t({n}) measured {measured:.1f} ms, of the derived {derived:.1f} ms",
                                measured / derived, 1.25)
            machines = {f"this machine, {here[0]:.0f} GB/s": here, **machines}
    print("derived; ms of one row, then c(n)")
    print(f"{'machine':24} {'model':5} {'context':>7} {'t(1) ms':>8}" + "".join(f"{f'c({n})':>7}" for n in (2, 4, 8, 16, 32)))
    for machine, limits in machines.items():
        if len(limits) == 2:
            limits = (limits[0], limits[1] * INT8_PER_CORE, limits[1] * F32_PER_CORE)
        for model in MODELS:
            for context in (256, 4096, 32768, 131072):
                one = seconds(model, context, 1, *limits)
                print(f"{machine:24} {model:5} {context:7} {1e3 * one:8.1f}"
                      + "".join(f"{seconds(model, context, n, *limits) / one:7.2f}" for n in (2, 4, 8, 16, 32)))
    verdict.done()


main()
