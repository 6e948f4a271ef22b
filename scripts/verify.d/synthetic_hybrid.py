# Models with the shape of Qwen3.5-0.8B and random weights, made where they are missing: speed does not
# depend on what weights say. One writes noise in which no token comes twice, the other texts that
# repeat themselves. No claim of its own.
import os
import pathlib

import common

(gguf, numpy) = common.need("gguf", "numpy")

folder = pathlib.Path(os.environ.get("KEDGE_MODELS", common.root / "models"))
LAYERS, WIDTH, FEED_FORWARD, VOCABULARY = 24, 1024, 3584, 248320
HEADS, KV_HEADS, HEAD_DIM = 8, 2, 256
KEY_HEADS, VALUE_HEADS, STATE, TAPS = 16, 16, 128, 4
CYCLE = 16  # tokens after which a text that repeats itself does


def write(path, repeats):
    noise = numpy.random.default_rng(1)
    base = (0.02 * noise.standard_normal(1 << 22)).astype(numpy.float16)
    out = gguf.GGUFWriter(str(path), "qwen35")
    out.add_name("random weights")
    out.add_context_length(262144)
    out.add_block_count(LAYERS)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(FEED_FORWARD)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_key_length(HEAD_DIM)
    out.add_value_length(HEAD_DIM)
    out.add_layer_norm_rms_eps(1e-6)
    out.add_vocab_size(VOCABULARY)
    out.add_rope_dimension_count(64)
    out.add_rope_dimension_sections([11, 11, 10, 0])
    out.add_rope_freq_base(1e7)
    out.add_ssm_conv_kernel(TAPS)
    out.add_ssm_state_size(STATE)
    out.add_ssm_group_count(KEY_HEADS)
    out.add_ssm_time_step_rank(VALUE_HEADS)
    out.add_ssm_inner_size(VALUE_HEADS * STATE)
    out.add_uint32("qwen35.full_attention_interval", 4)
    out.add_tokenizer_model("none")
    out.add_file_type(1)

    def matrix(name, rows, width=WIDTH, dtype=numpy.float16):
        first = int(noise.integers(base.size))
        values = numpy.resize(numpy.roll(base, first), rows * width)
        out.add_tensor(name + ".weight", values.reshape(rows, width).astype(dtype))

    def vector(name, size, value=1.0):
        out.add_tensor(name, numpy.full(size, value, numpy.float32))

    if repeats:
        # Embeddings so large that what the layers add changes little, and the head's row of each
        # token is the embedding of the one that it follows: token t is followed by the next of its
        # CYCLE. (The real model's head is its embedding; one pass reads as many bytes either way.)
        values = numpy.resize(base, (VOCABULARY, WIDTH))
        ids = numpy.arange(VOCABULARY)
        before = ids // CYCLE * CYCLE + (ids - 1) % CYCLE
        out.add_tensor("token_embd.weight", 100 * values)
        out.add_tensor("output.weight", values[before])
    else:
        matrix("token_embd", VOCABULARY)
    vector("output_norm.weight", WIDTH)
    keys, values = KEY_HEADS * STATE, VALUE_HEADS * STATE
    for i in range(LAYERS):
        p = f"blk.{i}."
        vector(p + "attn_norm.weight", WIDTH)
        vector(p + "post_attention_norm.weight", WIDTH)
        if (i + 1) % 4 == 0:
            matrix(p + "attn_q", 2 * HEADS * HEAD_DIM)
            matrix(p + "attn_k", KV_HEADS * HEAD_DIM)
            matrix(p + "attn_v", KV_HEADS * HEAD_DIM)
            matrix(p + "attn_output", WIDTH, HEADS * HEAD_DIM)
            vector(p + "attn_q_norm.weight", HEAD_DIM)
            vector(p + "attn_k_norm.weight", HEAD_DIM)
        else:
            matrix(p + "attn_qkv", 2 * keys + values)
            matrix(p + "attn_gate", values)
            matrix(p + "ssm_conv1d", 2 * keys + values, TAPS, numpy.float32)
            matrix(p + "ssm_alpha", VALUE_HEADS)
            matrix(p + "ssm_beta", VALUE_HEADS)
            vector(p + "ssm_dt.bias", VALUE_HEADS)
            vector(p + "ssm_a", VALUE_HEADS, -0.5)
            vector(p + "ssm_norm.weight", STATE)
            matrix(p + "ssm_out", WIDTH, values)
        matrix(p + "ffn_gate", FEED_FORWARD)
        matrix(p + "ffn_up", FEED_FORWARD)
        matrix(p + "ffn_down", WIDTH, FEED_FORWARD)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def path_of(kind, repeats=False):
    """The model in Q4_0 or Q8_0."""
    name = "hybrid-0.8B-" + ("repeats" if repeats else "random")
    path = folder / f"{name}.{kind.upper()}.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        full = folder / f"{name}.F16.gguf"
        if not full.is_file():
            write(full, repeats)
        part = path.with_suffix(".part")
        common.kedge("quantize", "--model", full, "--type", kind, "--out", part)
        part.rename(path)
    return path
