#!/usr/bin/env python3
# usage: layers_out.py MODEL OUT LAYER,...
# A copy of a GGUF model without these layers: a draft model of a kind (Zhang et al. 2024,
# arXiv:2309.08168, leaves layers out to draft). With SmolLM2-135M-Instruct Q4_1 and 12,16
#   kedge bench speculation --model SMOLLM2 --prompts tests/golden/prompts/speculation.jsonl \
#     --draft model:path=OUT,n=8 --window all --max-tokens 96 --ignore-end --repetitions 1 \
#     --traces tests/golden/traces/smollm2-model.txt
# wrote that file, and --draft lookup:n=16 --max-tokens 192 the one of lookups. Needs the gguf package.
import sys

from gguf import GGUFReader, GGUFValueType, GGUFWriter

source, target, out = sys.argv[1], sys.argv[2], {int(i) for i in sys.argv[3].split(",")}
reader = GGUFReader(source)
arch = reader.fields["general.architecture"].contents()
kept = [i for i in range(reader.fields[f"{arch}.block_count"].contents()) if i not in out]
writer = GGUFWriter(target, arch)
for name, field in reader.fields.items():
    if name.startswith("GGUF.") or name == "general.architecture":
        continue
    value = len(kept) if name == f"{arch}.block_count" else field.contents()
    if field.types[0] == GGUFValueType.ARRAY:
        writer.add_array(name, value)
    else:
        writer.add_key_value(name, value, field.types[0])
for tensor in reader.tensors:
    name = tensor.name
    if name.startswith("blk."):
        _, layer, rest = name.split(".", 2)
        if int(layer) in out:
            continue
        name = f"blk.{kept.index(int(layer))}.{rest}"
    writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
