#!/usr/bin/env python3
# Vulkan: products, attention, delta rule beside ggml's on the same device; c(8) of a model beside llama.cpp's.
import json
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request

import common

common.build()
import ggml_vulkan as peer  # noqa: E402  (SKIPPED where it is absent)

CALLS, ROUNDS, REPETITIONS = 4, 3, int(os.environ.get("KEDGE_REPETITIONS", 3))
MAKE = {"product q4_0 576x576": lambda g, n: peer.product(g, CALLS, peer.Q4_0, 576, 576, n),
        "product q4_0 1536x576": lambda g, n: peer.product(g, CALLS, peer.Q4_0, 1536, 576, n),
        "attention 9/3x64 keys=512": lambda g, n: peer.attention(g, CALLS, 9, 3, 64, 512, n),
        "gated_delta 16x128x128": lambda g, n: peer.gated_delta(g, CALLS, 16, 16, 128, n, 1)}


def ours(*arguments):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge(*arguments, "--backend", "vulkan", "--json", out.name)
        return json.load(open(out.name))


ggml = peer.Ggml()
print(f"ggml on {ggml.device}")
verdict = common.Verdict()
for rows in (1, 8):
    for name, make in MAKE.items():
        calls = make(ggml, rows)
        ratios, last = [], None
        for _ in range(REPETITIONS):
            theirs = statistics.median(calls.microseconds() for _ in range(ROUNDS))
            found = ours("bench", "device", "--rows", rows, "--calls", CALLS, "--rounds", ROUNDS)
            mine = found["microseconds"][f"{name} rows={rows}"]
            ratios.append(mine / theirs)
            last = mine, theirs
        calls.close()
        print(f"  {name}, {rows} rows: {last[0]:.0f} us, ggml {last[1]:.0f} us")
        verdict.at_most(f"{name}, {rows} rows, of ggml's time", statistics.median(ratios), 1.0 if rows == 1 else 0.999)

# Whole models: the program's own c(n); llama.cpp's from the times that its server reports, of eight tokens
# behind a text that it knows, and of one.
server = peer.folder() / "llama-server"
if not server.is_file():
    print(f"SKIPPED: c(8) beside llama.cpp's ({server} is not there)")
    verdict.done()
common.need_model()
port = 18000 + os.getpid() % 1000
log = tempfile.NamedTemporaryFile()
process = subprocess.Popen([server, "-m", common.model, "--port", str(port), "-ngl", "99", "-c", "256", "-np", "1",
                            "-b", "64", "-ub", "64", "--no-warmup", "-fa", "on"], stdout=log, stderr=log,
                           env={**os.environ, "LD_LIBRARY_PATH": str(peer.folder())})


def ask(tokens, count):
    body = json.dumps({"prompt": tokens, "n_predict": count, "cache_prompt": True, "temperature": 0,
                       "ignore_eos": True}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=900))["timings"]


try:
    for _ in range(300):
        if process.poll() is not None:
            common.skip(f"llama-server ended: {open(log.name).read()[-400:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            break
        except OSError:
            time.sleep(1)
    text = list(range(1000, 1016))
    ask(text, 2)  # compiles
    theirs, absolute = [], []
    for i in range(REPETITIONS + 1):
        text += list(range(2000 + 100 * i, 2008 + 100 * i))
        t = ask(text, 3)
        assert t["prompt_n"] <= 9, f"llama-server evaluated {t['prompt_n']} tokens"
        if i > 0:  # the first meets pipelines of eight rows
            theirs.append(t["prompt_per_token_ms"] * 8 / t["predicted_per_token_ms"])
            absolute.append((t["predicted_per_token_ms"], t["prompt_per_token_ms"] * 8))
finally:
    process.terminate()
    process.wait()
found = ours("bench", "cost", "--model", common.model, "--context", 32, "--repetitions", 1)
cost = {entry["n"]: entry for entry in found["cost"]}
c8 = statistics.median(theirs)
one, eight = (statistics.median(column) for column in zip(*absolute))
print(f"  1 row {cost[1]['ms']:.0f} ms (llama.cpp {one:.0f}), 8 rows {cost[8]['ms']:.0f} ms (llama.cpp {eight:.0f}), "
      f"c(8) {cost[8]['c']:.2f} (llama.cpp {c8:.2f})")
verdict.at_most("8 rows of a model, of llama.cpp's time", cost[8]["ms"] / eight, 0.5)
verdict.at_most("c(8), of llama.cpp's", cost[8]["c"] / c8, 0.5)
verdict.done()
