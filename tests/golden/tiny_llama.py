#!/usr/bin/env python3
"""Makes tests/golden/tiny: small random Llama models and the logits that transformers gives them.

Each model becomes NAME.gguf (F32, our own conversion) and NAME.safetensors: `tokens` (i32, 40) and
`logits` (f32, 40 x vocabulary), computed in double wherever transformers lets us. Together they
cover grouped, multi-query and full attention, head sizes 16 and 32, one that is not width / heads,
tied and separate output heads, and linear and Llama 3 scaling of rotary positions.

usage: tests/golden/tiny_llama.py [FOLDER]
Needs torch, transformers, gguf, safetensors, numpy. Reproducible: the same versions give the same
files, other versions may differ in the last bits of the logits.
"""
import pathlib
import sys

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM

TOKENS = 40

# width, feed-forward, layers, heads, key/value heads, head size, vocabulary, tied, base, scaling
MODELS = {
    "grouped": (64, 128, 2, 4, 2, 16, 259, True, 10000.0, None),
    "linear": (80, 64, 2, 5, 1, 16, 200, False, 10000.0, {"rope_type": "linear", "factor": 4.0}),
    "llama3": (64, 64, 3, 2, 1, 32, 256, True, 500000.0,
               {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    "wide_head": (64, 32, 2, 4, 4, 32, 150, False, 1e6, None),
}


def make_model(row, seed):
    width, ff, layers, heads, kv, head_dim, vocabulary, tied, base, scaling = row
    config = LlamaConfig(
        hidden_size=width, intermediate_size=ff, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, head_dim=head_dim,
        vocab_size=vocabulary, tie_word_embeddings=tied, max_position_embeddings=128,
        rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": base, **(scaling or {})},
        attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        # Default initialisation makes attention nearly uniform and layers nearly the identity; these
        # scales make every part matter.
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.copy_(0.5 + torch.rand(p.shape, generator=generator))
            else:
                p.copy_(torch.randn(p.shape, generator=generator) * 1.5 / p.shape[1] ** 0.5)
    return model


def interleave(weight, heads):
    """Rows of a q or k matrix from halves (x0..xn, y0..yn) to pairs (x0, y0, x1, y1, ...): GGUF's
    `llama` rotates neighbours, transformers rotates halves."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def llama3_factors(config):
    """Divisors of the rotary frequencies, as GGUF files of Llama 3.1 carry them."""
    rope = config.rope_parameters
    base, dims = rope["rope_theta"], config.head_dim
    frequency = base ** (-np.arange(0, dims, 2, dtype=np.float64) / dims)
    wavelength = 2 * np.pi / frequency
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    context = rope["original_max_position_embeddings"]
    smooth = np.clip((context / wavelength - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def write_gguf(path, name, model):
    config, state = model.config, {k: v.float().numpy() for k, v in model.state_dict().items()}
    out = gguf.GGUFWriter(str(path), "llama")
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
    out.add_rope_dimension_count(config.head_dim)
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    kind = config.rope_parameters["rope_type"]
    if kind == "linear":
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(config.rope_parameters["factor"])
    out.add_tensor("token_embd.weight", state["model.embed_tokens.weight"])
    if kind == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_factors(config))
    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"blk.{i}."
        q = interleave(state[theirs + "self_attn.q_proj.weight"], config.num_attention_heads)
        k = interleave(state[theirs + "self_attn.k_proj.weight"], config.num_key_value_heads)
        out.add_tensor(ours + "attn_q.weight", np.ascontiguousarray(q))
        out.add_tensor(ours + "attn_k.weight", np.ascontiguousarray(k))
        for a, b in (("attn_norm", "input_layernorm"), ("attn_v", "self_attn.v_proj"),
                     ("attn_output", "self_attn.o_proj"), ("ffn_norm", "post_attention_layernorm"),
                     ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"),
                     ("ffn_down", "mlp.down_proj")):
            out.add_tensor(f"{ours}{a}.weight", state[f"{theirs}{b}.weight"])
    out.add_tensor("output_norm.weight", state["model.norm.weight"])
    if not config.tie_word_embeddings:
        out.add_tensor("output.weight", state["lm_head.weight"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "tiny")
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, row) in enumerate(MODELS.items(), 1):
        model = make_model(row, seed)
        write_gguf(folder / f"{name}.gguf", name, model)
        tokens = torch.randint(0, model.config.vocab_size, (1, TOKENS),
                               generator=torch.Generator().manual_seed(100 + seed))
        with torch.no_grad():
            logits = model.double()(tokens).logits[0]
        save_file({"tokens": tokens[0].numpy().astype(np.int32),
                   "logits": logits.float().numpy()}, folder / f"{name}.safetensors")
        sizes = [(folder / f"{name}.{e}").stat().st_size for e in ("gguf", "safetensors")]
        print(f"{name}: {sizes[0]} + {sizes[1]} bytes, logits {logits.min():.3f} .. {logits.max():.3f}")


if __name__ == "__main__":
    main()
