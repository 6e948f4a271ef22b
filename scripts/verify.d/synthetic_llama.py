# A model with the shape of Llama-3.2-1B and random weights, made where it is missing: speed does not
# depend on what weights say. No claim of its own.
import os
import pathlib

import common

(gguf, numpy) = common.need("gguf", "numpy")

folder = pathlib.Path(os.environ.get("KEDGE_MODELS", common.root / "models"))
LAYERS, WIDTH, FEED_FORWARD, VOCABULARY = 16, 2048, 8192, 128256
HEADS, KV_HEADS, HEAD_DIM = 32, 8, 64


def write(path):
    noise = numpy.random.default_rng(1)
    base = (0.02 * noise.standard_normal(1 << 22)).astype(numpy.float16)
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_name("random weights")
    out.add_context_length(131072)
    out.add_block_count(LAYERS)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(FEED_FORWARD)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(VOCABULARY)
    out.add_rope_dimension_count(HEAD_DIM)
    out.add_rope_freq_base(500000.0)
    out.add_tokenizer_model("none")
    out.add_file_type(1)

    def matrix(name, rows, width=WIDTH):
        first = int(noise.integers(base.size))
        values = numpy.resize(numpy.roll(base, first), rows * width)
        out.add_tensor(name + ".weight", values.reshape(rows, width))

    def norm(name):
        out.add_tensor(name + ".weight", numpy.ones(WIDTH, numpy.float32))

    matrix("token_embd", VOCABULARY)
    norm("output_norm")
    for i in range(LAYERS):
        p = f"blk.{i}."
        norm(p + "attn_norm")
        norm(p + "ffn_norm")
        matrix(p + "attn_q", HEADS * HEAD_DIM)
        matrix(p + "attn_k", KV_HEADS * HEAD_DIM)
        matrix(p + "attn_v", KV_HEADS * HEAD_DIM)
        matrix(p + "attn_output", WIDTH, HEADS * HEAD_DIM)
        matrix(p + "ffn_gate", FEED_FORWARD)
        matrix(p + "ffn_up", FEED_FORWARD)
        matrix(p + "ffn_down", WIDTH, FEED_FORWARD)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def path_of(kind):
    """The model in Q4_0 or Q8_0."""
    path = folder / f"llama-1B-random.{kind.upper()}.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        full = folder / "llama-1B-random.F16.gguf"
        if not full.is_file():
            write(full)
        part = path.with_suffix(".part")
        common.kedge("quantize", "--model", full, "--type", kind, "--out", part)
        part.rename(path)
    return path
