#!/usr/bin/env python3
"""compare_masks.py TOOL VOCAB.gguf FOLDER [COUNT]: which tokens may come, bit by bit beside llguidance (`pip install llguidance==1.9.1`), at every token of the
values that the schemas of FOLDER take (JSONSchemaBench: maskbench/data; every nth file, so that COUNT are taken, 300 if nothing is said). And what masks cost.

Twice: llguidance with white space as we have it behind commas and colons must allow nothing that we do not; with any white space, everything that we do. Then what
we allow more than the first has white space in it. What differs otherwise has to be one of KNOWN; else this fails. TOOL: tests/grammar/grammar_tool.c."""
import collections, json, pathlib, re, statistics, sys

import llguidance

from grammar_tool import MASKS, SCHEMA, VOCABULARY, ask, compiles, numbers, read
from ordered import ordered

SPACE = "( |\\n[ \\t]{0,40})?"
# Why tokens differ: the kind of difference, and what holds of the text before and of all these tokens.
KNOWN = (
    ("we allow more", "white space inside of brackets, which llguidance does not write", lambda before, texts: all(re.search(rb"[ \n]", t) for t in texts)),
    ("llguidance allows", "times in small letters and leap seconds, which we do not write", lambda before, texts: re.search(rb'"[0-9T:.+-]*$', before) and all(re.match(rb"[tz6]", t) for t in texts)),
    ("llguidance allows", "e-mail addresses with odd signs, or without a dot, which we do not write", lambda before, texts: re.search(rb'mail[^"]*":\s*("[^"]*)?$', before, re.I)),
    ("llguidance allows", "URIs with odd signs, or with nothing behind their scheme, which we do not write", lambda before, texts: re.search(rb'"[a-z][a-z0-9+.-]*(:[^"]*)?$', before)),
    ("llguidance allows", "escapes in the names of other properties, which we do not write", lambda before, texts: re.search(rb'[{,]\s*"[^"]*$', before) and all(b"\\" in t for t in texts)),
    ("we allow", "`\\/` and `\\uXXXX`, which llguidance does not write", lambda before, texts: re.search(rb"\\(u[0-9a-fA-F]{0,3})?$", before) or all(re.search(rb"\\[/u]?", t) for t in texts)),
    ("we allow", "U+FEFF, which is white space in ECMAScript's patterns", lambda before, texts: all(t[:1] == b"\xef" for t in texts)),
    ("we allow", "keys in another order, where several schemas bring them", lambda before, texts: re.search(rb'[{,]\s*"[^"]*$', before)),
)
STRICT = {"whitespace_flexible": False, "item_separator": "," + SPACE, "key_separator": ":" + SPACE}
LOOSE = {"whitespace_flexible": True, "json_allow_general_unicode_escapes": True}
counts, kinds, unknown, shown = collections.Counter(), collections.Counter(), collections.Counter(), collections.defaultdict(list)
ours_ns = []


class Tokens:
    """The vocabulary as llguidance wants it."""

    def __init__(self):
        ask(VOCABULARY)
        self.tokens, self.ends, self.special_token_ids, self.bos_token_id = [], [], [], None
        for i in range(numbers(1)[0]):
            end, length = numbers(2)
            data = read(length)
            self.tokens.append(b"\xff<%d>" % i if end or data[:1] == b"\xff" else data)
            if end:
                self.ends.append(i)
            if end or data[:1] == b"\xff":
                self.special_token_ids.append(i)
        self.eos_token_id = self.ends[0]

        self.of_byte = {t[0]: i for i, t in enumerate(self.tokens) if len(t) == 1}

    def __call__(self, text):
        return [self.of_byte[b] for b in (text if isinstance(text, bytes) else text.encode())]


def bits(mask):
    return int.from_bytes(mask, "little")


def members(mask):
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def differ(kind, name, before, mask):
    """Counts a difference by its reason."""
    texts = [tokens.tokens[t] for t in members(mask)]
    why = next((why for begin, why, holds in KNOWN if kind.startswith(begin) and holds(before, texts)), None)
    kinds[f"{kind}: {why or 'NOBODY KNOWS WHY'}"] += 1
    unknown[kind] += why is None
    if why is None and len(shown[kind]) < 6:
        shown[kind].append(f"{name}: behind {before[-60:]!r}: {texts[:8]}")


