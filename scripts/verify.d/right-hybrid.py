#!/usr/bin/env python3
# Random small Qwen3.5 with 1, 2, 3 value heads per key head: max|a-b| <= 1e-4 max|b| against transformers; llama.cpp's argmax.
import logging
import os
import pathlib
import random
import sys
import tempfile

import common

(numpy, safetensors, torch, transformers) = common.need("numpy", "safetensors.numpy", "torch",
                                                        "transformers")
common.need("gguf")
sys.path.insert(0, str(common.root / "tests/golden"))
import tiny_hybrids  # noqa: E402

SEED = int(os.environ.get("KEDGE_SEED", "1"))
PER_RATIO, ROWS = 6, 200


def random_row(ratio, dice, number):
    """Sizes that both transformers and llama.cpp can: keys as wide as values."""
    kv = dice.choice([1, 2, 3])
    head_dim = dice.choice([16, 20, 32, 40])
    layers = dice.randrange(2, 9)
    attention = sorted(dice.sample(range(layers), dice.randrange(1, max(2, layers // 2) + 1)))
    attention = attention[:layers - 1]
    key_heads, dim = dice.choice([1, 2, 3]), dice.choice([8, 12, 16, 20])
    return tiny_hybrids.row(
        seed=1000 * SEED + 100 * ratio + number, layers=layers, width=dice.randrange(20, 70),
        ff=dice.randrange(20, 90), heads=kv * dice.choice([1, 2, 3]), kv=kv, head_dim=head_dim,
        key_heads=key_heads, value_heads=ratio * key_heads, key_dim=dim, value_dim=dim,
        taps=4 if number % 2 == 0 else dice.choice([2, 3, 4]), vocabulary=dice.randrange(60, 200),
        tied=dice.random() < 0.5, stored=torch.float32, rotary=dice.choice([4, 8, 12]),
        attention=attention, nested=dice.random() < 0.5, further=dice.random() < 0.5)


def text(r):
    return (f"{r['layers']} layers, attention in {r['attention']}, width {r['width']}, "
            f"{r['key_heads']}/{r['value_heads']} heads of {r['key_dim']}, {r['taps']} taps, "
            f"seed {r['seed']}")


def kedge_logits(path, tokens, folder):
    out = folder / "logits.safetensors"
    common.kedge("logits", "--model", path, "--cache", "f32", "--width", 16, "--out", out,
                 "--tokens", ",".join(map(str, tokens)))
    return safetensors.load_file(out)["logits"]


def difference(ours, theirs):
    assert ours.shape == theirs.shape
    return float((numpy.abs(ours - theirs).max(axis=1) / numpy.abs(theirs).max(axis=1)).max())


def same_choices(path, tokens, ours):
    """Positions at which llama.cpp, given the same file, has the largest logit where we have it."""
    import llama_peer
    peer = llama_peer.Llama(path, 2, 256, flash=False, cache="f32")
    peer.run([int(t) for t in tokens], want_all=True)
    return int((peer.logits(len(tokens)).argmax(axis=1) == ours.argmax(axis=1)).sum())


def goldens(verdict, folder):
    for file in sorted((common.root / "tests/golden/hybrid").glob("*.safetensors")):
        golden = safetensors.load_file(file)
        for form, path in (("GGUF", file.with_suffix(".gguf")), ("folder", file.with_suffix(""))):
            ours = kedge_logits(path, golden["tokens"], folder)
            verdict.at_most(f"{file.stem} from {form}: {len(ours)} rows",
                            difference(ours, golden["logits"]), 1e-4)


def main():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    common.build()
    try:
        import llama_cpp  # noqa: F401
        peer = True
    except ImportError:
        peer = False
        print("  llama.cpp is absent (no Python package llama_cpp): its choices are not compared")
    verdict = common.Verdict()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        goldens(verdict, folder)
        for ratio in (1, 2, 3):
            dice = random.Random(f"{SEED} {ratio}")
            worst = {"GGUF": (-1.0, ""), "folder": (-1.0, "")}
            fewest = (ROWS + 1, "")
            for number in range(PER_RATIO):
                r = random_row(ratio, dice, number)
                model = tiny_hybrids.make_model(r)
                tiny_hybrids.write_folder(folder / "model", model, r)
                tiny_hybrids.convert.convert(folder / "model", folder / "model.gguf", "f32")
                tokens, theirs = tiny_hybrids.logits_of(model, r["seed"], ROWS)
                for form, path in (("GGUF", folder / "model.gguf"), ("folder", folder / "model")):
                    ours = kedge_logits(path, tokens, folder)
                    worst[form] = max(worst[form], (difference(ours, theirs), text(r)))
                    if form == "GGUF" and peer:
                        fewest = min(fewest, (same_choices(path, tokens, ours), text(r)))
            for form, (value, what) in worst.items():
                verdict.at_most(f"{ratio} value heads per key head, from {form}: worst of "
                                f"{PER_RATIO} configurations ({what})", value, 1e-4)
            if peer:
                verdict.at_least(f"{ratio} value heads per key head: positions of {ROWS} where "
                                 f"llama.cpp chooses the same token, fewest ({fewest[1]})",
                                 fewest[0], ROWS)
    verdict.done()


main()
