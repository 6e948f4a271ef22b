#!/usr/bin/env python3
"""Golden file of the quantizers: quantize.safetensors, beside this script.

x is F32 [rows, 512]; q8_0 and q4_0 are its blocks as the `gguf` package makes them, which follows
ggml's reference bit for bit; q4_k is what ggml makes of it, whose error ours is compared with.
Needs: numpy, gguf, safetensors, llama-cpp-python (for its libggml).
"""
import ctypes
import pathlib

import gguf
import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as Ggml
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
WIDTH = 512


def rows(rng):
    yield rng.normal(0, 1, WIDTH)
    yield rng.standard_t(3, WIDTH) * 0.02  # outliers, as trained weights have
    yield rng.uniform(0.2, 1, WIDTH)  # all positive: no minimum helps
    yield rng.normal(-1e-5, 1e-6, WIDTH)  # scales near F16's subnormals
    yield rng.integers(-254, 255, WIDTH) / 2 * 1.0  # halves between the quanta of q8_0
    mixed = rng.normal(0, 1, WIDTH)
    mixed[:32] = 0
    mixed[32:64] = 0.25
    mixed[64:96] = -0.25
    mixed[96:128] *= 1e-30
    mixed[128] = 4e5
    mixed[160:192] = 1e-35
    mixed[255] = -4e5
    yield mixed


def ggml_quantize(x, kind):
    folder = pathlib.Path(llama_cpp.__file__).parent / "lib"
    ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    call = ctypes.CDLL(str(folder / "libggml-base.so")).ggml_quantize_chunk
    call.restype = ctypes.c_size_t
    call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros((x.shape[0], x.shape[1] // block * size), np.uint8)
    written = call(int(kind), x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], None)
    assert written == out.size
    return out


def main():
    x = np.stack(list(rows(np.random.default_rng(20251122)))).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        golden = {"x": x, "q4_k": ggml_quantize(x, Ggml.Q4_K)}
        for kind in (Ggml.Q8_0, Ggml.Q4_0):
            golden[kind.name.lower()] = gguf.quants.quantize(x, kind).view(np.uint8)
            same = np.array_equal(golden[kind.name.lower()], ggml_quantize(x, kind))
            print(kind.name, "as ggml:", same)
    save_file(golden, HERE / "quantize.safetensors", metadata={"source": "gguf package and ggml"})


if __name__ == "__main__":
    main()
