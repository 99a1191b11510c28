"""compare_templates.py REPLY_TOOL PEER [-v]: answers in the ways in which many templates write calls and thoughts, and what another implementation takes
them for. PEER: a folder of the reference runtime's sources; its templates and the cases of tests/test-chat.cpp are read there, nothing of them is kept
here. KNOWN lists what we take otherwise, and why."""
import json, pathlib, re, subprocess, sys

tool, peer = sys.argv[1], pathlib.Path(sys.argv[2])
verbose = "-v" in sys.argv
source = re.sub(r"(?m)^\s*//.*$", "", (peer / "tests/test-chat.cpp").read_text())

# ---- as much of C++ as the cases are written in ---------------------------------------------------------------------

TOKEN = re.compile(r'\s+|//[^\n]*|/\*.*?\*/|R"(?P<d>[A-Z#]*)\((?P<raw>.*?)\)(?P=d)"|"(?P<text>(?:\\.|[^"\\])*)"|(?P<name>[A-Za-z_][\w:]*)|(?P<number>\d+)|(?P<other>[(){}.,;+=&*<>\[\]!?-])', re.S)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "r": "\r", "'": "'"}


def tokens(text):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            return
        at = m.end()
        if m["raw"] is not None:
            yield "text", m["raw"]
        elif m["text"] is not None:
            yield "text", re.sub(r"\\(.)", lambda e: ESCAPES.get(e[1], e[1]), m["text"], flags=re.S)
        elif m["name"] or m["number"]:
            yield "name", m["name"] or m["number"]
        elif m["other"]:
            yield m["other"], m["other"]


class Unknown(Exception):
    pass


def value(t, at, names):
    """One argument: a text, a name, a call, or a list in braces."""
    kind, what = t[at]
    if kind == "text":
        out = ""
        while at < len(t) and t[at][0] in ("text", "+", "name"):
            if t[at][0] == "name":
                if not isinstance(names.get(t[at][1]), str):
                    raise Unknown(t[at][1])
                out += names[t[at][1]]
            elif t[at][0] == "text":
                out += t[at][1]
            at += 1
        return out, at
    if kind == "name" and at + 1 < len(t) and t[at + 1][0] == "(":
        items, at = listed(t, at + 2, ")", names)
        return (what, items), at
    if kind == "name" and isinstance(names.get(what), str) and t[at + 1][0] == "+":
        rest, at = value(t, at + 2, names)
        return names[what] + rest, at
    if kind == "name":
        return names.get(what, what), at + 1
    if kind == "{":
        return listed(t, at + 1, "}", names)
    raise Unknown(what)


def listed(t, at, end, names):
    items = []
    while t[at][0] != end:
        if t[at][0] == ",":
            at += 1
            continue
        item, at = value(t, at, names)
        items.append(item)
    return items, at + 1


def message(value):
    if not isinstance(value, tuple):
        if not isinstance(value, dict):
            raise Unknown(value)
        return value
    name, a = value
    empty = {"content": "", "reasoning": "", "calls": []}
    if name == "simple_assist_msg":
        a = a + [""] * (5 - len(a))
        return dict(empty, content=a[0], reasoning=a[1], calls=[(a[2], a[3], a[4])] if a[2] or a[4] else [])
    if name == "message_with_tool_calls":
        return dict(empty, calls=[(a[0], a[1], "")])
    if name == "message_with_tool_calls_and_reasoning":
        return dict(empty, reasoning=a[2], calls=[(a[0], a[1], "")])
    if name == "message_with_reasoning_and_tool_call":
        return dict(empty, reasoning=a[0], calls=[(a[1], a[2], "")])
    if name == "message_with_content_and_tool_call":
        return dict(empty, content=a[0], calls=[(a[1], a[2], "")])
    if name == "message_with_reasoning_content_and_multiple_tool_calls":
        return dict(empty, reasoning=a[0], content=a[1], calls=[(n, x, "") for n, x in a[2]])
    raise Unknown(name)


names = {}
for m in re.finditer(r"static common_chat_tool (\w+)\{(.*?)\n\};", source, re.S):
    parts, _ = listed(list(tokens(m[2])) + [("}", "}")], 0, "}", {})
    names[m[1]] = {"type": "function", "function": {"name": parts[0], "description": parts[1], "parameters": json.loads(parts[2])}}
