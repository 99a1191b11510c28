#!/usr/bin/env python3
"""Writes dequant.txt: for every format a hash of what the reference runtime makes of pseudo-random blocks.

Run: scripts/get-peer; python3 tests/golden/make_dequant.py [LIBGGML_BASE]. A line is a format, how many blocks, the hash. Block bytes are
those of SplitMix64 from 0 on, little endian, so factors are infinite or no number at times; NaNs are hashed as 0x7fc00000. The hash takes
a value's 32 bits at a time: (hash ^ bits) * 0x100000001b3, from 0xcbf29ce484222325 on. So many blocks meet each entry of the largest grid.
"""
import ctypes
import pathlib
import sys
import numpy as np

HERE = pathlib.Path(__file__).parent
BLOCKS = {"F32": (4, 1), "F16": (2, 1), "BF16": (2, 1), "Q4_0": (18, 32), "Q4_1": (20, 32), "Q5_0": (22, 32), "Q5_1": (24, 32), "Q8_0": (34, 32),
          "Q2_K": (84, 256), "Q3_K": (110, 256), "Q4_K": (144, 256), "Q5_K": (176, 256), "Q6_K": (210, 256), "IQ2_XXS": (66, 256), "IQ2_XS": (74, 256),
          "IQ3_XXS": (98, 256), "IQ1_S": (50, 256), "IQ4_NL": (18, 32), "IQ3_S": (110, 256), "IQ2_S": (82, 256), "IQ4_XS": (136, 256), "IQ1_M": (56, 256),
          "TQ1_0": (54, 256), "TQ2_0": (66, 256), "MXFP4": (17, 32), "NVFP4": (36, 64), "Q1_0": (18, 128), "Q2_0": (18, 64)}
COUNT = 1000


def random_bytes(count):
    z = np.arange(1, count // 8 + 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return (z ^ z >> np.uint64(31)).astype("<u8").view(np.uint8)[:count].copy()


def dequantized(library, name, data, elements):
    values = np.zeros(elements, np.float32)
    if name == "F32":
        return data.view(np.float32)
    row = {"F16": "ggml_fp16_to_fp32_row", "BF16": "ggml_bf16_to_fp32_row"}.get(name, "dequantize_row_" + name.lower().replace("_k", "_K"))
    convert = getattr(library, row)
    convert(data.ctypes.data_as(ctypes.c_void_p), values.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(elements))
    return values


def hash_of(values):
    bits = np.where(np.isnan(values), np.uint32(0x7FC00000), values.view(np.uint32))
    result = 0xCBF29CE484222325
    for word in bits.tolist():
        result = (result ^ word) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return result


library = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else str(HERE.parents[1] / ".cache/peer/build/bin/libggml-base.so.0"))
with open(HERE / "dequant.txt", "w") as out:
    for name, (size, elements) in BLOCKS.items():
        values = dequantized(library, name, random_bytes(size * COUNT), elements * COUNT)
        out.write(f"{name} {COUNT} {hash_of(values):016x}\n")
