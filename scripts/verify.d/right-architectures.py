#!/usr/bin/env python3
# Random llama, mistral, qwen2, qwen3 models, GGUF and folders, F32: max|a-b| <= 1e-4 max|b| per row.
import collections
import logging
import os
import pathlib
import random
import sys
import tempfile

import common

(numpy, safetensors, torch, transformers, gguf) = common.need(
    "numpy", "safetensors.numpy", "torch", "transformers", "gguf")
sys.path.append(str(common.root / "tests/golden"))
import tiny_models  # noqa: E402

PER_ARCHITECTURE = int(os.environ.get("KEDGE_CONFIGURATIONS", "8"))
SEED = int(os.environ.get("KEDGE_SEED", "1"))


def random_row(architecture, dice, number):
    """Head counts, grouping, head sizes, widths, biases, tied heads and rope scalings at random; the
    first ones of an architecture have every scaling once."""
    kv = dice.choice([1, 2, 3, 4])
    heads = kv * dice.choice([1, 2, 3, 4])
    head_dim = dice.choice([8, 12, 16, 20, 32, 36, 64])
    # transformers wants a width that the heads divide; without a head size of its own (qwen2) it is
    # heads * head_dim.
    width = heads * (head_dim if architecture == "qwen2" else dice.choice([4, 6, 10, 16]))
    linear = {"rope_type": "linear", "factor": dice.choice([2.0, 4.0])}
    yarn = {**tiny_models.YARN, "factor": dice.choice([2.0, 4.0])}
    scalings = [None, linear, tiny_models.LLAMA3, yarn]
    others = {}
    if architecture in ("llama", "qwen3"):
        others["attention_bias"] = dice.random() < 0.5
    if architecture == "llama":
        others["mlp_bias"] = dice.random() < 0.5
    return tiny_models.row(
        seed=1000 * SEED + number, architecture=architecture, width=width,
        ff=dice.choice([24, 64, 100]), layers=dice.choice([1, 2, 3]), heads=heads, kv=kv,
        head_dim=head_dim, vocabulary=dice.randrange(50, 300), tied=dice.random() < 0.5,
        base=dice.choice([10000.0, 500000.0, 1e6]), scaling=scalings[number % len(scalings)],
        stored=torch.float32, shard=dice.choice([None, "60KB"]), **others)


def text(r):
    others = {**r["others"], "scaling": (r["scaling"] or {}).get("rope_type", "none")}
    return (f"width {r['width']}, heads {r['heads']}/{r['kv']} of {r['head_dim']}, "
            f"{'tied' if r['tied'] else 'own'} head, "
            + ", ".join(f"{k} {v}" for k, v in others.items()))


def main():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    common.build()
    verdict = common.Verdict()
    worst = collections.defaultdict(lambda: (0.0, "none"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for architecture in tiny_models.CONFIGS:
            dice = random.Random(f"{SEED} {architecture}")
            for number in range(PER_ARCHITECTURE):
                r = random_row(architecture, dice, number)
                model = tiny_models.make_model(r)
                tiny_models.write_gguf(folder / "model.gguf", "random", model)
                tiny_models.write_folder(folder / "model", model, r["stored"], r["shard"])
                tokens, theirs = tiny_models.logits_of(model, r["seed"])
                for form, path in (("GGUF", folder / "model.gguf"), ("folder", folder / "model")):
                    out = folder / "logits.safetensors"
                    common.kedge("logits", "--model", path, "--cache", "f32", "--width", 16,
                                 "--out", out, "--tokens", ",".join(map(str, tokens)))
                    ours = safetensors.load_file(out)["logits"]
                    assert ours.shape == theirs.shape
                    relative = (numpy.abs(ours - theirs).max(axis=1)
                                / numpy.abs(theirs).max(axis=1)).max()
                    key = f"{architecture} from {form}"
                    worst[key] = max(worst[key], (float(relative), text(r)))
    for key, (value, configuration) in worst.items():
        verdict.at_most(f"{key}: worst of {PER_ARCHITECTURE} configurations ({configuration})",
                        value, 1e-4)
    verdict.done()


main()
