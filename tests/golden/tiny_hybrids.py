#!/usr/bin/env python3
"""Makes tests/golden/hybrid: small random Qwen3.5 models and the logits that transformers gives them.

Each model becomes a folder NAME/ as transformers writes it, NAME.gguf (F32) made of it by
tools/convert, and NAME.safetensors: `tokens` (i32) and `logits` (f32, tokens x vocabulary), computed
in double throughout. Together they cover 1, 2 and 3 value heads per key head, odd
sizes, keys and values of different sizes, convolutions of 2 to 4 taps, layers in regular and other
orders, tied and separate output heads, the nested form of models that also see, and a head that
predicts one token more.

usage: tests/golden/tiny_hybrids.py [FOLDER [NAME...]]
Needs torch, transformers, gguf, safetensors, numpy.
"""
import contextlib
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen3_5TextConfig

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/convert"))
import convert  # noqa: E402
import tiny_models  # noqa: E402

TOKENS = 72


def row(seed, layers, width, ff, heads, kv, head_dim, key_heads, value_heads, key_dim, value_dim,
        taps, vocabulary, tied, stored, rotary=8, attention=None, nested=False, further=False,
        shard=None):
    return dict(locals())


F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16
MODELS = {
    "one": row(11, 2, 32, 48, 2, 1, 32, 2, 2, 16, 16, 4, 96, True, F32, attention=[1]),
    "two": row(12, 4, 40, 36, 4, 2, 32, 2, 4, 16, 16, 4, 101, False, BF16, nested=True, further=True,
               shard="60KB"),
    "three": row(13, 5, 24, 44, 3, 1, 32, 2, 6, 8, 8, 4, 87, True, F16, attention=[1, 4]),
    "unequal": row(14, 8, 28, 20, 3, 3, 20, 1, 3, 12, 20, 3, 90, False, F32, rotary=12,
                   attention=[3, 7]),
    "short": row(15, 4, 20, 33, 2, 2, 16, 3, 3, 5, 7, 2, 75, True, F32, rotary=4),
}


