#!/usr/bin/env python3
"""Makes tests/golden/dspark: small random DFlash and DSpark drafts and what speculators' own modules
draft with them.

Each NAME/ is a folder as speculators writes it (config.json, model.safetensors with the embedding and
the head), and NAME.safetensors what was computed in F32 on the CPU by DFlashDraftModel's backbone
(its mask, layers, norms, head), MarkovHead and ConfidenceHead:
  tokens [T] i32, features [T, taps * width]       a text and hidden states of a target
  anchors [R] i32, newest [R] i32                  the rounds: position and token of each anchor
  drafts [R, G] i32, logits [R, G, Vd], confidences [R, G]    greedy chains
The last anchor lies before the one before it: a text that was cut, and a window that moves back.
Three more folders and a file hold the weights of `first` and `dflash` in other formats: deepspec/,
model_optimizer/, zlab/ and first.gguf.

usage: tests/golden/dspark.py [FOLDER]
Needs torch, transformers, speculators, safetensors, gguf.
"""
import json
import pathlib
import sys

import gguf
import torch
from safetensors.torch import save_file
from transformers import Qwen3Config

import speculators.models.dflash.core as core
from speculators.models.dflash import DFlashSpeculatorConfig
from speculators.models.dflash.core import DFlashDraftModel
from speculators.models.dspark.config import DSparkSpeculatorConfig
from speculators.models.dspark.core import DSparkDraftModel

TOKENS, VOCABULARY, WIDTH, TAPS = 150, 131, 32, [1, 3, 6]
ANCHORS = [21, 26, 27, 90, 132, 70]


def spec(seed, head="vanilla", anchor_first=True, types=("full_attention", "full_attention"),
         reduced=False, non_causal=False, block=6, rank=16, window=9, bias=False, with_markov=True):
    return dict(locals())


FULL, SLIDING = "full_attention", "sliding_attention"
DRAFTS = {
    "first": spec(1),
    "gated": spec(2, "gated", reduced=True, types=(SLIDING, FULL), bias=True),
    "rnn": spec(3, "rnn", types=(SLIDING, SLIDING), non_causal=True, with_markov=False),
    "bonus": spec(4, anchor_first=False, reduced=True, types=(FULL, SLIDING), window=70),
    "bonus_rnn": spec(5, "rnn", anchor_first=False, reduced=True, block=8),
    "dflash": spec(6, None, anchor_first=False, types=(SLIDING, FULL), rank=0),
}


def make(s):
    torch.manual_seed(s["seed"])
    layer = Qwen3Config(
        hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, vocab_size=VOCABULARY, rms_norm_eps=1e-5,
        rope_parameters={"rope_theta": 5000.0, "rope_type": "default"}, layer_types=list(s["types"]),
        sliding_window=s["window"] if SLIDING in s["types"] else None,
        use_sliding_window=SLIDING in s["types"], attention_bias=s["bias"],
        max_position_embeddings=512, tie_word_embeddings=False)
    layer._attn_implementation = "eager"
    common = dict(
        transformer_layer_config=layer, draft_vocab_size=48 if s["reduced"] else VOCABULARY,
        block_size=s["block"], aux_hidden_state_layer_ids=TAPS, mask_token_id=VOCABULARY - 2,
        sliding_window_non_causal=s["non_causal"], sample_from_anchor=s["anchor_first"])
    if s["rank"] == 0:
        model = DFlashDraftModel(DFlashSpeculatorConfig(**common))
    else:
        model = DSparkDraftModel(DSparkSpeculatorConfig(
            markov_rank=s["rank"], markov_head_type=s["head"], enable_confidence_head=True,
            confidence_head_with_markov=s["with_markov"], **common))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                norm = "norm" in name
                p.copy_((1.0 if norm else 0.0) + 0.2 * torch.randn_like(p))
            else:
                scale = {"embed_tokens": 1.0, "markov_w1": 1.0, "markov_w2": 0.5}
                s_ = next((v for k, v in scale.items() if k in name), p.shape[1] ** -0.5)
                p.copy_(s_ * torch.randn_like(p))
        if s["reduced"]:
            kept = torch.randperm(VOCABULARY)[:48].sort().values
            model.d2t.copy_(kept - torch.arange(48))
            model.t2d[kept] = True
    return model.eval()


def chain(model, s, hidden, base, anchor):
    """Slot after slot, each given the token before, with the modules' own functions."""
    first = 0 if s["anchor_first"] else 1
    previous = [anchor] * s["block"]
    drafts, logits, confidences = [], [], []
    for slot in range(first, s["block"]):
        ids = torch.tensor([previous])
        row = base[slot].clone()
        emb = None
        if s["rank"] > 0:
            emb = model.markov_head.prev_embeddings(ids)
            row += model.markov_head.block_bias(prev_token_ids=ids, hidden_states=hidden[None],
                                                prev_emb=emb)[0, slot]
            x = torch.cat([hidden[None], emb], -1) if s["with_markov"] else hidden[None]
            confidences.append(torch.sigmoid(model.confidence_head(x))[0, slot])
        i = int(row.argmax())
        token = i + int(model.d2t[i]) if s["reduced"] else i
        drafts.append(token)
        logits.append(row)
        if slot + 1 < s["block"]:
            previous[slot + 1] = token
    return drafts, torch.stack(logits), confidences


