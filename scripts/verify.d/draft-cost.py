#!/usr/bin/env python3
# A Markov and confidence step for 8 greedy drafts: <= 3 % of a 1B step in Q4_0, 6 % in Q8_0; a DSpark draft: <= 15 % of SmolLM2's step.
import json
import os
import pathlib
import sys
import tempfile

import common

(numpy, safetensors) = common.need("numpy", "safetensors.numpy")

HYBRID = pathlib.Path(os.environ.get("KEDGE_HYBRID", common.root / "models/hybrid-0.8B-random.Q4_0.gguf"))
BILLION = 1e9 * 18 / 32  # bytes of 10^9 weights in Q4_0
REPEAT = 40
PAIRS = 5  # of both measurements in turn; the quickest of each is the one least disturbed


def write(folder, *, width, layers, heads, kv, head_dim, ff, vocabulary, drafted, rank, taps, context):
    """A random DSpark draft of 8 slots in DeepSpec's format, anchor-first; and an input for it."""
    dice = numpy.random.default_rng(1)
    folder.mkdir()
    shapes = {"fc.weight": (width, len(taps) * width), "hidden_norm.weight": (width,),
              "norm.weight": (width,), "embed_tokens.weight": (vocabulary, width),
              "lm_head.weight": (drafted, width)}
    for i in range(layers):
        p = f"layers.{i}."
        shapes.update({
            p + "self_attn.q_proj.weight": (heads * head_dim, width),
            p + "self_attn.k_proj.weight": (kv * head_dim, width),
            p + "self_attn.v_proj.weight": (kv * head_dim, width),
            p + "self_attn.o_proj.weight": (width, heads * head_dim),
            p + "self_attn.q_norm.weight": (head_dim,), p + "self_attn.k_norm.weight": (head_dim,),
            p + "mlp.gate_proj.weight": (ff, width), p + "mlp.up_proj.weight": (ff, width),
            p + "mlp.down_proj.weight": (width, ff), p + "input_layernorm.weight": (width,),
            p + "post_attention_layernorm.weight": (width,)})
    if rank:
        shapes.update({"markov_head.markov_w1.weight": (vocabulary, rank),
                       "markov_head.markov_w2.weight": (drafted, rank),
                       "confidence_head.proj.weight": (1, width + rank),
                       "confidence_head.proj.bias": (1,)})
    tensors = {}
    for name, shape in shapes.items():
        scale = 1.0 if len(shape) == 1 else shape[-1] ** -0.5
        tensors[name] = (scale * dice.standard_normal(shape, dtype=numpy.float32)).astype(numpy.float16)
    if drafted < vocabulary:
        tensors["d2t"] = numpy.zeros(drafted, dtype=numpy.int64)
    safetensors.save_file(tensors, folder / "model.safetensors")
    config = dict(
        architectures=["Qwen3DSparkModel" if rank else "DFlashDraftModel"], model_type="qwen3",
        hidden_size=width, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv, head_dim=head_dim, vocab_size=vocabulary, draft_vocab_size=drafted,
        rms_norm_eps=1e-6, rope_theta=10000.0, max_position_embeddings=4096, block_size=8,
        target_layer_ids=taps, mask_token_id=5, sample_from_anchor=True, markov_rank=rank)
    (folder / "config.json").write_text(json.dumps(config))
    features = dice.standard_normal((context, len(taps) * width), dtype=numpy.float32)
    safetensors.save_file({"features": features, "anchor": numpy.array([7], dtype=numpy.int32)},
                          folder / "in.safetensors")


def propose_ms(folder, quantize, whole=False):
    """`whole`: with all logits corrected, not only what a greedy guess needs of them."""
    out = common.kedge("draft", "--draft", folder, "--in", folder / "in.safetensors", "--quantize", quantize,
                       "--repeat", REPEAT, "--json", "-", *(["--out", folder / "out.safetensors"] if whole else []))
    return json.loads(out)["ms"]


def step_ms(model):
    out = common.kedge("generate", "--model", model, "--tokens", "504,28899,3995,1234", "--max-tokens", 48, "--draft",
                       "none", "--json", "-")
    stats = json.loads(out)
    return stats["target_ms"] / stats["rounds"]


def judge(what, found, target):
    good = found <= target
    print(f"{'ok  ' if good else 'BAD '} {what}: {100 * found:.1f} % (target {100 * target:.0f} %)")
    return good


def main():
    common.build()
    common.need_model()
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if HYBRID.is_file():
            measured = min(step_ms(HYBRID) for _ in range(PAIRS))
            step = measured * BILLION / HYBRID.stat().st_size
            print(f"a step of {HYBRID.name} takes {measured:.2f} ms, so one of 1B in Q4_0 {step:.2f} ms")
            small = dict(width=64, layers=1, heads=1, kv=1, head_dim=32, ff=64, vocabulary=32000,
                         drafted=32000, taps=[1], context=16)
            write(folder / "with", rank=256, **small)
            write(folder / "without", rank=0, **small)
            for element, target in (("q4_0", 0.03), ("q8_0", 0.06)):
                pairs = [(propose_ms(folder / "with", element), propose_ms(folder / "without", element),
                          propose_ms(folder / "with", element, whole=True)) for _ in range(PAIRS)]
                least = [min(p[i] for p in pairs) for i in range(3)]
                cost, whole = least[0] - least[1], least[2] - least[1]
                print(f"Markov and confidence of 8 drafts, {element}: {cost:.3f} ms; "
                      f"all logits corrected {whole:.3f} ms, {100 * whole / step:.1f} %")
                good = judge(f"of a 1B step, head in {element}", cost / step, target) and good
        else:
            print(f"SKIPPED: {HYBRID} is absent (KEDGE_HYBRID)")
        write(folder / "smol", width=576, layers=2, heads=9, kv=3, head_dim=64, ff=1536, vocabulary=49152,
              drafted=8192, rank=256, taps=[1, 14, 26], context=128)
        pairs = [(step_ms(common.model), propose_ms(folder / "smol", "q4_0")) for _ in range(PAIRS)]
        step, cost = (min(p[i] for p in pairs) for i in range(2))
        print(f"a draft takes {cost:.3f} ms, a step of {common.model.name} {step:.3f} ms")
        good = judge("of its target's step, a DSpark draft", cost / step, 0.15) and good
    sys.exit(0 if good else 1)


main()
