"""Qwen3.5 (text part) from a Hugging Face folder to GGUF, arch qwen35.

What conversion changes beside names:
  norms            stored around 0, GGUF stores 1 + w; but not the norm behind the delta rule
  A_log            becomes -exp(A_log)
  conv1d           loses the extent of 1 between channels and taps
  value heads      folders group them by key head (value head h has key head h / r, r = HV / HK);
                   GGUF tiles them (h % HK): everything along value heads is reordered
Rows of q_proj stay as they are: per head its query, then its gate.
"""
import json
import pathlib

import numpy as np

MODEL_TYPES = ("qwen3_5", "qwen3_5_text")


class Config:
    def __init__(self, folder):
        path = pathlib.Path(folder) / "config.json"
        whole = json.loads(path.read_text())
        if whole.get("model_type") not in MODEL_TYPES:
            raise SystemExit(f"{path}: model_type: expected one of {', '.join(MODEL_TYPES)}, found "
                             f"{whole.get('model_type')}")
        self.path, self.text = path, whole.get("text_config", whole)
        self.layers, self.width = self["num_hidden_layers"], self["hidden_size"]
        self.key_heads, self.value_heads = self["linear_num_key_heads"], self["linear_num_value_heads"]
        self.key_dim, self.value_dim = self["linear_key_head_dim"], self["linear_value_head_dim"]
        if self.value_heads % self.key_heads:
            raise SystemExit(f"{path}: {self.value_heads} value heads are no multiple of "
                             f"{self.key_heads} key heads")
        rope = self.text.get("rope_parameters") or self.text.get("rope_scaling") or {}
        self.rope_base = rope.get("rope_theta", self.text.get("rope_theta", 1e7))
        partial = rope.get("partial_rotary_factor", self.text.get("partial_rotary_factor", 0.25))
        self.head_dim = self["head_dim"]
        self.rotary_dims = int(self.head_dim * partial)
        self.sections = rope.get("mrope_section", [11, 11, 10])

    def __getitem__(self, key):
        if self.text.get(key) is None:
            raise SystemExit(f"{self.path}: expected {key}, found none")
        return self.text[key]

    def attention(self, layer):
        types = self.text.get("layer_types")
        if types:
            return types[layer] == "full_attention"
        return (layer + 1) % self.text.get("full_attention_interval", 4) == 0


def tile(array, config, head, axis):
    """Value heads of `head` values each along `axis`, from grouped to tiled order."""
    shape = array.shape
    ratio = config.value_heads // config.key_heads
    split = shape[:axis] + (config.key_heads, ratio, head) + shape[axis + 1:]
    return np.ascontiguousarray(array.reshape(split).swapaxes(axis, axis + 1).reshape(shape))


def tile_channels(array, config):
    """Rows of q, k and v: those of v."""
    first = 2 * config.key_heads * config.key_dim
    return np.concatenate([array[:first], tile(array[first:], config, config.value_dim, 0)])


def values_axis(axis):
    return lambda a, c: tile(a, c, c.value_dim, axis)


def heads(a, c):
    return tile(a, c, 1, 0)


def plus_one(a, _):
    return 1 + a