for m in re.finditer(r"const common_chat_msg (message_assist\w*)\s*=\s*(simple_assist_msg\(.*?\));\n", source, re.S):
    names[m[1]] = message(value(list(tokens(m[2])) + [(";", ";")], 0, names)[0])
for m in re.finditer(r"const std::string (\w+) =\s*((?:\s*\"(?:\\.|[^\"\\])*\")+);", source):
    names[m[1]] = value(list(tokens(m[2])) + [(";", ";")], 0, {})[0]


def cases():
    """(template, text, {setter: value}) of each test that can be read."""
    template = None
    for m in re.finditer(r'peg_tester\("models/templates/([^"]+)"|peg_tester\((path)|test_lfm2_parser\((const)|\b(?:tst|tst2)\.test\(', source):
        if m[1] or m[2] or m[3]:
            template = m[1] or ("Qwen-Qwen2.5-7B-Instruct.jinja" if m[2] else "LFM2.5-8B-A1B.jinja")
            continue
        t = []
        for token in tokens(source[m.end() - 1:m.end() + 12000]):
            t.append(token)
            if token[0] == ";":
                break
        try:
            text, at = listed(t, 1, ")", names)
            said = {}
            while t[at][0] == ".":
                what, (arguments, at) = t[at + 1][1], listed(t, at + 3, ")", names)
                said[what] = arguments[0] if arguments else True
            yield template, text[0], said
        except (Unknown, IndexError, ValueError, TypeError):
            yield template, None, {}


# ---- what is not the same, and shall not be ----------------------------------------------------------------------------

# Where thoughts are kept, theirs begin with the part of them that stands in the prompt; an answer's own text is all that ours has.
KNOWN = {  # template: why
    "Apriel-1.6-15b-Thinker-fixed.jinja": "its thoughts begin in the prompt, and that part is no part of the answer",
    "Qwen3.5-4B.jinja": "a marker once more at the begin of a thought is no thought",
    "MiniMax-M3.jinja": "an element that may be an object is one",
    "Kimi-K3.jinja": "its markup is not read",
    "muse-glimmer.jinja": "its markup is not read",
    "tencent-Hy3.jinja": "its markup is not read",
}


def asked(template, text, said):
    choices = said.get("tools", [])
    tools = [t for t in choices if isinstance(t, dict)]
    if len(tools) != len(choices):
        raise Unknown("tools")
    talk = {"messages": [{"role": "user", "content": "Hey there!"}], "enable_thinking": said.get("enable_thinking") != "false"}
    if tools:
        talk["tools"] = tools
    return {"template": (peer / "models/templates" / template).read_text(), "conversation": json.dumps(talk), "tools": json.dumps(tools) if tools else None,
            "keep": said.get("reasoning_format", "COMMON_REASONING_FORMAT_NONE").endswith("NONE"), "text": text}


def expected(said):
    m = message(said["expect"]) if "expect" in said else {"content": "", "reasoning": "", "calls": []}
    calls = [tuple(c) + ("",) * (3 - len(c)) for c in said.get("expect_tool_calls", m["calls"])]
    return said.get("expect_content", m["content"]), said.get("expect_reasoning", m["reasoning"]), [(n, a) for n, a, _ in calls]


def same(got, want):
    content, reasoning, calls = want
    if got["content"].strip() != content.strip() or got["reasoning"].strip() != reasoning.strip():
        return False
    return [(c["name"], c["arguments"]) for c in got["calls"]] == [(n, json.loads(a or "{}")) for n, a in calls]


process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
counts = dict.fromkeys(("same", "known", "other", "unread"), 0)
for template, text, said in cases():
    if text is None or "continue_final_message" in said or "is_partial" in said or "json_schema" in said:
        counts["unread"] += 1
        continue
    try:
        question, want = asked(template, text, said), expected(said)
    except (Unknown, OSError):
        counts["unread"] += 1
        continue
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    got = json.loads(line)
    kind = "same" if same(got, want) else "known" if template in KNOWN or question["keep"] else "other"
    counts[kind] += 1
    if kind == "other":
        print(f"{template}: {text!r}\n    taken for {got['content']!r} {got['reasoning']!r} {got['calls']}\n    not for   {want}")
        if verbose:
            print(f"    prompt ends {got['prompt'][-60:]!r}")
print(counts)
sys.exit(counts["other"] > 0 or counts["same"] == 0)