@torch.no_grad()
def run(model, s):
    features = torch.randn(TOKENS, len(TAPS) * WIDTH)
    tokens = torch.randint(0, VOCABULARY - 3, (TOKENS,))
    anchors = torch.tensor(ANCHORS)
    core.select_anchors = lambda mask, count, block: (anchors, torch.ones(len(anchors), dtype=bool))
    newest, drafts, logits, confidences = [], [], [], []
    hidden, base, *_ = model._backbone_forward(
        features[None], tokens[None], torch.ones(1, TOKENS), torch.zeros(1, TOKENS, WIDTH),
        torch.zeros(1, TOKENS, dtype=torch.long), max_anchors=len(ANCHORS))
    for r, a in enumerate(ANCHORS):
        rows = slice(r * s["block"], (r + 1) * s["block"])
        d, l, c = chain(model, s, hidden[0, rows], base[0, rows], int(tokens[a]))
        newest.append(int(tokens[a]))
        drafts.append(d)
        logits.append(l)
        confidences.append(torch.stack(c) if c else torch.zeros(0))
    i32 = torch.int32
    out = dict(tokens=tokens.to(i32), features=features, anchors=anchors.to(i32),
               newest=torch.tensor(newest, dtype=i32), drafts=torch.tensor(drafts, dtype=i32),
               logits=torch.stack(logits))
    if s["rank"] > 0:
        out["confidences"] = torch.stack(confidences)
    return out


def weights(model):
    return {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("verifier_")}


def flat(model, **more):
    c = model.config.transformer_layer_config
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "head_dim", "vocab_size", "rms_norm_eps", "layer_types",
            "sliding_window", "max_position_embeddings", "attention_bias")
    return dict({k: getattr(c, k) for k in keys}, model_type="qwen3", rope_theta=5000.0,
                hidden_act="silu", tie_word_embeddings=False, num_target_layers=8,
                block_size=model.config.block_size, **more)


def folder(path, config, tensors):
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(tensors, path / "model.safetensors")


def write_gguf(path, model, s):
    c = model.config.transformer_layer_config
    w = gguf.GGUFWriter(path, "dflash")
    w.add_block_count(c.num_hidden_layers)
    w.add_embedding_length(WIDTH)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_rope_freq_base(5000.0)
    w.add_context_length(512)
    w.add_uint32("dflash.block_size", s["block"])
    w.add_array("dflash.target_layers", TAPS)
    w.add_bool("dflash.sample_from_anchor", s["anchor_first"])
    w.add_uint32("tokenizer.ggml.mask_token_id", model.config.mask_token_id)
    if SLIDING in s["types"]:
        w.add_uint32("dflash.attention.sliding_window", s["window"])
        w.add_array("dflash.attention.sliding_window_pattern", [t == SLIDING for t in s["types"]])
    names = {"fc.weight": "fc.weight", "hidden_norm.weight": "enc.output_norm.weight",
             "norm.weight": "output_norm.weight", "embed_tokens.weight": "token_embd.weight",
             "lm_head.weight": "output.weight", "confidence_head.proj.weight": "conf_proj.weight",
             "confidence_head.proj.bias": "conf_proj.bias",
             "markov_head.markov_w1.weight": "markov_w1.weight",
             "markov_head.markov_w2.weight": "markov_w2.weight"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
             "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    for name, value in weights(model).items():
        if name == "t2d":
            continue
        if name == "d2t":  # absolute there
            w.add_tensor("d2t", (value + torch.arange(len(value))).numpy())
            continue
        if name.startswith("layers."):
            _, i, rest = name.split(".", 2)
            part, end = rest.rsplit(".", 1)
            name = f"blk.{i}.{parts[part]}.{end}"
        else:
            name = names[name]
        w.add_tensor(name, value.numpy())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "dspark")
    out.mkdir(exist_ok=True)
    for name, s in DRAFTS.items():
        model = make(s)
        config = json.loads(model.config.to_json_string(use_diff=False))
        for key in ("transformers_version", "_attn_implementation_autoset"):
            config.pop(key, None)
        if name == "bonus":  # as such files were written until 2026-07-13
            config.pop("sample_from_anchor")
            config["speculators_config"] = {
                "algorithm": "dspark",
                "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": s["block"] - 1}]}
        folder(out / name, config, weights(model))
        save_file(run(model, s), out / f"{name}.safetensors")
        ids = [k - 1 for k in TAPS]
        if name == "first":
            folder(out / "deepspec", flat(
                model, architectures=["Qwen3DSparkModel"], target_layer_ids=ids,
                mask_token_id=VOCABULARY - 2, markov_rank=s["rank"], markov_head_type="vanilla",
                enable_confidence_head=True, confidence_head_with_markov=True), weights(model))
            folder(out / "model_optimizer", flat(
                model, architectures=["DFlashDraftModel"],
                dflash_config=dict(mask_token_id=VOCABULARY - 2, target_layer_ids=ids, causal=False,
                                   projector_type="dspark", shift_label=True, markov_rank=s["rank"],
                                   markov_head_type="vanilla", use_confidence_head=True)),
                # its modules have no prefix, and the confidence head no module of its own
                {k.replace("confidence_head.proj", "confidence_proj").replace("markov_head.", ""): v
                 for k, v in weights(model).items()})
        if name == "dflash":
            folder(out / "zlab", flat(
                model, architectures=["DFlashDraftModel"],
                dflash_config={"mask_token_id": VOCABULARY - 2, "target_layer_ids": ids}),
                weights(model))
        if name in ("first", "bonus"):
            write_gguf(out / f"{name}.gguf", model, s)


if __name__ == "__main__":
    main()
