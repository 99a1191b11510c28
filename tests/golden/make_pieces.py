#!/usr/bin/env python3
"""make_pieces.py PEER: where the reference runtime's pre-tokenizers cut; writes pieces.txt beside it.

PEER is a folder with libllama.so and the reference's sources somewhere below. A vocabulary is made in which
every part of every text is a token and any two parts side by side merge, so that each piece comes out as one token. First the texts, in
quotes with \\n \\t \\r \\" \\\\ and \\xHH for bytes; then for each rule a name and, for each text, the bytes of its pieces: a
digit or letter for each (base 36)."""
import pathlib, random, re, sys, tempfile

golden = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(golden.parent / "text"))
import made_vocabs, random_texts
from reference_vocab import Reference, names_of_pres

# Not byte-level, or by another name the same.
LEFT_OUT = ["gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace"]
TEXTS = ["don't DON'T we'llama", "Hello  World\n\n x", "HTTPServer camelCase", "a1 12 1234567", "x²³٣4 ½", " \t\n \n  a", "          z", "?!... //\n\n/ -",
         "你好かなカナ한국", "e\u0301a\u0308 \u0301x", "!\u0301\u0301 ?a", "<sentinel:12>,IMGIMGABZ", "\x01\x02a \x03", "…，。 ！a、|", "ΑΒγ Привет\u00a0я",
         "ʰˀ ʔaºª 𐐀ß", "ㄅㄆㄱ가字 豈", "a b c  d é", "'S 'll'Re ''d", "Привет'S IT'S", "12abc345\u3000x", "\r\n\r\nab\n/c", " $5+<=>^`|~", "(x) [y] {z}",
         "नमस्ते हि", "กขฃ ﾊﾝ", "    if x:\n\treturn", "a\u200bb\ufeff", "0001112223", "1,234.5 6"]


KEPT = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
SPELLED = {b: chr(b) for b in KEPT} | {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in KEPT)}


def spelled(data):
    return "".join(SPELLED[b] for b in data)


def vocabulary(pre, texts, path):
    parts = {spelled(bytes([b])): None for b in range(256)}
    merges = {}
    for data in texts:
        for i in range(len(data)):
            for j in range(i + 1, len(data) + 1):
                parts[spelled(data[i:j])] = None
                for k in range(j + 1, len(data) + 1):
                    merges[f"{spelled(data[i:j])} {spelled(data[j:k])}"] = None
    strings = (made_vocabs.ARRAY, made_vocabs.STRING, list(merges))
    made_vocabs.write(path, made_vocabs.base("gpt2", list(parts), pre=(made_vocabs.STRING, pre), merges=strings))
    return list(parts)


def pieces(library, pre, texts, path):
    parts = vocabulary(pre, texts, path)
    reference = Reference(library, path)
    cuts = []
    for data in texts:
        lengths = [len(parts[i]) for i in reference.encode(data, False)]
        assert sum(lengths) == len(data), (pre, data, lengths)
        cuts.append("".join("0123456789abcdefghijklmnopqrstuvwxyz"[n] for n in lengths))
    return " ".join(cuts)


def quoted(data):
    simple = {10: "\\n", 9: "\\t", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return '"' + "".join(simple.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data) + '"'


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    library = str(sorted(pathlib.Path(sys.argv[1]).glob("**/libllama.so"))[0])
    source = sorted(pathlib.Path(sys.argv[1]).glob("**/src/llama-vocab.cpp"))[0].parent.parent
    texts = [t.encode() for t in TEXTS]
    r = random.Random(3)
    while len(texts) < 60:
        data = random_texts.of_classes(r).encode()
        if 4 < len(data) < 34:
            texts.append(data)
    rules = {}
    with tempfile.TemporaryDirectory() as folder:
        for pre in ["default"] + [n for n in names_of_pres(source) if n not in LEFT_OUT + ["default"]]:
            cuts = pieces(library, pre, texts, pathlib.Path(folder, "v.gguf"))
            rules.setdefault(cuts, []).append(pre)
    lines = [quoted(t) for t in texts] + [f"{','.join(names)} {cuts}" for cuts, names in rules.items()]
    (golden / "pieces.txt").write_text("\n".join(lines) + "\n")
    print(f"pieces.txt: {len(texts)} texts, {len(rules)} rules")


main()
