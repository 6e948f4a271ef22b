#!/usr/bin/env python3
# DFlash and DSpark drafts against speculators' own modules, F32: max|a-b| <= 1e-4 max|b| per row, same tokens.
import json
import os
import pathlib
import sys
import tempfile

import common

(torch, safetensors, transformers, speculators, gguf) = common.need(
    "torch", "safetensors.torch", "transformers", "speculators", "gguf")
sys.path.append(str(common.root / "tests/golden"))
import dspark  # noqa: E402

SEEDS = int(os.environ.get("KEDGE_CONFIGURATIONS", "3"))


def check(name, s, folder):
    """Rounds of one random draft through `kedge draft`: the worst of them, and whether tokens agree."""
    model = dspark.make(s)
    config = json.loads(model.config.to_json_string(use_diff=False))
    dspark.folder(folder / name, config, dspark.weights(model))
    expected = dspark.run(model, s)
    worst, same = 0.0, True
    for r, anchor in enumerate(expected["anchors"].tolist()):
        safetensors.save_file({"features": expected["features"][:anchor].contiguous(),
                               "anchor": expected["newest"][r:r + 1].contiguous()},
                              folder / "in.safetensors")
        common.kedge("draft", "--draft", folder / name, "--in", folder / "in.safetensors",
                     "--out", folder / "out.safetensors", "--cache", "f32")
        found = safetensors.load_file(folder / "out.safetensors")
        same = same and torch.equal(found["tokens"].long(), expected["drafts"][r].long())
        wanted = expected["logits"][r]
        error = (found["logits"] - wanted).abs().max(-1).values / wanted.abs().max(-1).values
        worst = max(worst, float(error.max()))
        if "confidences" in expected:
            worst = max(worst, float((found["confidences"] - expected["confidences"][r]).abs().max()))
    return worst, same


def main():
    transformers.utils.logging.set_verbosity_error()
    common.build()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(SEEDS):
            for name, s in dspark.DRAFTS.items():
                worst, same = check(name, dict(s, seed=s["seed"] + 100 * seed), pathlib.Path(temporary))
                good = worst <= 1e-4 and same
                failed += not good
                print(f"{'ok  ' if good else 'BAD '} {name:10} seed {s['seed'] + 100 * seed:4}: worst "
                      f"{worst:.1e} (target 1e-4), tokens {'same' if same else 'DIFFER'}")
    sys.exit(1 if failed else 0)


main()
