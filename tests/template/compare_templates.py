#!/usr/bin/env python3
"""compare_templates: renders every *.jinja of a folder, and the chat template of every *.gguf named, with Python's jinja2
(set up as transformers does it) and with our program, for a set of conversations; compares bytes and kinds of error.

    compare_templates.py --program PROGRAM [--folder DIR] [FILE.gguf ...] [-v]

PROGRAM is called as PROGRAM --template-file F --messages F.json [--no-generation-prompt] --bos S --eos S --now SECONDS.
Needs the package jinja2. Exit 0: all pairs agree."""

import argparse, copy, json, pathlib, struct, subprocess, sys, tempfile
import reference_jinja

NOW, BOS, EOS = 1721865600 + 12345, "<s>", "</s>"

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a place",
        "parameters": {
            "type": "object",
            "required": ["place"],
            "properties": {
                "place": {"type": "string", "description": 'A city, e.g. "Zürich"'},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": ["integer", "null"], "minimum": 1},
                "options": {
                    "type": "object",
                    "properties": {
                        "wind": {"type": "boolean"},
                        "tags": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
        "return": {"type": "object", "properties": {"celsius": {"type": "number"}}},
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "clock", "description": "The time", "parameters": {"type": "object", "properties": {}}},
}


def user(text):
    return {"role": "user", "content": text}


def said(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, id="abcdef123"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(text, name="get_weather", id="abcdef123"):
    return {"role": "tool", "name": name, "tool_call_id": id, "content": text}


SYSTEM = {"role": "system", "content": "You are terse.\nVery."}
FIXTURES = {
    "plain": {"messages": [user("Hi"), said("Hello!"), user(" How are you? ")]},
    "one": {"messages": [user("Hi")]},
    "system": {"messages": [SYSTEM, user("Hi")]},
    "developer": {"messages": [{"role": "developer", "content": "Obey."}, user("Hi")]},
    "system twice": {"messages": [SYSTEM, user("Hi"), said("Yes."), SYSTEM, user("More")]},
    "tools": {"messages": [SYSTEM, user("Weather?")], "tools": [WEATHER, CLOCK]},
    "tools without system": {"messages": [user("Weather?")], "tools": [WEATHER]},
    "tool call": {
        "messages": [
            user("Weather?"),
            said(None, tool_calls=[call("get_weather", {"place": "Zürich", "days": 2, "x": 1.5, "on": True})]),
            result('{"celsius": 21.5}'),
            said("It is 21.5."),
            user("Thanks <&>"),
        ],
        "tools": [WEATHER, CLOCK],
    },
    "tool call as text": {
        "messages": [
            user("Weather?"),
            said("", tool_calls=[call("get_weather", '{"place": "Bern"}')]),
            result("21"),
        ],
        "tools": [WEATHER],
    },
    "two tool calls": {
        "messages": [
            user("Both?"),
            said(
                "Looking.",
                tool_calls=[call("get_weather", {"place": "Rom"}, "aaaaaaaa1"), call("clock", {}, "bbbbbbbb2")],
            ),
            result("21", id="aaaaaaaa1"),
            result("12:00", "clock", "bbbbbbbb2"),
        ],
        "tools": [WEATHER, CLOCK],
    },
    "tool result as list": {
        "messages": [
            user("Weather?"),
            said(
                "",
                tool_calls=[call("get_weather", {"place": "Rom", "options": {"wind": True, "tags": ["a", "b"]}})],
            ),
            result([{"type": "text", "text": "21"}]),
        ],
        "tools": [WEATHER],
    },
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]}
        ]
    },
    "image": {
        "messages": [
            SYSTEM,
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe."}]},
            said("A cat."),
            user("Sure?"),
        ]
    },
    "reasoning": {"messages": [user("2+2?"), said("4", reasoning_content="Two and two\nmake four."), user("3+3?")]},
    "thinking": {
        "messages": [user("2+2?"), said("<think>\nhm\n</think>\n\n4"), user("3+3?")],
        "enable_thinking": False,
    },
    "reasoning with tools": {
        "messages": [
            user("Weather?"),
            said(
                "",
                reasoning_content="A tool.",
                thinking="A tool.",
                tool_calls=[call("get_weather", {"place": "Rom"})],
            ),
            result("21"),
        ],
        "tools": [WEATHER],
        "enable_thinking": True,
    },
    "assistant last": {"messages": [user("Count"), said("1, 2,")]},
    "assistant first": {"messages": [said("Hello, I am here."), user("Hi")]},
    "user twice": {"messages": [user("A"), user("B")]},
    "unicode": {
        "messages": [
            {"role": "system", "content": "Добрый день"},
            user("日本語 🙂 \u00a0é\u2028x\u0000"),
            said("ﬁn\tß"),
            user("\r\n  \u3000"),
        ]
    },
    "empty": {"messages": []},
    "empty text": {"messages": [user("")]},
    "none": {"messages": [{"role": "user", "content": None}]},
    "unknown role": {"messages": [user("A"), {"role": "critic", "content": "No."}]},
    "variables": {
        "messages": [SYSTEM, user("Hi")],
        "documents": [{"title": "One", "text": "First text", "doc_id": 1}, {"title": "Two", "text": "Second"}],
        "date_string": "01 Jan 2025",
        "reasoning_effort": "high",
        "thinking": True,
        "builtin_tools": ["browser", "python"],
        "controls": {"a": 1},
        "custom_tools": [CLOCK],
        "chat_template_kwargs": {},
        "user_name": "Ann",
        "model_identity": "You are X.",
    },
}