def sections(rotary):
    """As many frequencies turn by time, height and width as interleaving them gives."""
    return [len(range(first, rotary // 2, 3)) for first in range(3)]


def make_model(r):
    full = r["attention"] if r["attention"] is not None else range(3, r["layers"], 4)
    config = Qwen3_5TextConfig(
        hidden_size=r["width"], intermediate_size=r["ff"], num_hidden_layers=r["layers"],
        num_attention_heads=r["heads"], num_key_value_heads=r["kv"], head_dim=r["head_dim"],
        linear_num_key_heads=r["key_heads"], linear_num_value_heads=r["value_heads"],
        linear_key_head_dim=r["key_dim"], linear_value_head_dim=r["value_dim"],
        linear_conv_kernel_dim=r["taps"], vocab_size=r["vocabulary"], tie_word_embeddings=r["tied"],
        max_position_embeddings=256, rms_norm_eps=1e-6, attn_implementation="eager",
        layer_types=["full_attention" if i in full else "linear_attention"
                     for i in range(r["layers"])],
        rope_parameters={"rope_type": "default", "rope_theta": 1e5, "mrope_interleaved": True,
                         "partial_rotary_factor": r["rotary"] / r["head_dim"],
                         "mrope_section": sections(r["rotary"])})
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(r["seed"])
    with torch.no_grad():
        # Scales that make every part matter.
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("linear_attn.norm.weight"):
                p.copy_(0.5 + torch.rand(p.shape, generator=generator))
            elif name.endswith("norm.weight") or "layernorm" in name:
                p.copy_(torch.rand(p.shape, generator=generator) - 0.5)  # around 0
            elif name.endswith("A_log"):
                # States that last a few tokens or many. Where they last for one, what is read is a
                # multiple of q.k, which is often nearly 0, and the norm behind it amplifies rounding.
                p.copy_(0.7 * noise - 2)
            elif p.dim() == 1:
                p.copy_(0.7 * noise)
            else:
                # Larger ones would make the model amplify rounding: any two ways of computing it in
                # F32, transformers' own included, would differ by more than they should.
                p.copy_(p.shape[-1] ** -0.5 * noise)
            p.copy_(p.to(r["stored"]).float())
    return model


def further_tensors(r, generator):
    """The head that predicts one token more, which transformers ignores: only its shapes matter."""
    w, q, kv, dim, ff = r["width"], r["heads"], r["kv"], r["head_dim"], r["ff"]
    shapes = {"fc": (w, 2 * w), "pre_fc_norm_embedding": (w,), "pre_fc_norm_hidden": (w,), "norm": (w,)}
    layer = {"input_layernorm": (w,), "post_attention_layernorm": (w,), "mlp.gate_proj": (ff, w),
             "mlp.up_proj": (ff, w), "mlp.down_proj": (w, ff), "self_attn.q_proj": (2 * q * dim, w),
             "self_attn.k_proj": (kv * dim, w), "self_attn.v_proj": (kv * dim, w),
             "self_attn.o_proj": (w, q * dim), "self_attn.q_norm": (dim,), "self_attn.k_norm": (dim,)}
    shapes.update({f"layers.0.{name}": shape for name, shape in layer.items()})
    return {f"mtp.{name}.weight": (0.1 * torch.randn(shape, generator=generator)).to(r["stored"])
            for name, shape in shapes.items()}


@contextlib.contextmanager
def all_in_double():
    """transformers computes norms, gates and the delta rule in F32, whatever a model's type."""
    to, single = torch.Tensor.to, torch.Tensor.float

    def widened(x):
        return torch.float64 if x is torch.float32 else x

    def patched(self, *args, **others):
        return to(self, *map(widened, args), **{key: widened(x) for key, x in others.items()})

    torch.Tensor.to, torch.Tensor.float = patched, lambda self, *_, **__: self.double()
    try:
        yield
    finally:
        torch.Tensor.to, torch.Tensor.float = to, single


def logits_of(model, seed, tokens=TOKENS):
    ids = torch.randint(0, model.config.vocab_size, (1, tokens),
                        generator=torch.Generator().manual_seed(100 + seed))
    model.double()
    with torch.no_grad(), all_in_double():
        logits = model(ids).logits[0]
    assert logits.dtype == torch.float64
    model.float()
    return ids[0].to(torch.int32).numpy(), logits.float().numpy()


def write_folder(path, model, r):
    tiny_models.write_folder(path, model, r["stored"], r["shard"])
    if not r["nested"] and not r["further"]:
        return
    files = {file: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    if r["nested"]:
        config = json.loads((path / "config.json").read_text())
        whole = {"architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5",
                 "text_config": config, "tie_word_embeddings": r["tied"],
                 "vision_config": {"model_type": "qwen3_5_vision"}}
        (path / "config.json").write_text(json.dumps(whole, indent=2) + "\n")
        files = {file: {name.replace("model.", "model.language_model.", 1)
                        if name.startswith("model.") else name: t for name, t in tensors.items()}
                 for file, tensors in files.items()}
        next(iter(files.values()))["model.visual.patch_embed.proj.bias"] = torch.zeros(4)
    if r["further"]:
        generator = torch.Generator().manual_seed(1000 + r["seed"])
        list(files.values())[-1].update(further_tensors(r, generator))
    weights = {name: file.name for file, tensors in files.items() for name in tensors}
    for file, tensors in files.items():
        save_file(tensors, file, metadata={"format": "pt"})
    index = path / "model.safetensors.index.json"
    if index.exists():
        whole = json.loads(index.read_text())
        whole["weight_map"] = dict(sorted(weights.items()))
        index.write_text(json.dumps(whole, indent=2) + "\n")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                          else pathlib.Path(__file__).parent / "hybrid")
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        r = MODELS[name]
        model = make_model(r)
        write_folder(folder / name, model, r)
        convert.convert(folder / name, folder / f"{name}.gguf", "f32", f"tiny {name}")
        tokens, logits = logits_of(model, r["seed"])
        save_file({"tokens": torch.from_numpy(tokens), "logits": torch.from_numpy(logits)},
                  folder / f"{name}.safetensors")
        size = sum(f.stat().st_size for f in folder.glob(f"{name}*/**/*") if f.is_file())
        size += sum((folder / f"{name}.{e}").stat().st_size for e in ("gguf", "safetensors"))
        print(f"{name}: {size} bytes, logits {logits.min():.3f} .. {logits.max():.3f}")


if __name__ == "__main__":
    main()
