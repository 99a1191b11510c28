#!/usr/bin/env python3
"""test_output.py: what is written where: closed descriptors, a full disk, orders to a terminal in a file's names, texts larger
than the budget, text files of other systems. Needs no model."""
from cli_test import *

folder = pathlib.Path(home.name)
ORDER = "\x1b]52;c;Z2FoZQ==\x07\x1b[2J\x9b31m\x7f"  # sets the clipboard, clears the screen, turns red


def gguf(path, values, tensors=()):
    """Values that are texts, whole numbers, numbers, lists of texts or of whole numbers; tensors: names, or (name, columns, rows); all zeros."""
    def text(s):
        s = s.encode() if isinstance(s, str) else s
        return struct.pack("<Q", len(s)) + s
    def value(v):
        if isinstance(v, list):
            kind = 5 if isinstance(v[0], int) else 8
            return 9, struct.pack("<IQ", kind, len(v)) + b"".join(value(item)[1] for item in v)
        return (4, struct.pack("<I", v)) if isinstance(v, int) else (6, struct.pack("<f", v)) if isinstance(v, float) else (8, text(v))
    shapes = [(t, 32, 1) if isinstance(t, str) else t for t in tensors]
    header, data = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(values)), 0
    for key, v in values.items():
        kind, packed = value(v)
        header += text(key) + struct.pack("<I", kind) + packed
    for name, columns, rows in shapes:
        dims = [columns, rows] if rows > 1 else [columns]
        header += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, data)
        data += columns * rows * 4
    path.write_bytes(header + b"\0" * (-len(header) % 32 + data))
    return path


