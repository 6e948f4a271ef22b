#!/usr/bin/env python3
"""Golden files of the block formats and of GGUF metadata.

    formats.py              writes formats.gguf and formats.safetensors beside itself
    formats.py --read FILE  reads a GGUF with the `gguf` package and prints what it holds

formats.gguf has one tensor per block format, quantized by the `gguf` package (Q4_K, Q5_K and Q6_K,
which it cannot quantize: random bytes with sane scales), and a key of every metadata type. formats.safetensors has
each tensor's values as that package decodes them, in F32. Needs: numpy, gguf, safetensors.
"""
import argparse
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Ggml
from gguf import GGUFValueType as Type
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
ROWS = 3


def f16_bytes(values):
    return np.asarray(values, dtype=np.float16).reshape(-1, 1).view(np.uint8)


def random_blocks(rng, kind, rows, width):
    """Random bytes with scales that stay finite: both signs, subnormals, zero and the largest."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    count = rows * width // block
    data = rng.integers(0, 256, size=(count, size), dtype=np.uint8)
    scales = rng.normal(0, 0.02, count)
    scales[:5] = [6.0e-8, -3.1e-5, 0.0, 65504.0, -65504.0][:count]
    if kind == Ggml.Q6_K:
        data[:, -2:] = f16_bytes(scales)
    else:
        data[:, :2] = f16_bytes(scales)
        if kind in (Ggml.Q4_1, Ggml.Q5_1, Ggml.Q4_K, Ggml.Q5_K):
            data[:, 2:4] = f16_bytes(rng.normal(0, 1, count))
    return data.reshape(rows, -1)


def weights(rng):
    """Yields (name, type, bytes as uint8 rows)."""
    width = 64
    for kind in (Ggml.F16, Ggml.BF16, Ggml.Q8_0, Ggml.Q4_0, Ggml.Q4_1):
        rows = rng.normal(0, 1, (ROWS, width)).astype(np.float32)
        rows[0] *= 1e-5  # scales near F16's subnormals
        rows[1, :32] = 0
        yield kind.name.lower(), kind, gguf.quants.quantize(rows, kind).view(np.uint8)
    for kind in (Ggml.Q8_0, Ggml.Q4_0, Ggml.Q4_1):
        yield kind.name.lower() + ".random", kind, random_blocks(rng, kind, ROWS, width)
    yield "q6_k.random", Ggml.Q6_K, random_blocks(rng, Ggml.Q6_K, ROWS, 512)
    for kind in (Ggml.Q5_0, Ggml.Q5_1):
        rows = rng.normal(0, 1, (ROWS, width)).astype(np.float32)
        rows[0] *= 1e-5
        rows[1, :32] = 0
        yield kind.name.lower(), kind, gguf.quants.quantize(rows, kind).view(np.uint8)
    for kind, width in ((Ggml.Q5_0, 64), (Ggml.Q5_1, 64), (Ggml.Q4_K, 512), (Ggml.Q5_K, 512)):
        yield kind.name.lower() + ".random", kind, random_blocks(rng, kind, ROWS, width)


def add_metadata(writer):
    writer.add_uint8("test.u8", 200)
    writer.add_int8("test.i8", -100)
    writer.add_uint16("test.u16", 60000)
    writer.add_int16("test.i16", -30000)
    writer.add_uint32("test.u32", 4000000000)
    writer.add_int32("test.i32", -2000000000)
    writer.add_uint64("test.u64", 18000000000000000000)
    writer.add_int64("test.i64", -9000000000000000000)
    writer.add_float32("test.f32", 0.1)
    writer.add_float64("test.f64", 0.1)
    writer.add_bool("test.true", True)
    writer.add_bool("test.false", False)
    writer.add_string("test.string", "Käse \u2013 \U0001F9C0")
    writer.add_key_value("test.empty", "", Type.STRING)  # add_string would leave it out

    def array(key, values, kind):
        writer.add_key_value("test.array." + key, values, Type.ARRAY, sub_type=kind)

    array("u8", [0, 255], Type.UINT8)
    array("i8", [-128, 127], Type.INT8)
    array("u16", [0, 65535], Type.UINT16)
    array("i16", [-32768, 32767], Type.INT16)
    array("u32", [0, 4294967295], Type.UINT32)
    array("i32", [-2147483648, 2147483647], Type.INT32)
    array("u64", [0, 18446744073709551615], Type.UINT64)
    array("i64", [-9223372036854775808, 9223372036854775807], Type.INT64)
    array("f32", [0.1, -2.5], Type.FLOAT32)
    array("f64", [0.1, -2.5], Type.FLOAT64)
    array("boolean", [True, False, True], Type.BOOL)
    array("string", ["a", "", "\u00e9\u00e8"], Type.STRING)


def write():
    rng = np.random.default_rng(20240607)
    writer = gguf.GGUFWriter(HERE / "formats.gguf", "test")
    add_metadata(writer)
    expected = {}
    f32 = rng.normal(0, 1, (2, 3, 5)).astype(np.float32)
    writer.add_tensor("f32", f32)
    expected["f32"] = f32
    for name, kind, data in weights(rng):
        writer.add_tensor(name, data, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(data, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / "formats.safetensors", metadata={"source": "gguf package"})


def read(path):
    reader = gguf.GGUFReader(path)
    for key, field in reader.fields.items():
        print(f"{key}: {'/'.join(t.name for t in field.types)} = {field.contents()!r}")
    for tensor in reader.tensors:
        print(f"{tensor.name}: {tensor.tensor_type.name} {tensor.shape.tolist()}, "
              f"{tensor.n_bytes} bytes at {tensor.data_offset}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--read", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.read)
    else:
        write()
