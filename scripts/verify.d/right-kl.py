#!/usr/bin/env python3
# SmolLM2 on plain text against transformers on the dequantized weights: mean KL at most 1.05 x llama.cpp's.
import pathlib
import tempfile

import common

(numpy, torch, transformers, gguf, safetensors) = common.need(
    "numpy", "torch", "transformers", "gguf", "safetensors.numpy")
import llama_peer  # noqa: E402  skips by itself

WINDOW = 512


def halves(weight, heads):
    """Rows of a q or k matrix from GGUF's pairs to transformers' halves."""
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def reference(path):
    """transformers' Llama in F32 with the file's weights, dequantized by the gguf package."""
    reader = gguf.GGUFReader(str(path))
    field = {k: f.contents() for k, f in reader.fields.items() if k.startswith("llama.")}
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(numpy.float32)
               for t in reader.tensors}
    heads, kv = field["llama.attention.head_count"], field["llama.attention.head_count_kv"]
    config = transformers.LlamaConfig(
        hidden_size=field["llama.embedding_length"],
        intermediate_size=field["llama.feed_forward_length"],
        num_hidden_layers=field["llama.block_count"], num_attention_heads=heads,
        num_key_value_heads=kv, vocab_size=tensors["token_embd.weight"].shape[0],
        rms_norm_eps=field["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": field["llama.rope.freq_base"]},
        max_position_embeddings=field["llama.context_length"],
        tie_word_embeddings="output.weight" not in tensors)
    state = {"model.embed_tokens.weight": tensors["token_embd.weight"],
             "model.norm.weight": tensors["output_norm.weight"],
             "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"])}
    names = {"attn_norm": "input_layernorm", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    for i in range(config.num_hidden_layers):
        ours, theirs = f"blk.{i}.", f"model.layers.{i}."
        state[theirs + "self_attn.q_proj.weight"] = halves(tensors[ours + "attn_q.weight"], heads)
        state[theirs + "self_attn.k_proj.weight"] = halves(tensors[ours + "attn_k.weight"], kv)
        for a, b in names.items():
            state[f"{theirs}{b}.weight"] = tensors[f"{ours}{a}.weight"]
    model = transformers.LlamaForCausalLM(config).eval().float()
    model.load_state_dict({k: torch.from_numpy(numpy.array(v)) for k, v in state.items()})
    return model


class Score:
    """Mean KL(reference || other) in nats, and how often both choose the same token."""

    def __init__(self):
        self.kl, self.same, self.rows = 0.0, 0, 0

    def add(self, reference, other):
        p = torch.log_softmax(torch.from_numpy(reference).double(), -1)
        q = torch.log_softmax(torch.from_numpy(other).double(), -1)
        self.kl += float((p.exp() * (p - q)).sum())
        self.same += int((reference.argmax(-1) == other.argmax(-1)).sum())
        self.rows += len(reference)

    def __str__(self):
        return f"KL {self.kl / self.rows:.6f} nats, top-1 agreement {100 * self.same / self.rows:.2f} %"


common.need_model()
common.build()
model = reference(common.model)
peers = {name: llama_peer.Llama(common.model, 1, WINDOW, flash)
         for name, flash in (("llama.cpp", False), ("llama.cpp, flash attention", True))}
windows = []
for path in sorted((common.root / "tests/golden/text").glob("*.txt")):
    tokens = peers["llama.cpp"].tokens(path.read_text())
    windows += [tokens[i:i + WINDOW] for i in range(0, len(tokens), WINDOW)]
count = sum(map(len, windows))
scores = {name: Score() for name in ("kedge", *peers)}
with tempfile.TemporaryDirectory() as folder:
    for window in windows:
        with torch.no_grad():
            truth = model(torch.tensor([window])).logits[0].numpy()
        out = pathlib.Path(folder) / "logits.safetensors"
        common.kedge("logits", "--model", common.model, "--threads", 1, "--out", out, "--tokens",
                     ",".join(map(str, window)))
        scores["kedge"].add(truth, safetensors.load_file(out)["logits"])
        for name, peer in peers.items():
            peer.rollback(0)
            peer.run(window, want_all=True)
            scores[name].add(truth, peer.logits(len(window)).copy())
print(f"{common.model.name}: {count} tokens in {len(windows)} windows, K and V in F16")
for name, score in scores.items():
    print(f"  {name:28} {score}")
verdict = common.Verdict()
verdict.at_least("tokens of text", count, 2000)
best = min(scores[name].kl for name in peers)
verdict.at_most("KL of kedge / the better KL of llama.cpp", scores["kedge"].kl / best, 1.05)
verdict.done()
