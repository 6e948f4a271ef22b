#!/usr/bin/env python3
# Tiny random Llamas from transformers, F32: max|a-b| <= 1e-4 max|b| in every row of logits.
import pathlib
import tempfile

import common

(numpy, safetensors) = common.need("numpy", "safetensors.numpy")
common.build()
verdict = common.Verdict()
with tempfile.TemporaryDirectory() as folder:
    for gguf in sorted((common.root / "tests/golden/tiny").glob("*.gguf")):
        golden = safetensors.load_file(gguf.with_suffix(".safetensors"))
        out = pathlib.Path(folder) / "logits.safetensors"
        common.kedge("logits", "--model", gguf, "--cache", "f32", "--width", 16, "--out", out,
                     "--tokens", ",".join(map(str, golden["tokens"])))
        ours, theirs = safetensors.load_file(out)["logits"], golden["logits"]
        assert ours.shape == theirs.shape
        relative = numpy.abs(ours - theirs).max(axis=1) / numpy.abs(theirs).max(axis=1)
        verdict.at_most(f"{gguf.stem}: largest relative difference of {len(theirs)} rows",
                        relative.max(), 1e-4)
verdict.done()
