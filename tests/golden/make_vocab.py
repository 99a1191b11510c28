#!/usr/bin/env python3
"""make_vocab.py LLAMA_TOKENIZE MODELS_DIR: ids of the texts in vocab_corpus.txt as llama-tokenize prints them.

Writes vocab_NAME.txt beside it for each model: for each text a line "ids without special tokens | ids with them".
Texts are in quotes with \\n \\t \\r \\" \\\\ and \\xHH for bytes."""
import ast, pathlib, re, subprocess, sys

MODELS = ["smollm2", "qwen", "gemma3"]
golden = pathlib.Path(__file__).resolve().parent


def unescape(line):
    simple = {"n": b"\n", "t": b"\t", "r": b"\r", '"': b'"', "\\": b"\\"}
    out = b""
    for plain, byte, char in re.findall(r'([^\\]+)|\\x(..)|\\(.)', line[1:-1]):
        out += plain.encode() if plain else bytes.fromhex(byte) if byte else simple[char]
    return out


def tokenize(program, model, text, options):
    done = subprocess.run([program, "-m", model, "--stdin", "--no-escape", "--ids", "--log-disable", *options],
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return " ".join(str(i) for i in ast.literal_eval(done.stdout.decode()))


if len(sys.argv) != 3:
    sys.exit(__doc__)
texts = [unescape(line) for line in (golden / "vocab_corpus.txt").read_text().split("\n")[:-1]]
for name in MODELS:
    model = f"{sys.argv[2]}/{name}.gguf"
    lines = []
    for text in texts:
        plain = tokenize(sys.argv[1], model, text, ["--no-bos", "--no-parse-special"])
        lines.append(plain + " | " + tokenize(sys.argv[1], model, text, []))
    (golden / f"vocab_{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"vocab_{name}.txt: {len(lines)} texts")
