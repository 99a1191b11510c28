#!/usr/bin/env python3
"""compare_llama.py TOOL VOCAB.gguf FOLDER: the cases of llama.cpp's own tests of grammars (FOLDER: its sources), read out of its C++, against ours. TOOL: tests/grammar/grammar_tool.c. By hand.
tests/test-grammar-integration.cpp: grammars and schemas, with texts that they take and do not take; test-grammar-parser.cpp and test-llama-grammar.cpp: grammars that are none; test-json-schema-to-grammar.cpp:
schemas, and the grammar that theirs becomes, which has to be one for us, too; grammars/*.gbnf. What differs has to be one of DIFFERENT; else this fails."""
import collections, json, pathlib, re, sys

from grammar_tool import GBNF, SCHEMA, compiles, takes

# What we take otherwise, by what the case or its text holds.
DIFFERENT = {
    "tokens by name or number": "grammars are of texts: tokens by their numbers are refused by name",
    "uniqueItems": "keywords that are not supported are refused, not passed over",
    "look-around": "the same of patterns, which theirs leaves out with a warning",
    "no list of schemas": "the standard knows `prefixItems` as a list alone",
    "{5000": "repetitions are counted, not written out: they may be as many as they like",
    "{0,99}){0,99}": "the same of repetitions in each other",
    '["number", "integer"]': "a schema of lists takes what is no list, unless it says `type`",
    "Pennsylvania": "an object may have other members, unless its schema says that it may not",
}
LEXEMES = re.compile(r'''(?P<space>\s+|//[^\n]*|/\*.*?\*/)|R"(?P<mark>[^(]*)\((?P<raw>.*?)\)(?P=mark)"|"(?P<text>(?:[^"\\]|\\.)*)"|'(?:[^'\\]|\\.)*'|(?P<word>\w+)|(?P<sign>.)''', re.S)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


def unescaped(text):
    def one(m):
        if m[1] is not None:
            return chr(int(m[1], 16))
        return chr(int(m[2], 16)) if m[2] is not None else ESCAPES[m[3]]
    text = re.sub(r"\\(?:x([0-9a-fA-F]{2})|[uU]([0-9a-fA-F]{4,8})|(.))", one, text, flags=re.S)
    return text.encode("latin-1", "ignore").decode("utf-8", "ignore") if re.search(r"[\x80-\xff]", text) and not re.search(r"[^\x00-\xff]", text) else text


def lexemes(source):
    """("text", its value), or ("sign", as it stands)."""
    found = []
    for m in LEXEMES.finditer(source):
        if m["space"] is None:
            text = m["raw"] if m["raw"] is not None else unescaped(m["text"]) if m["text"] is not None else None
            found.append(("text", text) if text is not None else ("sign", m[0]))
    return found


def value(lex, at):
    """An argument from `at` on: a text, a list, or None for what is neither; and where it ends."""
    parts, other, inner = [], False, None
    while lex[at] not in (("sign", ","), ("sign", ")"), ("sign", "}")):
        kind, text = lex[at]
        if kind == "text":
            parts.append(text)
        elif text in "({":
            inner, at = values(lex, at + 1, ")" if text == "(" else "}")
            if text == "(":
                other = True
            continue
        elif text != "+":
            other = True
        at += 1
    return ("".join(parts) if parts and not other else inner if inner is not None and not parts and not other else None), at


def values(lex, at, end):
    found = []
    while lex[at] != ("sign", end):
        if lex[at] == ("sign", ","):
            at += 1
            continue
        one, at = value(lex, at)
        found.append(one)
    return found, at + 1


def calls(path, name):
    """The arguments of all calls of a function; what defines it is none."""
    if not path.exists():
        return
    lex = lexemes(path.read_text())
    for i in range(len(lex) - 1):
        if lex[i] == ("sign", name) and lex[i + 1] == ("sign", "(") and lex[i - 1] not in (("sign", "void"), ("sign", "bool")):
            yield values(lex, i + 2, ")")[0]


counts, known, unknown = collections.Counter(), collections.Counter(), []


def differs(where, what, *about):
    counts["differ"] += 1
    reason = next((reason for sign, reason in DIFFERENT.items() if any(sign in part for part in (where, what, *about))), None)
    if reason is None:
        unknown.append(f"{where}: {what}: {' | '.join(about)}")
    else:
        known[reason] += 1


def compare_texts(kind, what, form, good, bad):
    counts[what] += 1
    why = compiles(kind, form)
    if why is not None:
        differs(what, "is refused", why, form)
        return
    for text, wanted in [*((t, True) for t in good), *((t, False) for t in bad)]:
        if text is None:
            counts["texts of tokens by number, left out"] += 1
            continue
        counts["texts"] += 1
        if takes(text) != wanted:
            differs(what, "takes" if not wanted else "does not take", repr(text), form)


folder = pathlib.Path(sys.argv[3])
tests = folder / "tests"
for kind, name in ((GBNF, "test_grammar"), (SCHEMA, "test_schema")):
    for _, form, good, bad in calls(tests / "test-grammar-integration.cpp", name):
        compare_texts(kind, "grammars" if kind == GBNF else "schemas", form, good or [], bad or [])
for path, name in ((tests / "test-grammar-parser.cpp", "verify_failure"), (tests / "test-grammar-integration.cpp", "test_build_grammar_fails")):
    for arguments in calls(path, name):
        if arguments and isinstance(arguments[0], str):
            counts["grammars that are none"] += 1
            if compiles(GBNF, arguments[0]) is None:
                differs("grammars that are none", "taken", arguments[0])
for arguments in calls(tests / "test-grammar-parser.cpp", "verify_parsing"):
    counts["grammars that parse"] += 1
    why = compiles(GBNF, arguments[0])
    if why is not None:
        differs("grammars that parse", "is refused", why, arguments[0])
source = (tests / "test-json-schema-to-grammar.cpp").read_text()
lex = lexemes(source)
for i in range(len(lex) - 2):
    if lex[i][1] in ("SUCCESS", "FAILURE") and lex[i][0] == "sign" and lex[i + 1] == ("sign", ",") and lex[i + 2][0] == "text":
        name, schema, grammar = (values(lex, i + 2, "}")[0] + [None])[:3]
        if not schema:  # it is put together there
            continue
        counts["schemas by name"] += 1
        why, fails = compiles(SCHEMA, schema), lex[i][1] == "FAILURE"
        if fails != (why is not None):
            differs("schemas by name", "is refused" if why is not None else "taken", name, str(why), schema)
        if not fails and grammar is not None and (why := compiles(GBNF, grammar)) is not None:
            differs("grammars made of schemas", "is refused", name, why)
for path in sorted((folder / "grammars").glob("*.gbnf")):
    counts["grammars in files"] += 1
    why = compiles(GBNF, path.read_text())
    if why is not None:
        differs("grammars in files", "is refused", path.name, why)
print(", ".join(f"{count} {what}" for what, count in counts.items()))
for reason, count in known.most_common():
    print(f"{count}: {reason}")
print(*unknown, sep="\n")
print(f"{len(unknown)} differ, and nobody knows why")
sys.exit(bool(unknown) or counts["texts"] == 0)
