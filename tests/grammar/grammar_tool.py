"""grammar_tool.py: tests/grammar/grammar_tool.c, asked by the scripts that compare."""
import struct, subprocess, sys

GBNF, SCHEMA, TAKES, VOCABULARY, MASKS = range(5)
process = subprocess.Popen(sys.argv[1:3], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ask(kind, text=""):
    data = text.encode("utf-8", "surrogatepass")
    process.stdin.write(struct.pack("<II", kind, len(data)) + data)
    process.stdin.flush()


def read(count):
    return process.stdout.read(count)


def numbers(count):
    return struct.unpack(f"<{count}I", read(4 * count))


def compiles(kind, text):
    """Why not; None: it does."""
    ask(kind, text)
    return None if numbers(1)[0] == 0 else read(numbers(1)[0]).decode("utf-8", "replace")


def takes(text):
    """All of it, and it may end there."""
    ask(TAKES, text)
    taken, may_end = numbers(2)
    return taken == len(text.encode("utf-8", "surrogatepass")) and may_end == 1
