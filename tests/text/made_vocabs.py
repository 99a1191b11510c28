"""made_vocabs - vocabularies for compare_reference.py: real ones with another tokenizer.ggml.pre, and small ones of the models
that the reference's sources have no file of."""
import struct

STRING, ARRAY, U32, I32, F32, BOOL, U8 = 8, 9, 4, 5, 6, 7, 0


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    if kind == STRING:
        return text(v)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U8: "<B"}[kind], v)


def write(path, pairs):
    """pairs: key -> (kind, value) or (ARRAY, kind, values)."""
    out = [struct.pack("<IIQQ", 0x46554747, 3, 0, len(pairs))]
    for key, entry in pairs.items():
        out.append(text(key) + struct.pack("<I", entry[0]))
        if entry[0] == ARRAY:
            out.append(struct.pack("<IQ", entry[1], len(entry[2])) + b"".join(value(entry[1], v) for v in entry[2]))
        else:
            out.append(value(*entry))
    path.write_bytes(b"".join(out))
    return path


def skip(data, at, kind):
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind == ARRAY:
        inner, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if inner != STRING:
            return at + count * {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}[inner]
        for _ in range(count):
            at = skip(data, at, STRING)
        return at
    return at + {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}[kind]


def rewritten(source, target, changes):
    """A file without tensors, with other strings for some keys."""
    data = source.read_bytes()
    magic, version, tensors, count = struct.unpack_from("<IIQQ", data, 0)
    assert tensors == 0
    at, parts, left = 24, [], dict(changes)
    for _ in range(count):
        begin = at
        at = skip(data, at, STRING)
        key = data[begin + 8:at].decode()
        kind = struct.unpack_from("<I", data, at)[0]
        at = skip(data, at + 4, kind)
        if key in left:
            parts.append(text(key) + struct.pack("<I", STRING) + text(left.pop(key)))
        else:
            parts.append(data[begin:at])
    for key, new in left.items():
        parts.append(text(key) + struct.pack("<I", STRING) + text(new))
    target.write_bytes(struct.pack("<IIQQ", magic, version, 0, len(parts)) + b"".join(parts))
    return target


def with_pre(models, pre, folder):
    base = "gemma-4" if pre in ("gemma4", "sarvam-moe", "granite-embed-multi-311m") else "qwen2"
    changes = {"tokenizer.ggml.pre": pre, "tokenizer.ggml.model": "gpt2"}
    return rewritten(models / f"ggml-vocab-{base}.gguf", folder / "pre.gguf", changes)


def base(model, tokens, types=None, scores=None, **more):
    pairs = {"general.architecture": (STRING, "llama"), "general.name": (STRING, "made"),
             "llama.block_count": (U32, 1), "llama.context_length": (U32, 64), "llama.embedding_length": (U32, 64),
             "llama.feed_forward_length": (U32, 64), "llama.attention.head_count": (U32, 1),
             "llama.attention.layer_norm_rms_epsilon": (F32, 1e-5),
             "tokenizer.ggml.model": (STRING, model), "tokenizer.ggml.tokens": (ARRAY, STRING, tokens)}
    if types:
        pairs["tokenizer.ggml.token_type"] = (ARRAY, I32, types)
    if scores:
        pairs["tokenizer.ggml.scores"] = (ARRAY, F32, scores)
    for key, entry in more.items():
        pairs["tokenizer.ggml." + key.replace("__", ".")] = entry
    return pairs


def pieces(r, count):
    """Short texts over few characters, so that they overlap in every way."""
    letters = list("abehlowrd'sHEA019 .,") + ["é", "字", "か", "한", "\u0301", "😀", "▁", "ß", "\n"]
    found = set()
    while len(found) < count:
        found.add("".join(r.choice(letters) for _ in range(r.randrange(1, 5))))
    return sorted(found)


def charsmap(r, rules):
    """An XOR-compressed double array of texts -> replacements, as SentencePiece writes it."""
    replacements, places = b"", {}
    for to in rules.values():
        places[to] = len(replacements)
        replacements += to + b"\0"
    nodes = {0: 0}
    trie = {}
    for key, to in rules.items():
        node = trie
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = places[to]

    def place(node, index):
        """Gives node's children a base; returns what its own entry is to be or'd with."""
        for free in range(1, 1 << 20):
            wanted = [free ^ (0 if c is None else c) for c in node]
            if free ^ index < 1 << 21 and all(w not in nodes for w in wanted):
                break
        offset = free ^ index
        nodes[index] |= offset << 10 | (1 << 8 if None in node else 0)
        for c in node:
            nodes[free ^ (0 if c is None else c)] = node[None] | 1 << 31 if c is None else c
        for c in node:
            if c is not None:
                place(node[c], free ^ c)

    place(trie, 0)
    array = [nodes.get(i, 0xFF) for i in range((max(nodes) | 255) + 1)]
    return list(struct.pack("<I", 4 * len(array)) + struct.pack(f"<{len(array)}I", *array) + replacements)


