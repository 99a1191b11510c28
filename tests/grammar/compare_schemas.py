#!/usr/bin/env python3
"""compare_schemas.py TOOL VOCAB.gguf FOLDER...: schemas with values that they take and do not take, as others have collected them: the JSON-Schema-Test-Suite
(lists of {"schema", "tests": [{"data", "valid"}]}) and JSONSchemaBench (maskbench/data: one such object in a file). A value that is taken and is wrong is a failure;
how many schemas are supported, and have all their good values taken, is told. TOOL: tests/grammar/grammar_tool.c. Keys stand in the order of the schema's properties, as far as these are plain to see."""
import collections, json, pathlib, sys

from grammar_tool import SCHEMA, compiles, takes
from ordered import ordered

counts, reasons, wrong = collections.Counter(), collections.Counter(), []


def text_of(value):
    return json.dumps(value, ensure_ascii=False)


def compare(name, case):
    schema = case["schema"]
    counts["schemas"] += 1
    why = compiles(SCHEMA, text_of(schema))
    if why is not None:
        counts["refused"] += 1
        reasons[why.split("'")[1] if "'" in why else why[:60]] += 1
        return
    good = True
    for test in case["tests"]:
        if not test["valid"]:
            counts["bad values"] += 1
            if takes(text_of(test["data"])):
                wrong.append((name, test.get("description", ""), json.dumps(test["data"])[:200]))
        else:
            counts["good values"] += 1
            if not takes(text_of(ordered(test["data"], schema, schema))):
                counts["good values refused"] += 1
                good = False
                if "-v" in sys.argv:
                    print("refused:", name, json.dumps(schema)[:300], json.dumps(test["data"])[:300])
    counts["schemas passed"] += good


for folder in sys.argv[3:]:
    for path in sorted(pathlib.Path(folder).rglob("*.json")) if folder != "-v" else ():
        cases = json.loads(path.read_text())
        for i, case in enumerate(cases if isinstance(cases, list) else [cases]):
            compare(f"{path.name}:{i}", case)
print(", ".join(f"{count} {what}" for what, count in counts.items()))
print("refused for:", ", ".join(f"{word} {count}" for word, count in reasons.most_common(25)))
for entry in wrong[:40]:
    print("taken and wrong:", *entry, sep=" | ")
print(f"{len(wrong)} values are taken and wrong")
sys.exit(len(wrong) != 0)
