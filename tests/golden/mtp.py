#!/usr/bin/env python3
"""Makes tests/golden/hybrid/two_mtp.safetensors: what the layer that predicts further tokens of the
model `two` (tiny_hybrids.py) guesses. transformers loads none of mtp.*, so that layer is composed
here of transformers' own Qwen3_5DecoderLayer, Qwen3_5RMSNorm and rotary embedding, in double.

  tokens [T] i32, features [T, width]   the text, and what the model has behind its final norm
  anchors [R] i32                       positions of the newest token
  drafts [R, G] i32, logits [R, G, V]   greedy chains: each guess takes the one before and its own
                                        hidden state

usage: tests/golden/mtp.py
Needs torch, transformers, safetensors, numpy.
"""
import copy
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers.models.qwen3_5 import modeling_qwen3_5 as qwen

import tiny_hybrids

NAME, ANCHORS, GUESSES = "two", [5, 9, 10, 40, 70, 30], 4


def mtp_tensors(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update({k: v for k, v in load_file(file).items() if k.startswith("mtp.")})
    return tensors


def norm(config, weight):
    n = qwen.Qwen3_5RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
    n.weight = torch.nn.Parameter(weight)
    return n.double()


class Further:
    def __init__(self, model, tensors):
        config = copy.deepcopy(model.config)
        config.layer_types = ["full_attention"]
        config.num_hidden_layers = 1
        self.model = model
        self.layer = qwen.Qwen3_5DecoderLayer(config, 0)
        prefix = "mtp.layers.0."
        self.layer.load_state_dict({k[len(prefix):]: v.float() for k, v in tensors.items()
                                    if k.startswith(prefix)}, strict=True)
        self.layer.double().eval()
        self.rotary = qwen.Qwen3_5TextRotaryEmbedding(config)
        self.fc = tensors["mtp.fc.weight"].double()
        self.embedding_norm = norm(config, tensors["mtp.pre_fc_norm_embedding.weight"].float())
        self.hidden_norm = norm(config, tensors["mtp.pre_fc_norm_hidden.weight"].float())
        self.norm = norm(config, tensors["mtp.norm.weight"].float())

    def run(self, ids, hidden):
        """Rows (token at t + 1, hidden at t), all at once; the last row's hidden state, logits."""
        e = self.embedding_norm(self.model.model.embed_tokens(ids))
        u = torch.cat([e, self.hidden_norm(hidden)], -1) @ self.fc.T
        n = len(ids)
        positions = torch.arange(1, n + 1).view(1, 1, -1).expand(3, 1, -1)
        mask = torch.full((1, 1, n, n), float("-inf"), dtype=torch.float64).triu(1)
        u = self.layer(u[None], position_embeddings=self.rotary(u[None], positions),
                       attention_mask=mask)[0]
        h = self.norm(u[-1:])
        return h, self.model.lm_head(h)[0]


@torch.no_grad()
def main():
    r = tiny_hybrids.MODELS[NAME]
    folder = pathlib.Path(__file__).parent / "hybrid"
    model = tiny_hybrids.make_model(r).double()
    ids = load_file(folder / f"{NAME}.safetensors")["tokens"].long()
    with tiny_hybrids.all_in_double():
        features = model.model(ids[None]).last_hidden_state[0]
        head = Further(model, mtp_tensors(folder / NAME))
        drafts, logits = [], []
        for a in ANCHORS:
            tokens, hidden, row, rows = ids[1:a + 1].clone(), features[:a].clone(), [], []
            for _ in range(GUESSES):
                h, l = head.run(tokens, hidden)
                token = int(l.argmax())
                row.append(token)
                rows.append(l)
                tokens = torch.cat([tokens, torch.tensor([token])])
                hidden = torch.cat([hidden, h])
            drafts.append(row)
            logits.append(torch.stack(rows))
    save_file({"tokens": ids.to(torch.int32), "features": features.float().contiguous(),
               "anchors": torch.tensor(ANCHORS, dtype=torch.int32),
               "drafts": torch.tensor(drafts, dtype=torch.int32), "logits": torch.stack(logits).float()},
              folder / f"{NAME}_mtp.safetensors")
    print(drafts)


main()
