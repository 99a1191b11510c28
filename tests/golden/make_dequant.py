#!/usr/bin/env python3
"""Writes dequant.bin: blocks of every format and what the reference runtime's Python package (PyPI: gguf) makes of them.

Run: python3 tests/golden/make_dequant.py. Records, little endian: u32 type, u32 elements, u32 bytes, the bytes, f32 [elements].
"""
import pathlib
import numpy as np
import gguf

FACTORS = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
           "Q5_K": [0, 2], "Q6_K": [208], "F16": [], "BF16": [], "F32": []}
rng = np.random.default_rng(1)
out = bytearray()
for name, factors in FACTORS.items():
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = 64 if elements == 1 else 6 if elements == 32 else 3
    data = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
    if elements == 1:
        exponent_byte = size - 1
        data[:, exponent_byte] = data[:, exponent_byte] & 0x80 | 0x30 + data[:, exponent_byte] % 16
    else:
        data[-1] = 0xFF
        for at in factors:
            scale = rng.normal(0, 0.1, blocks).astype("<f2")
            scale[0] = np.float16(3e-6)  # subnormal
            data[:, at:at + 2] = scale.view(np.uint8).reshape(blocks, 2)
    values = gguf.dequantize(data.reshape(1, -1), kind).astype("<f4").reshape(-1)
    assert values.size == blocks * elements and np.isfinite(values).all()
    out += np.array([kind.value, values.size, data.size], dtype="<u4").tobytes() + data.tobytes() + values.tobytes()
(pathlib.Path(__file__).parent / "dequant.bin").write_bytes(out)
print(len(out), "bytes")