def gguf_template(path):
    """tokenizer.chat_template of a GGUF file."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    with open(path, "rb") as file:
        number = lambda form: struct.unpack("<" + form, file.read(struct.calcsize(form)))[0]
        text = lambda: file.read(number("Q"))

        def value(kind):
            if kind == 8:
                return text()
            if kind == 9:
                inner, count = number("I"), number("Q")
                return (
                    [value(inner) for _ in range(count)] if inner in (8, 9) else file.seek(sizes[inner] * count, 1)
                )
            return file.read(sizes[kind])

        file.read(16)
        for _ in range(number("Q")):
            key = text()
            if (got := value(number("I"))) and key == b"tokenizer.chat_template":
                return got.decode()


def ours(program, template_file, messages_file, open_reply):
    command = [
        program,
        "--template-file",
        template_file,
        "--messages",
        messages_file,
        "--bos",
        BOS,
        "--eos",
        EOS,
        "--now",
        str(NOW),
    ]
    done = subprocess.run(command + ([] if open_reply else ["--no-generation-prompt"]), capture_output=True)
    if done.returncode == 0:
        return "ok", done.stdout.decode()
    sentence = done.stderr.decode().strip()
    kinds = {"malformed": "syntax", "unsupported": "unsupported", "invalid": "error", "memory": "limit"}
    return next((k for word, k in kinds.items() if sentence.startswith(word)), "crash"), sentence


def agree(reference, our):
    """Text must be equal; of an error the kind, and of raise_exception the message."""
    (kind, text), (our_kind, our_text) = reference, our
    if kind == "raised":
        bare = lambda message: "".join(c if c.isprintable() else "?" for c in message)
        return our_kind == "error" and bare(our_text.split(": ", 1)[1])[:200] == bare(text)[:200]
    return kind == our_kind and (kind != "ok" or text == our_text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--folder")
    parser.add_argument("-v", action="store_true", help="show both sides of what differs")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    templates = (
        {path.name: path.read_text() for path in sorted(pathlib.Path(args.folder).glob("*.jinja"))}
        if args.folder
        else {}
    )
    for path in args.files:
        if text := gguf_template(path):
            templates[pathlib.Path(path).name] = text
        else:
            print(f"{path} has no chat template")
    pairs, same, errors = 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        template_file, messages_file = scratch / "template", scratch / "messages.json"
        for name, text in templates.items():
            template_file.write_bytes(text.encode())
            for fixture, root in FIXTURES.items():
                messages_file.write_text(json.dumps(root))
                for open_reply in (True, False):
                    reference = reference_jinja.render(text, copy.deepcopy(root), open_reply, BOS, EOS, NOW)
                    our = ours(args.program, str(template_file), str(messages_file), open_reply)
                    pairs += 1
                    errors += reference[0] != "ok"
                    if agree(reference, our):
                        same += 1
                        continue
                    print(
                        f"DIFFERS {name} / {fixture} / {'open' if open_reply else 'closed'}: {reference[0]} <> {our[0]}"
                    )
                    if args.v:
                        print(f"  reference: {reference[1]!r}\n  ours:      {our[1]!r}")
    print(
        f"{len(templates)} templates, {pairs} pairs, {same} agree (of all pairs {errors} are errors on both sides)"
    )
    return same != pairs


if __name__ == "__main__":
    sys.exit(main())
