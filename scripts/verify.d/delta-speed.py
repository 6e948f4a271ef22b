#!/usr/bin/env python3
# gated_delta and conv_state, 32 heads of 128 x 128, 24 layers in rotation: time against ggml's operator and memory.
import json
import os
import statistics
import tempfile

import common

THREADS = int(os.environ.get("KEDGE_THREADS", 2))
HEADS, KEY_HEADS, SIZE, LAYERS, REPETITIONS, ROUNDS = 32, 16, 128, 24, 9, 5
ROWS = (1, 8, 64)
STATE = HEADS * SIZE * SIZE * 4  # bytes of a plane
CHANNELS = (2 * KEY_HEADS + HEADS) * SIZE

common.build()
import ggml_delta  # noqa: E402  (SKIPPED where it is absent)

peers = {rows: ggml_delta.Delta(rows, 1, LAYERS if rows < 64 else 4, HEADS, KEY_HEADS, SIZE, THREADS)
         for rows in ROWS}


def ours():
    """Medians over a few rounds in which the variants take turns."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        common.kedge("bench", "recurrent", "--heads", HEADS, "--key-heads", KEY_HEADS, "--layers", LAYERS,
                     "--threads", THREADS, "--rows", ",".join(map(str, ROWS)), "--rounds", ROUNDS,
                     "--json", out.name)
        figures = json.load(open(out.name))
    times = {name: statistics.median(values) for name, values in figures["microseconds"].items()}
    # GB/s to bytes per microsecond
    floors = [1e3 * statistics.median(figures[f"{way}_gb_per_s"]) for way in ("read", "write")]
    return times, floors


# Each figure is a ratio of times taken side by side; the median of these is what is judged.
ratios = {}


def note(name, value):
    ratios.setdefault(name, []).append(value)


for repetition in range(REPETITIONS):
    theirs = {rows: statistics.median(peers[rows].microseconds() for _ in range(ROUNDS)) for rows in ROWS}
    times, (read, write) = ours()
    for rows in ROWS:
        note(f"{rows} of ggml", times[f"delta rows={rows}"] / theirs[rows])
    note("1 of floor", times["delta rows=1"] / (STATE / read + STATE / write))
    plain = times["delta rows=8"]
    note("keep", times["delta rows=8 keep=8"] / (plain + 1.2 * 8 * STATE / write))
    note("replay", times["delta rows=8 replay=4"] / plain)
    for rows in (1, 8):
        # In and out, the weight, the window's columns before the rows; and the columns that are stored.
        floor = 4 * CHANNELS * ((rows + rows + 4 + 3) / read + rows / write)
        note(f"conv {rows} of floor", times[f"conv rows={rows}"] / floor)
    print("  us per layer: " + "  ".join(f"{rows} rows {times[f'delta rows={rows}']:.0f} (ggml {theirs[rows]:.0f})"
                                         for rows in ROWS) +
          f"  keep 8 {times['delta rows=8 keep=8']:.0f}  replay 4 {times['delta rows=8 replay=4']:.0f}"
          f"  conv {times['conv rows=1']:.1f} {times['conv rows=8']:.1f}"
          f"  memory {read / 1e3:.0f} and {write / 1e3:.0f} GB/s")

found = {name: statistics.median(values) for name, values in ratios.items()}
verdict = common.Verdict()
# Either is enough: half of ggml's time, or what memory allows.
if found["1 of ggml"] <= 0.5:
    verdict.at_most("1 row, of ggml's time", found["1 of ggml"], 0.5)
else:
    print(f"1 row, of ggml's time: {found['1 of ggml']:.3g}")
    verdict.at_most("1 row, of the time to read and write the states once", found["1 of floor"], 1.2)
verdict.at_most("8 rows, of ggml's time", found["8 of ggml"], 0.3)
verdict.at_most("64 rows, of ggml's time", found["64 of ggml"], 0.25)
verdict.at_most("8 rows that keep 8 states, of the time without + 1.2 x writing them", found["keep"], 1)
verdict.at_most("8 rows after 4 replayed records, of 8 rows", found["replay"], 1.4)
verdict.at_most("conv_state, 1 row, of its floor", found["conv 1 of floor"], 1.3)
verdict.at_most("conv_state, 8 rows, of its floor", found["conv 8 of floor"], 1.3)
verdict.done()
