#!/usr/bin/env python3
# Vulkan on a real GPU: share of the copy bandwidth, c(8), c(16), tokens/s beside llama.cpp's, host time. SKIPPED without.
# KEDGE_MODEL: at least 4 GB, or the first target means nothing. KEDGE_DEVICE: which device, by name or number.
# KEDGE_LLAMA_BENCH: a llama-bench built with GGML_VULKAN=ON; without it that comparison is left out.
import json
import os
import statistics
import subprocess
import tempfile

import common

CPU_NAMES = ("llvmpipe", "lavapipe", "SwiftShader")
device = ["--device", os.environ["KEDGE_DEVICE"]] if os.environ.get("KEDGE_DEVICE") else []


def measured(*arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge(*arguments, "--backend", "vulkan", *device, "--json", out.name)
        return json.load(open(out.name))


common.build()
try:
    found = measured("bench", "device", "--rows", "1,8,16", "--keys", "512,4096", "--calls", 32, "--rounds", 2)
except SystemExit as error:
    common.skip(f"there is no GPU here that Vulkan can use: {str(error).strip().splitlines()[-1]}")
if any(name in found["device"] for name in CPU_NAMES):
    common.skip(f"there is no GPU here: Vulkan's only device is {found['device']}, a software one. "
                "Not one of these figures is known.")
found = measured("bench", "device", "--rows", "1,8,16", "--keys", "512,4096,32768", "--calls", 32, "--rounds", 20,
                 "--copy-mb", 100)
print(f"{found['machine']}; {found['device']}; driver: see `vulkaninfo --summary`")
for name, us in found["microseconds"].items():
    print(f"  {name}: {us:.1f} us")
verdict = common.Verdict()
verdict.at_most("host time of a pass of 400 dispatches, us", found["host_us"], 50)

common.need_model()
cost = measured("bench", "cost", "--model", common.model, "--context", 512, "--repetitions", 9)
rows = {entry["n"]: entry for entry in cost["cost"]}
rate = cost["step_bytes"] / (rows[1]["ms"] * 1e6)  # GB/s
size = cost["step_bytes"] / 1e9
print(f"{common.model.name}: {size:.2f} GB a step, one row {rows[1]['ms']:.2f} ms, {rate:.0f} GB/s; "
      f"copies make {found['copy_gb_per_s']:.0f} GB/s")
verdict.at_least("GB of weights a step", size, 4)
verdict.at_least("share of the copy bandwidth", rate / found["copy_gb_per_s"], 0.75)
verdict.at_most("c(8)", rows[8]["c"], 1.15)
verdict.at_most("c(16)", rows[16]["c"], 1.3)

bench = os.environ.get("KEDGE_LLAMA_BENCH")
if not bench:
    print("SKIPPED: tokens/s beside llama.cpp's (KEDGE_LLAMA_BENCH names no llama-bench)")
else:
    done = subprocess.run([bench, "-m", common.model, "-p", "0", "-n", "64", "-d", "512", "-ngl", "99", "-r", "5",
                           "-o", "json"], capture_output=True, text=True, check=True)
    theirs = statistics.median(json.loads(done.stdout)[0]["samples_ts"])
    verdict.at_least("tokens/s, of llama.cpp's", 1e3 / rows[1]["ms"] / theirs, 1)
verdict.done()
