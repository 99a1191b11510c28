#!/usr/bin/env python3
"""compare_reference.py VOCAB_TOOL [--texts N] [--seed S] [--only NAME ...]: our token ids against the reference runtime's.

Its built library and its sources are looked for in $CHORD_PEER (build/bin/libllama.so, and models/ggml-vocab-*.gguf anywhere
below); without it nothing is tested. Compared are, for each vocabulary of the source tree, the ids of its .inp file, those of
random texts in every mode, and all tokens' bytes; for each value of tokenizer.ggml.pre, a vocabulary rewritten to have
it; and made ones of the models that no file there has. The reference runs in a process of its own: it ends some of them."""
import argparse, os, pathlib, random, struct, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import made_vocabs, random_texts
from reference_vocab import Reference, names_of_pres

NOT_TESTED = 77
REFUSED = ["whitespace"]  # the reference ends itself over two spaces side by side


class Ours:
    def __init__(self, tool, path):
        self.process = subprocess.Popen([tool, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.count = self.number()
        if self.count < 0:
            sentence = self.process.stdout.read(self.number()).decode()
            self.close()
            raise ValueError(sentence)
        self.bos = self.number()

    def number(self):
        return struct.unpack("<i", self.process.stdout.read(4))[0]

    def encode(self, text, mode):
        self.process.stdin.write(struct.pack("<II", mode, len(text)) + text)
        self.process.stdin.flush()
        n = self.number()
        return list(struct.unpack(f"<{n}i", self.process.stdout.read(4 * n))) if n >= 0 else n

    def decode(self, token):
        self.process.stdin.write(struct.pack("<Ii", 3, token))
        self.process.stdin.flush()
        plain = self.process.stdout.read(self.number())
        special = self.process.stdout.read(self.number())
        return plain, special, bool(self.number())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def compare_texts(name, reference, ours, texts):
    wrong = 0
    for text in texts:
        for special in (False, True):
            wanted = reference.encode(text, special)
            got = ours.encode(text, 1 if special else 0)
            # A text that begins with BOS gets no second one from us.
            if special and len(wanted) > 1 and wanted[0] == wanted[1] == ours.bos and wanted != got:
                wanted = wanted[1:]
            if wanted != got:
                wrong += 1
                if wrong <= 5:
                    print(f"{name}: {text!r}{' with special tokens' if special else ''}\n  gives  {got}\n  wanted {wanted}")
    return wrong


def compare_tokens(name, reference, ours):
    wrong = 0
    for token in range(ours.count):
        plain, special, ends = ours.decode(token)
        wanted = reference.decode(token, False), reference.decode(token, True)
        # The reference takes no token apart that spells no bytes; we give its text.
        same = all(w == g or w is None or b"[UNK_BYTE_0x" in w for w, g in zip(wanted, (plain, special)))
        if not same or ends != reference.ends(token):
            wrong += 1
            if wrong <= 5:
                print(f"{name}: token {token} gives {plain!r} {special!r} {ends}, wanted {wanted} {reference.ends(token)}")
    return wrong


def compare_file(args, name, path, texts, decode):
    """In a process of its own; returns its exit status: 0 equal, 1 not, others: the reference ended it."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        ours = Ours(args.tool, path)
        reference = Reference(args.library, path)
        wrong = int(reference.count != ours.count)
        wrong += compare_texts(name, reference, ours, texts)
        if decode:
            wrong += compare_tokens(name, reference, ours)
        ours.close()
        if wrong:
            print(f"{name}: {wrong} differences")
        sys.stdout.flush()
        os._exit(wrong != 0)
    except BaseException as problem:
        print(f"{name}: {type(problem).__name__}: {problem}")
        sys.stdout.flush()
        os._exit(2)


def inputs(path):
    """The texts of a vocabulary's .inp file with the ids of its .out file."""
    inp, out = pathlib.Path(str(path) + ".inp"), pathlib.Path(str(path) + ".out")
    if not inp.exists():
        return []
    texts = inp.read_bytes().decode().split("\n__ggml_vocab_test__\n")
    ids = [[int(i) for i in line.split()] for line in out.read_text().split("\n")]
    return [(text.encode(), wanted) for text, wanted in zip(texts, ids)]


def check_inputs(args, name, path):
    ours = Ours(args.tool, path)
    pairs = inputs(path)
    wrong = [text for text, wanted in pairs if ours.encode(text, 0) != wanted]
    for text in wrong[:5]:
        print(f"{name}: {text!r} of its .inp file gives {ours.encode(text, 0)}")
    ours.close()
    return len(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    peer = os.environ.get("CHORD_PEER", "")
    libraries = sorted(pathlib.Path(peer).glob("**/libllama.so")) if peer else []
    sources = sorted(p.parent.parent for p in pathlib.Path(peer).glob("**/models/ggml-vocab-gpt-2.gguf")) if peer else []
    if not libraries or not sources:
        print("NOT TESTED: CHORD_PEER names no folder with libllama.so and the reference's sources")
        return NOT_TESTED
    args.library, source = str(libraries[0]), sources[0]
    texts = random_texts.make(random.Random(args.seed), args.texts)
    failed, compared = [], 0

    def check(name, path, decode):
        nonlocal compared
        if args.only and name not in args.only:
            return
        compared += 1
        pairs = [text for text, _ in inputs(path)]
        status = compare_file(args, name, path, pairs + texts, decode)
        if status:
            failed.append(name)
            print(f"{name}: FAILED ({status})")
        if pairs and check_inputs(args, name, path):
            failed.append(name)

    for path in sorted(source.glob("models/ggml-vocab-*.gguf")):
        check(path.stem.removeprefix("ggml-vocab-"), path, True)
    with tempfile.TemporaryDirectory() as folder:
        for pre in names_of_pres(source):
            if pre in REFUSED:
                continue
            if args.only and "pre " + pre not in args.only:
                continue
            path = made_vocabs.with_pre(source / "models", pre, pathlib.Path(folder))
            check("pre " + pre, path, False)
        for name, path in made_vocabs.make_all(pathlib.Path(folder), random.Random(args.seed)):
            check("made " + name, path, True)
    print(f"{compared} vocabularies, {len(texts)} random texts each: " + (", ".join(failed) + " differ" if failed else "all equal"))
    return 1 if failed else 0


sys.exit(main())