RULES = {"ﬁ": "fi", "ﬃ": "ffi", "１": "1", "２": "2", "Å": "Å", "\t": " ", "\n": " ", "\u3000": " ", "\u00a0": " ", "…": "...", "e\u0301": "é",
         "\u200b": "", "K": "K", "²": "2", "ａ": "a"}


def unigram(r, with_map, **flags):
    texts = pieces(r, 600)
    tokens = ["<pad>", "</s>", "<unk>", "▁", "<extra>", "▁<u>", "never"] + [t for t in texts if t not in ("▁",)]
    types = [3, 3, 2, 1, 4, 4, 5] + [1] * (len(tokens) - 7)
    scores = [0, 0, 0, -2.5, -3, -4, -1] + [-r.random() * 12 for _ in tokens[7:]]
    more = {"add_space_prefix": (BOOL, True)}
    more.update(flags)
    if with_map:
        more["precompiled_charsmap"] = (ARRAY, U8, charsmap(r, {a.encode(): b.encode() for a, b in RULES.items()}))
    return base("t5", tokens, types, scores, **more)


def rwkv(r):
    """Tokens as Python writes bytes."""
    texts = {bytes([b]) for b in range(256)} | {p.encode() for p in pieces(r, 500)} | {b"\n\n", b"\xe5\xad", b"'s", b"\\n"}
    tokens = ["<s>"] + [repr(t)[2:-1] for t in sorted(texts)]
    return base("rwkv", tokens + ["[PAD1]"], [3] + [1] * (len(tokens) - 1) + [5])


def plamo(r):
    tokens = ["<|plamo:unk|>", "<|plamo:bos|>", "<|plamo:eos|>", "<|plamo:pad|>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    types = [2, 3, 3, 3, 1] + [6] * 256
    texts = pieces(r, 600)
    scores = [0.0] * len(tokens) + [-r.random() * 15 for _ in texts]
    return base("plamo2", tokens + texts, types + [1] * len(texts), scores)


def bert(r, **more):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    texts = [p for p in pieces(r, 700) if " " not in p and "▁" not in p and "\n" not in p]
    texts += list("abcdefghijklmnopqrstuvwxyz0123456789!?.,'") + ["豈", "字", "İ", "i", "ı"]
    tokens += sorted({"▁" + t for t in texts} | set(texts))
    ids = {"bos_token_id": 2, "seperator_token_id": 3, "unknown_token_id": 1, "padding_token_id": 0, "mask_token_id": 4}
    return base("bert", tokens, [3, 3, 3, 3, 3] + [1] * (len(tokens) - 5),
                **{k: (U32, v) for k, v in ids.items()}, **more)


def kimi_without_merges():
    spelled = [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174 else None for b in range(256)]
    extra = iter(range(256, 512))
    tokens = [s if s is not None else chr(next(extra)) for s in spelled]
    return base("gpt2", tokens, pre=(STRING, "kimi-k2"))


def make_all(folder, r):
    yield "t5", write(folder / "t5.gguf", unigram(r, True))
    yield "t5 merging spaces", write(folder / "t5m.gguf", unigram(r, True, remove_extra_whitespaces=(BOOL, True)))
    yield "t5 plain", write(folder / "t5p.gguf", unigram(r, False, add_space_prefix=(BOOL, False), add_eos_token=(BOOL, False)))
    yield "rwkv", write(folder / "rwkv.gguf", rwkv(r))
    yield "plamo2", write(folder / "plamo.gguf", plamo(r))
    yield "bert", write(folder / "bert.gguf", bert(r))
    yield "bert cased", write(folder / "bertc.gguf", bert(r, normalizer__lowercase=(BOOL, False)))
    yield "bert accents", write(folder / "berta.gguf", bert(r, normalizer__strip_accents=(BOOL, False)))
    yield "kimi-k2 without merges", write(folder / "kimi.gguf", kimi_without_merges())