def always_says(path, said):
    """A model of zeros draws its first token for ever. Byte-level vocabularies spell what is not printable with letters from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(b for b in range(256) if b not in plain)}
    layer = [("attn_norm", 64, 1), ("attn_q", 64, 64), ("attn_k", 64, 64), ("attn_v", 64, 64), ("attn_output", 64, 64), ("ffn_norm", 64, 1),
             ("ffn_gate", 64, 64), ("ffn_up", 64, 64), ("ffn_down", 64, 64)]
    return gguf(path, {
        "general.architecture": "llama", "llama.block_count": 1, "llama.embedding_length": 64, "llama.feed_forward_length": 64,
        "llama.attention.head_count": 1, "llama.attention.head_count_kv": 1, "llama.context_length": 64,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": ["".join(letters[b] for b in said.encode()), *letters.values(), "aa"], "tokenizer.ggml.token_type": [1] * 258,
        "tokenizer.ggml.merges": ["a a"], "tokenizer.ggml.eos_token_id": 256, "tokenizer.chat_template": "{{ messages[0].content }}",
    }, [("token_embd.weight", 64, 258), *((f"blk.0.{name}.weight", columns, rows) for name, columns, rows in layer), ("output_norm.weight", 64, 1)])


evil = gguf(folder / "evil.gguf", {"general.architecture": "x" + ORDER, "general.key" + ORDER: "value", "general.bytes": b"\xff\x9b1m"},
            ["tensor" + ORDER])
listing = ["inspect", evil, "--tensors"]


def harmless(shown):
    """What remains when a terminal's own line ends and the live line's are taken away holds no control characters."""
    shown = shown.replace("\r\n", "\n").replace("\r\x1b[K", "")
    return not any(ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160 for c in shown)


# A pipe is given the bytes, a terminal spelled ones, JSON its own escapes
piped = subprocess.run([chord, *map(str, listing)], capture_output=True, env=environment).stdout
check(("tensor" + ORDER).encode() in piped and ("general.key" + ORDER).encode() in piped, f"a pipe: {piped!r}")
code, shown = Terminal([chord, *map(str, listing)], columns=200).end()
check(code == 0 and "general.key\\u001b]52;c;" in shown and "tensor\\u001b" in shown, f"a terminal: {shown!r}")
check(harmless(shown), f"a terminal is given orders: {shown!r}")
written = subprocess.run([chord, *map(str, listing), "--json"], capture_output=True, env=environment).stdout
check(not any(b < 32 and b != 10 for b in written), f"JSON: {written!r}")
header = json.loads(written)
check(header["tensors"][0]["name"] == "tensor" + ORDER and "general.key" + ORDER in header["metadata"], f"JSON: {header}")
terminal = Terminal([chord, *map(str, listing), "--json"], columns=200)
code, shown = terminal.end()
check(json.loads(shown) == header, f"JSON on a terminal: {shown!r}")

# Sentences that quote a file, or what was typed
for command in (["run", evil, "-p", "x"], ["inspect", evil, "--tensor", "none" + ORDER + "\nchord: all is well"], ["plan", folder / ("no" + ORDER)],
                ["run", "--op" + ORDER], ["frob" + ORDER]):
    code, shown = Terminal([chord, *map(str, command)]).end()
    check(code in (1, 2) and "chord: " in shown and harmless(shown), f"{command}: {code} {shown!r}")
    check("\nchord: all is well" not in shown, f"a sentence is one line: {shown!r}")
template = folder / "raises.jinja"
template.write_text("{{ raise_exception('" + ORDER + "') }}")
messages = folder / "messages.json"
messages.write_text(json.dumps([{"role": "user", "content": "hello" + ORDER}]))
code, shown = Terminal([chord, "template", "--template-file", str(template), "--messages", str(messages)]).end()
check(code == 1 and "]52" in shown and harmless(shown), f"a template's sentence: {shown!r}")
template.write_text("{{ messages[0].content }}")
code, shown = Terminal([chord, "template", "--template-file", str(template), "--messages", str(messages)]).end()
check(code == 0 and shown.startswith("hello\\u001b]52") and harmless(shown), f"a template's text: {shown!r}")
check(run("template", "--template-file", template, "--messages", messages).stdout == "hello" + ORDER, "a pipe gets the text")

# What a model says
speaker = always_says(folder / "speaker.gguf", "hey" + ORDER)
asked = [chord, "run", str(speaker), "-p", "x", "-n", "2", "--memory", "64M"]
check(subprocess.run(asked, capture_output=True, env=environment).stdout == 2 * ("hey" + ORDER).encode(), "a pipe is given what the model says")
check(json.loads(subprocess.run([*asked, "--json"], capture_output=True, env=environment).stdout)["text"] == 2 * ("hey" + ORDER), "and so is JSON")
code, shown = Terminal(asked).end()
check(code == 0 and "hey\\u001b]52" in shown and harmless(shown), f"run on a terminal: {code} {shown!r}")
terminal = Terminal([chord, "chat", str(speaker), "-n", "2", "--temp", "0", "--no-history", "--memory", "64M"])
terminal.wait_for("> ")
terminal.type("x\r")
terminal.wait_for("\x1b[?2004l")
shown = terminal.wait_for("\x1b[?2004h") or ""
check("hey\\u001b]52" in shown and harmless(shown.replace("\x1b[?2004h", "")), f"chat on a terminal: {shown!r}")
terminal.type("\x04")
terminal.end()
code, shown = Terminal([chord, "tokenize", str(speaker), "--ids", "0 0"]).end()
check(code == 0 and "hey\\u001b]52" in shown and harmless(shown), f"tokenize on a terminal: {shown!r}")

# A full disk: the reason of the write that failed, whatever failed after it
big = gguf(folder / "big.gguf", {"general.architecture": "x", **{f"key.{i}": "v" * 60 for i in range(300)}}, ["t"])
for command in (["inspect", big], ["inspect", big, "--json"], ["inspect", big, "--tensor", "t"], ["help"], ["run", "--help"], ["version"],
                ["template", "--template-file", template, "--messages", messages]):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([chord, *map(str, command)], stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
    check(result.returncode == 1 and result.stderr == "chord: the output could not be written: No space left on device\n",
          f"{command} on a full disk: {result.returncode} {result.stderr!r}")

# Closed descriptors: no file of ours takes their place
for closed in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"):
    result = subprocess.run(["sh", "-c", f'exec "$0" inspect "$1" --json {closed}', chord, str(big)], capture_output=True, env=environment, text=True)
    check(result.returncode == 0 and result.stderr == "" and (result.stdout == "" if ">&- " in closed + " " and closed != "2>&-" else
          json.loads(result.stdout)["tensor_count"] == 1), f"{closed}: {result.returncode} {result.stdout[:80]!r} {result.stderr!r}")
result = subprocess.run(["sh", "-c", '"$0" template --template-file "$1" --messages - <&-', chord, str(template)], capture_output=True, text=True)
check(result.returncode == 1 and result.stdout == "" and "JSON" in result.stderr, f"no stdin is an empty one: {result.stderr!r}")

# Texts larger than the budget are refused before they are read: the process never grows by them
endless = folder / "endless"
with open(endless, "wb") as file:
    file.truncate(20 << 30)


def refused_text(command, *words, stdin=None):
    result = subprocess.run([chord, *map(str, command)], stdin=stdin, capture_output=True, env=environment, text=True, timeout=FOREVER_SECONDS)
    check(result.returncode == 1 and result.stdout == "" and all(w in result.stderr for w in ("longer than", *words)),
          f"{command}: {result.returncode} {result.stderr!r}")


for command in (["run", big, "-f", endless, "--memory", "64M"], ["perplexity", big, endless, "--memory", "64M"],
                ["run", big, "-p", "x", "--template-file", endless, "--memory", "64M"], ["chat", big, "--template-file", endless, "--memory", "64M"]):
    refused_text(command, str(endless), "64.0 MiB")
for path in ("/dev/zero", "-"):
    with open("/dev/zero", "rb") as zeros:
        refused_text(["run", big, "-f", path, "--memory", "64M"], "/dev/zero" if path != "-" else "stdin", stdin=zeros)
        refused_text(["perplexity", big, "-f", path, "--memory", "64M"], stdin=zeros)
refused_text(["tokenize", big, "--file", endless])
refused_text(["template", "--template-file", template, "--messages", endless])

# Texts as other systems write them
MARK = "\ufeff"
for given, wanted in ((MARK + '[{"role": "user", "content": "a"}]', "a"), ('[\r\n{"role": "user", "content": "a"}\r\n]\r\n', "a")):
    messages.write_bytes(given.encode())
    check(run("template", "--template-file", template, "--messages", messages).stdout == wanted, f"messages {given!r}")
for given, wanted in ((MARK + "{{ messages[0].content }}", "a"), ("{%- if true %}\r\nb\r\n{%- endif %}\r\n", "b"), ("c\rd\r\n", "c\nd")):
    template.write_bytes(given.encode())
    shown = run("template", "--template-file", template, "--messages", messages)
    check(shown.stdout == wanted, f"template {given!r}: {shown.stdout!r} {shown.stderr!r}")
for given, word in ((b"", "empty"), (b"a\0b", "zero"), ("hello".encode("utf-16"), "UTF-16")):
    template.write_bytes(given)
    shown = run("template", "--template-file", template, "--messages", messages)
    check(shown.returncode == 1 and shown.stdout == "" and word in shown.stderr, f"template {given!r}: {shown.stderr!r}")
done()
