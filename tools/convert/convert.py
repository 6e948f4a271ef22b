#!/usr/bin/env python3
"""Turns a Hugging Face folder of Qwen3.5 into a GGUF file (arch qwen35).

usage: tools/convert/convert.py FOLDER OUT.gguf [--type f32|f16|bf16] [--name NAME]

Matrices get the type, F16 by default; norms, the convolution and other small tensors stay F32.
`kedge quantize` makes Q8_0, Q4_0 or Q4_K of the result. Needs gguf and numpy.
"""
import argparse
import pathlib

import gguf
import gguf_tokenizer
import numpy as np
import qwen35
import safetensors_folder


def add_tensor(out, name, values, kind):
    if values.ndim != 2 or name.endswith("ssm_conv1d.weight") or kind == "f32":
        out.add_tensor(name, np.ascontiguousarray(values))
    elif kind == "f16":
        out.add_tensor(name, values.astype(np.float16))
    else:
        out.add_tensor(name, gguf.quants.quantize(values, gguf.GGMLQuantizationType.BF16),
                       raw_dtype=gguf.GGMLQuantizationType.BF16)


def convert(folder, path, kind="f16", name=None):
    config = qwen35.Config(folder)
    tensors = safetensors_folder.tensors(folder)
    out = gguf.GGUFWriter(str(path), "qwen35")
    out.add_name(name or pathlib.Path(folder).name)
    further = len({n.split(".")[2] for n in tensors if n.startswith("mtp.layers.")})
    qwen35.write_metadata(out, config, further)
    out.add_file_type({"f32": 0, "f16": 1, "bf16": 32}[kind])
    gguf_tokenizer.write_tokenizer(out, folder, config["vocab_size"], "qwen35")
    for ours, values in qwen35.converted(tensors, config):
        add_tensor(out, ours, values, kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--type", choices=("f32", "f16", "bf16"), default="f16")
    parser.add_argument("--name", help="general.name; the folder's by default")
    o = parser.parse_args()
    convert(o.folder, o.out, o.type, o.name)


if __name__ == "__main__":
    main()