LAYER = {  # of the folder: of GGUF, and what happens on the way
    "input_layernorm.weight": ("attn_norm.weight", plus_one),
    "post_attention_layernorm.weight": ("post_attention_norm.weight", plus_one),
    "mlp.gate_proj.weight": ("ffn_gate.weight", None),
    "mlp.up_proj.weight": ("ffn_up.weight", None),
    "mlp.down_proj.weight": ("ffn_down.weight", None),
    "self_attn.q_proj.weight": ("attn_q.weight", None),
    "self_attn.k_proj.weight": ("attn_k.weight", None),
    "self_attn.v_proj.weight": ("attn_v.weight", None),
    "self_attn.o_proj.weight": ("attn_output.weight", None),
    "self_attn.q_norm.weight": ("attn_q_norm.weight", plus_one),
    "self_attn.k_norm.weight": ("attn_k_norm.weight", plus_one),
    "linear_attn.in_proj_qkv.weight": ("attn_qkv.weight", tile_channels),
    "linear_attn.in_proj_z.weight": ("attn_gate.weight", values_axis(0)),
    "linear_attn.in_proj_a.weight": ("ssm_alpha.weight", heads),
    "linear_attn.in_proj_b.weight": ("ssm_beta.weight", heads),
    "linear_attn.conv1d.weight": ("ssm_conv1d.weight", lambda a, c: tile_channels(a[:, 0], c)),
    "linear_attn.dt_bias": ("ssm_dt.bias", heads),
    "linear_attn.A_log": ("ssm_a", lambda a, c: heads(-np.exp(a.astype(np.float64)), c)),
    "linear_attn.norm.weight": ("ssm_norm.weight", None),
    "linear_attn.out_proj.weight": ("ssm_out.weight", values_axis(1)),
}
FURTHER = {  # the head that predicts one token more
    "mtp.fc.weight": ("nextn.eh_proj.weight", None),
    "mtp.pre_fc_norm_embedding.weight": ("nextn.enorm.weight", plus_one),
    "mtp.pre_fc_norm_hidden.weight": ("nextn.hnorm.weight", plus_one),
    "mtp.norm.weight": ("nextn.shared_head_norm.weight", plus_one),
}
OUTSIDE = {
    "embed_tokens.weight": ("token_embd.weight", None),
    "norm.weight": ("output_norm.weight", plus_one),
}


def renamed(name, config):
    """GGUF's name and the change of one tensor of the folder; None: not of the text model."""
    if name == "lm_head.weight":
        return "output.weight", None
    if name in FURTHER:
        ours, change = FURTHER[name]
        return f"blk.{config.layers}.{ours}", change
    further = name.startswith("mtp.layers.")
    for prefix in ("model.language_model.", "model.", "mtp."):
        if name.startswith(prefix):
            name = name[len(prefix):]
            break
    if name.startswith("visual."):
        return None
    if name in OUTSIDE:
        return OUTSIDE[name]
    parts = name.split(".", 2)
    if len(parts) != 3 or parts[0] != "layers" or parts[2] not in LAYER:
        raise SystemExit(f"{config.path.parent}: no use for tensor {name}")
    ours, change = LAYER[parts[2]]
    return f"blk.{int(parts[1]) + (config.layers if further else 0)}.{ours}", change


def converted(tensors, config):
    """GGUF's name and F32 values of every tensor, in GGUF's order of layers."""
    tied = config.text.get("tie_word_embeddings", False)
    for name in sorted(tensors):
        if tied and name == "lm_head.weight":
            continue
        target = renamed(name, config)
        if target is None:
            continue
        ours, change = target
        values = tensors[name].f32()
        yield ours, (change(values, config) if change else values).astype(np.float32)


def write_metadata(out, config, further):
    """`further`: layers behind the others that predict further tokens."""
    out.add_context_length(config["max_position_embeddings"])
    out.add_block_count(config.layers + further)
    out.add_embedding_length(config.width)
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_vocab_size(config["vocab_size"])
    out.add_rope_dimension_count(config.rotary_dims)
    out.add_rope_dimension_sections((list(config.sections) + [0, 0, 0, 0])[:4])
    out.add_rope_freq_base(config.rope_base)
    out.add_ssm_conv_kernel(config["linear_conv_kernel_dim"])
    out.add_ssm_state_size(config.key_dim)
    out.add_ssm_group_count(config.key_heads)
    out.add_ssm_time_step_rank(config.value_heads)
    out.add_ssm_inner_size(config.value_heads * config.value_dim)
    pattern = [config.attention(i) for i in range(config.layers)]
    regular = [n for n in range(1, config.layers + 1)
               if pattern == [(i + 1) % n == 0 for i in range(config.layers)]]
    if regular:
        out.add_uint32(f"{out.arch}.full_attention_interval", regular[0])
    else:
        out.add_array(f"{out.arch}.attention.recurrent_layers",
                      [not full for full in pattern] + [False] * further)
    if further:
        out.add_uint32(f"{out.arch}.nextn_predict_layers", further)
