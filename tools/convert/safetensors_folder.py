"""The safetensors files of a Hugging Face folder as NumPy arrays, BF16 included, without torch."""
import json
import pathlib

import numpy as np

TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}


class Tensor:
    def __init__(self, path, entry, start):
        self.path, self.type, self.shape = path, entry["dtype"], entry["shape"]
        self.begin = start + entry["data_offsets"][0]

    def f32(self):
        if self.type not in TYPES:
            raise SystemExit(f"{self.path}: expected F32, F16, BF16 or F64, found {self.type}")
        stored = np.memmap(self.path, TYPES[self.type], "r", self.begin, tuple(self.shape))
        if self.type == "BF16":
            return (stored.astype(np.uint32) << 16).view(np.float32)
        return stored.astype(np.float32)


def tensors(folder):
    """Name to Tensor, of all files of the folder."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        for name, entry in header.items():
            if name != "__metadata__":
                found[name] = Tensor(path, entry, 8 + size)
    if not found:
        raise SystemExit(f"{folder}: expected safetensors files, found none")
    return found