def compare_at(name, before, ours, strict, loose):
    counts["masks"] += 1
    missing, extra, wild = strict & ~ours, ours & ~strict, ours & ~loose
    counts["masks that are the same"] += not missing and not extra
    if missing:
        differ("llguidance allows, we do not", name, before, missing)
    if wild:
        differ("we allow, llguidance never does", name, before, wild)
    elif extra:
        differ("we allow more", name, before, extra)


def matcher_for(schema, options):
    """What must come is no reason to leave out the shorter tokens that begin it."""
    whole = json.dumps(dict(schema, **{"x-guidance": options}) if isinstance(schema, dict) else schema)
    return llguidance.LLMatcher(oracle, llguidance.LLMatcher.grammar_from_lark('%llguidance {"no_forcing": true}\nstart: %json ' + whole), log_level=0)


def compare(name, schema, text):
    matchers = [matcher_for(schema, options) for options in (STRICT, LOOSE)]
    if any(m.is_error() for m in matchers):
        counts["schemas that llguidance refuses"] += 1
        return False
    ask(MASKS, text)
    count, came = numbers(2)
    ids = numbers(count)
    before, words = b"", (len(tokens.tokens) + 63) // 64 * 8
    for i in range(came + 1):
        ours_ns.append((numbers(1)[0], name, before))
        ours = bits(read(words)) & ~dels
        masks = []
        for m in matchers:
            mask = bits(m.compute_bitmask()) & (1 << len(tokens.tokens)) - 1
            if m.is_stopped() or m.is_accepting():
                mask |= ends
            masks.append(mask)
        if any(m.is_error() for m in matchers):
            kinds["llguidance gives up: " + " ".join(m.get_error() for m in matchers)[:90]] += 1
            break
        compare_at(name, before, ours, *masks)
        if i == came:
            break
        if not all([m.consume_token(ids[i]) for m in matchers]):
            differ("we allow the next token, llguidance does not", name, before, 1 << ids[i])
            break
        before += tokens.tokens[ids[i]]
    for _ in range(i + 1, came + 1):
        read(4 + words)
    counts["values followed to their end"] += i == count
    return True


def main():
    paths = sorted(pathlib.Path(sys.argv[3]).rglob("*.json"))
    wanted = int(sys.argv[4]) if len(sys.argv) > 4 else 300
    for path in paths[:: max(1, len(paths) // wanted)]:
        case = json.loads(path.read_text())
        counts["schemas"] += 1
        if compiles(SCHEMA, json.dumps(case["schema"], ensure_ascii=False)) is not None:
            counts["schemas that we refuse"] += 1
            continue
        for value in [t["data"] for t in case["tests"] if t["valid"]][:2]:
            text = json.dumps(ordered(value, case["schema"], case["schema"]), ensure_ascii=False)
            if len(text) < 4000 and not compare(path.name, case["schema"], text):
                break
    for what, count in [*counts.items(), *kinds.most_common()]:
        print(f"{count} {what}")
    for kind, lines in shown.items():
        print(kind, *lines, sep="\n    ")
    ms = sorted(ns / 1e6 for ns, _, _ in ours_ns)
    print(f"a mask of {len(tokens.tokens)} tokens: mean {statistics.mean(ms):.3f} ms of a core, median {statistics.median(ms):.3f}, p99 {ms[len(ms) * 99 // 100]:.3f}, most {ms[-1]:.3f}; {len(ms)} masks")
    for ns, name, before in sorted(ours_ns, reverse=True)[:5]:
        print(f"    {ns / 1e6:.1f} ms: {name}: behind {before[-60:]!r}")
    print(f"{sum(unknown.values())} differences that nobody knows the reason of")
    sys.exit(sum(unknown.values()) > 0 or counts["masks"] == 0)


tokens = Tokens()
dels = sum(1 << i for i, t in enumerate(tokens.tokens) if b"\x7f" in t)  # which llguidance leaves out of strings
ends = sum(1 << t for t in tokens.ends)
oracle = llguidance.LLTokenizer(llguidance.TokenizerWrapper(tokens), n_vocab=len(tokens.tokens), eos_token=tokens.ends)
main()
