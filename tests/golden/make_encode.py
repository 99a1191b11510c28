#!/usr/bin/env python3
"""Writes encode.txt: for every format a hash of what the reference runtime makes of pseudo-random rows.

Run: scripts/get-peer; python3 tests/golden/make_encode.py [LIBGGML_BASE]. A line is a format, "plain" or "weighed", the hash of 24 rows of 2304
columns. Value i is sum * size: sum of the four 16-bit parts of the i-th number of SplitMix64 (from 0 on), less 131070, over 65536, and size 2 to the
power of (row % 8) * 3 - 12. In rows with row % 5 = 4 the sum is made positive; those with row % 7 = 6 are floor(sum * 4) instead. Importances: the lowest 16 bits of
number 1000000 + column, plus 1, over 65536. The hash takes a byte at a time: (hash ^ byte) * 0x100000001b3, from 0xcbf29ce484222325 on.
"""
import ctypes, pathlib, sys
import numpy as np

HERE = pathlib.Path(__file__).parent
TYPES = {"F16": (1, 1, 2), "BF16": (30, 1, 2), "Q8_0": (8, 32, 34), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24),
         "Q6_K": (14, 256, 210), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q3_K": (11, 256, 110), "Q2_K": (10, 256, 84), "IQ4_NL": (20, 32, 18),
         "IQ4_XS": (23, 256, 136), "MXFP4": (39, 32, 17)}
ROWS, COLUMNS = 24, 2304


def numbers(first, count):
    z = np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def rows():
    z = numbers(0, ROWS * COLUMNS)
    total = sum((z >> np.uint64(16 * k) & np.uint64(0xFFFF)).astype(np.int64) for k in range(4)) - 131070
    x = (total.astype(np.float32) / np.float32(65536)).reshape(ROWS, COLUMNS)
    for r in range(ROWS):
        if r % 5 == 4:
            x[r] = np.abs(x[r])
        x[r] = np.floor(x[r] * 4) if r % 7 == 6 else x[r] * np.float32(2.0 ** (r % 8 * 3 - 12))
    return x


def hash_of(data):
    result = 0xCBF29CE484222325
    for byte in data.tobytes():
        result = (result ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return result


def pointer(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


library = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else str(HERE.parents[1] / ".cache/peer/build/bin/libggml-base.so.0"))
x = rows()
importance = ((numbers(1000000, COLUMNS) & np.uint64(0xFFFF)).astype(np.float32) + 1) / np.float32(65536)
with open(HERE / "encode.txt", "w") as out:
    for name, (number, elements, size) in TYPES.items():
        for what, weights in (("plain", None), ("weighed", importance)):
            made = np.zeros(ROWS * COLUMNS // elements * size, np.uint8)
            library.ggml_quantize_chunk(number, pointer(x), pointer(made), ctypes.c_int64(0), ctypes.c_int64(ROWS), ctypes.c_int64(COLUMNS), pointer(weights))
            out.write(f"{name} {what} {hash_of(made):016x}\n")
