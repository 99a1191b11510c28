#!/usr/bin/env python3
"""make_jinja: writes jinja_cases.json: the templates of jinja_templates.txt with what Python's jinja2 makes of them, set up
as transformers does it.

    python3 tests/golden/make_jinja.py      (needs the package jinja2 3.1)

tests/template/test_jinja.c reads the file. The kind of a case is "ok" with text; "syntax", "raised" (raise_exception, with
text), "limit" or "error" for what jinja2 refuses; "unsupported" for what it accepts and we do not."""

import copy, json, pathlib, sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "template"))
import reference_jinja

NOW = 1721878245  # 2024-07-25 03:30:45 UTC
VARIABLES = {
    "s": "Hello World",
    "n": 7,
    "neg": -3,
    "f": 2.5,
    "t": True,
    "u": None,
    "empty": "",
    "l": [3, 1, 2],
    "e": [],
    "d": {"b": 2, "a": 1},
    "words": ["pear", "Apple", "fig"],
    "uni": "Grüße, Мир 日本🙂",
    "html": "<a href=\"x\">'&'</a>",
    "lines": "one\ntwo\n\nthree\n",
    "users": [
        {"name": "Ann", "age": 30, "tags": ["x"]},
        {"name": "bob", "age": 25},
        {"name": "Cid", "age": 30, "tags": []},
    ],
    "nested": {"x": {"y": [1, {"z": "deep"}]}},
    "items": "shadow",
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}],
}


def templates():
    """Cases of jinja_templates.txt: each line is one; between the lines <<< and >>> several lines are one."""
    block = None
    for line in (HERE / "jinja_templates.txt").read_text().split("\n"):
        if line == "<<<":
            block = []
        elif line == ">>>":
            yield "\n".join(block)
            block = None
        elif block is not None:
            block.append(line)
        elif line:
            yield line


UNSUPPORTED = [
    "{% block a %}x{% endblock %}",
    "{% autoescape true %}{{ html }}{% endautoescape %}",
    "{{ 'a<b>'|striptags }}",
    "{{ 2 ** 100 }}",
    "{{ 99999999999999999999 }}",
    "{{ 9223372036854775807 + 1 }}",
    "{{ '\\ud83d\\ude00' == 'x' }}",
    "{{ '\\N{DASH}' }}",
    "{{ 'a'.casefold() }}",
    "{{ '%e' % 1.5 }}",
    "{{ '{:e}'.format(1.5) }}",
    "{{ 2 ** 0.3 }}",
    "{{ 'ab'|wordwrap(1) }}",
    "{{ lipsum() }}",
    "{{ '99999999999999999999'|int }}",
    "{{ s|pprint }}",
    "{{ 'a'.encode() }}",
    "{{ '{:{}}'.format(1, 5) }}",
]


def main():
    cases = []
    for template in templates():
        kind, text = reference_jinja.render(template, copy.deepcopy(VARIABLES), True, "<s>", "</s>", NOW)
        cases.append({"template": template, "kind": kind, "text": text if kind in ("ok", "raised") else ""})
    cases += [{"template": template, "kind": "unsupported", "text": ""} for template in UNSUPPORTED]
    assert not any(" object at 0x" in case["text"] for case in cases)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    head = {"now": NOW, "bos": "<s>", "eos": "</s>", "variables": VARIABLES}
    text = json.dumps(head, ensure_ascii=False)[:-1] + f',\n"cases": [\n{lines}\n]}}\n'
    (HERE / "jinja_cases.json").write_text(text)
    print({kind: sum(case["kind"] == kind for case in cases) for kind in sorted({case["kind"] for case in cases})})


if __name__ == "__main__":
    main()
