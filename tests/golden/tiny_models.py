#!/usr/bin/env python3
"""Makes tests/golden/tiny: small random models and the logits that transformers gives them.

Each model becomes NAME.gguf (F32, our own conversion) and NAME.safetensors: `tokens` (i32, 40) and
`logits` (f32, 40 x vocabulary), computed in double wherever transformers lets us. Those with a
`stored` type also become a folder NAME/ as transformers writes it; their values are exact in that
type, so that both files are the same model. Together they cover the architectures, grouped,
multi-query and full attention, head sizes that are not width / heads, tied and separate output
heads, biases, norms of queries and keys, and all scalings of rotary positions.

usage: tests/golden/tiny_models.py [FOLDER [NAME...]]
Needs torch, transformers, gguf, safetensors, numpy. Reproducible: the same versions give the same
files, other versions may differ in the last bits of the logits.
"""
import copy
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

TOKENS = 40
CONFIGS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def row(seed, architecture, width, ff, layers, heads, kv, head_dim, vocabulary, tied, base,
        scaling=None, stored=None, shard=None, **others):
    return dict(locals())


MODELS = {
    "grouped": row(1, "llama", 64, 128, 2, 4, 2, 16, 259, True, 10000.0),
    "linear": row(2, "llama", 80, 64, 2, 5, 1, 16, 200, False, 10000.0,
                  {"rope_type": "linear", "factor": 4.0}),
    "llama3": row(3, "llama", 64, 64, 3, 2, 1, 32, 256, True, 500000.0, LLAMA3),
    "wide_head": row(4, "llama", 64, 32, 2, 4, 4, 32, 150, False, 1e6),
    "biased": row(5, "llama", 32, 64, 2, 4, 2, 16, 128, True, 500000.0, LLAMA3, torch.float16,
                  attention_bias=True, mlp_bias=True),
    "qwen2": row(6, "qwen2", 48, 48, 2, 4, 2, 12, 120, True, 1e6, None, torch.bfloat16, "40KB"),
    "qwen3": row(7, "qwen3", 40, 48, 2, 4, 1, 16, 110, False, 10000.0, YARN, torch.float32),
}


def make_model(r):
    own_head = {} if r["architecture"] == "qwen2" else {"head_dim": r["head_dim"]}
    if r["architecture"] == "mistral":
        own_head["sliding_window"] = None
    config = CONFIGS[r["architecture"]](
        hidden_size=r["width"], intermediate_size=r["ff"], num_hidden_layers=r["layers"],
        num_attention_heads=r["heads"], num_key_value_heads=r["kv"],
        vocab_size=r["vocabulary"], tie_word_embeddings=r["tied"], max_position_embeddings=128,
        rms_norm_eps=1e-5, attn_implementation="eager",
        rope_parameters={"rope_type": "default", "rope_theta": r["base"], **(r["scaling"] or {})},
        **own_head, **r["others"])
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(r["seed"])
    with torch.no_grad():
        # Default initialisation makes attention nearly uniform, layers nearly the identity and biases
        # zero; these scales make every part matter.
        for name, p in model.named_parameters():
            if p.dim() == 1 and name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
            elif p.dim() == 1:
                p.copy_(0.5 + torch.rand(p.shape, generator=generator))
            else:
                p.copy_(torch.randn(p.shape, generator=generator) * 1.5 / p.shape[1] ** 0.5)
            if r["stored"] is not None:
                p.copy_(p.to(r["stored"]).float())
    return model


def head_size(config):
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def interleave(weight, heads):
    """Rows of a q or k matrix (or values of its bias) from halves (x0..xn, y0..yn) to pairs (x0, y0,
    x1, y1, ...): GGUF's `llama` rotates neighbours, transformers rotates halves."""
    rows = weight.shape[0]
    return np.ascontiguousarray(
        weight.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape))


def llama3_factors(config):
    """Divisors of the rotary frequencies, as GGUF files of Llama 3.1 carry them."""
    rope = config.rope_parameters
    base, dims = rope["rope_theta"], head_size(config)
    frequency = base ** (-np.arange(0, dims, 2, dtype=np.float64) / dims)
    wavelength = 2 * np.pi / frequency
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    context = rope["original_max_position_embeddings"]
    smooth = np.clip((context / wavelength - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


PARTS = (("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"),
         ("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm"),
         ("attn_norm", "input_layernorm"), ("attn_v", "self_attn.v_proj"),
         ("attn_output", "self_attn.o_proj"), ("ffn_norm", "post_attention_layernorm"),
         ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj"))


def write_gguf(path, name, model):
    config, state = model.config, {k: v.float().numpy() for k, v in model.state_dict().items()}
    architecture = {"mistral": "llama"}.get(config.model_type, config.model_type)
    head_dim = head_size(config)
    out = gguf.GGUFWriter(str(path), architecture)
    out.add_name(f"tiny {name}")
    out.add_tokenizer_model("none")
    out.add_vocab_size(config.vocab_size)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_dimension_count(head_dim)
    out.add_key_length(head_dim)
    out.add_value_length(head_dim)
    rope = config.rope_parameters
    out.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("linear", "yarn"):
        out.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        out.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        out.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    out.add_tensor("token_embd.weight", state["model.embed_tokens.weight"])
    if rope["rope_type"] == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_factors(config))
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for i in range(config.num_hidden_layers):
        for ours, theirs in PARTS:
            for kind in ("weight", "bias"):
                tensor = state.get(f"model.layers.{i}.{theirs}.{kind}")
                if tensor is None:
                    continue
                if architecture == "llama" and ours in heads:
                    tensor = interleave(tensor, heads[ours])
                out.add_tensor(f"blk.{i}.{ours}.{kind}", tensor)
    out.add_tensor("output_norm.weight", state["model.norm.weight"])
    if not config.tie_word_embeddings:
        out.add_tensor("output.weight", state["lm_head.weight"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_folder(path, model, stored, shard=None):
    """The folder that transformers writes, without what generation needs."""
    shutil.rmtree(path, ignore_errors=True)
    # A copy: the change of type rounds rotary frequencies too.
    copy.deepcopy(model).to(stored).save_pretrained(path, max_shard_size=shard or "5GB")
    (path / "generation_config.json").unlink(missing_ok=True)


def logits_of(model, seed, tokens=TOKENS):
    ids = torch.randint(0, model.config.vocab_size, (1, tokens),
                        generator=torch.Generator().manual_seed(100 + seed))
    with torch.no_grad():
        logits = model.double()(ids).logits[0]
    model.float()
    return ids[0].numpy().astype(np.int32), logits.float().numpy()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "tiny")
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        r = MODELS[name]
        model = make_model(r)
        write_gguf(folder / f"{name}.gguf", name, model)
        if r["stored"] is not None:
            write_folder(folder / name, model, r["stored"], r["shard"])
        tokens, logits = logits_of(model, r["seed"])
        save_file({"tokens": tokens, "logits": logits}, folder / f"{name}.safetensors")
        sizes = [(folder / f"{name}.{e}").stat().st_size for e in ("gguf", "safetensors")]
        print(f"{name}: {sizes[0]} + {sizes[1]} bytes, logits {logits.min():.3f} .. {logits.max():.3f}")


if __name__ == "__main__":
    main()
