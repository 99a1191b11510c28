"""make_far.py IN.gguf OUT.gguf GAP: the same model with every second tensor's data GAP bytes further on, in a sparse file.

Offsets are 64-bit numbers, so this says the same as IN.gguf, in a file of more than GAP bytes that takes hardly any disk."""
import struct, sys

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGN = 32


def number(data, at, form):
    return struct.unpack_from("<" + form, data, at)[0]


def text_end(data, at):
    return at + 8 + number(data, at, "Q")


def value_end(data, at, kind):
    if kind == 8:
        return text_end(data, at)
    if kind != 9:
        return at + SIZES[kind]
    inner, count = number(data, at, "I"), number(data, at + 4, "Q")
    at += 12
    if inner != 8:
        return at + count * SIZES[inner]
    for _ in range(count):
        at = text_end(data, at)
    return at


def main(source, target, gap):
    data = open(source, "rb").read()
    tensors, values = struct.unpack_from("<QQ", data, 8)
    at = 24
    for _ in range(values):
        at = text_end(data, at)
        at = value_end(data, at + 4, number(data, at, "I"))
    places, offsets = [], []
    for _ in range(tensors):
        at = text_end(data, at)
        at += 4 + 8 * number(data, at, "I") + 4
        places.append(at)
        offsets.append(number(data, at, "Q"))
        at += 8
    start = (at + ALIGN - 1) // ALIGN * ALIGN
    ends = {begin: end for begin, end in zip(sorted(offsets), sorted(offsets)[1:] + [len(data) - start])}
    header = bytearray(data[:start])
    with open(target, "wb") as out:
        for i, (place, offset) in enumerate(zip(places, offsets)):
            moved = offset + gap * (i % 2)
            struct.pack_into("<Q", header, place, moved)
            out.seek(start + moved)
            out.write(data[start + offset:start + ends[offset]])
        out.seek(0)
        out.write(header)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
