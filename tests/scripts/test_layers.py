#!/usr/bin/env python3
"""test_layers.py: check-layers passes a small made house, and tells each fault that is built into it."""
import pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
checks = failures = 0
HOUSE = {
    "src/base/base.h": "#ifndef BASE_H\n#define BASE_H\n#include <string.h>\nint base_low(int x);\nint base_high(int x);\nint base_page(void);\n"
                       "void *memcpy(void *to, const void *from, unsigned long n);\n#endif\n",
    "src/base/low.c": '#include "base/base.h"\nint base_low(int x) { return x + 1; }\n',
    "src/base/high.c": '#include "base/base.h"\n/* base_other() is only a word here */\nstatic int help(int x) { return base_low(x); }\n\n'
                       'int base_high(int x)\n{\n    return help(x); /* "base_high" */\n}\n',
    "src/base/page_posix.c": '#include "base/base.h"\n#include <unistd.h>\nint base_page(void) { return 4096; }\n',
    "src/base/page_guest.c": '#include "base/base.h"\nint base_page(void) { return 65536; }\n'
                             "void *memcpy(void *to, const void *from, unsigned long n) { (void)base_high(1); return (void)from, (void)n, to; }\n",
    "src/base/copy.c": '#include "base/base.h"\nint base_copy(void *to) { memcpy(to, "x", 1); return base_page(); }\n',
    "src/store/store.h": '#ifndef STORE_H\n#define STORE_H\n#include "base/base.h"\nint store_open(void);\n#endif\n',
    "src/store/store.c": '#include "store/store.h"\nint store_open(void) { return base_high(2); }\nint help(int x) { return x; }\n',
    "cli/main.c": '#include "chord.h"\nint main(void) { return 0; }\n',
}
# Lines enough that no folder of the made house has more than a fifth; none of them is a definition.
for number in range(9):
    HOUSE[f"src/fill{number}/fill.c"] = "/* a line */\n" * 40


def run(changes):
    with tempfile.TemporaryDirectory(prefix="chord-layers-") as folder:
        for name, text in {**HOUSE, **changes}.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, ROOT / "scripts/check-layers", folder], capture_output=True, text=True)


def passes(what, changes):
    global checks, failures
    checks += 1
    result = run(changes)
    if result.returncode != 0 or result.stderr:
        failures += 1
        print(f"{what}: refused: {result.stdout}{result.stderr}")


def fails(what, changes, *sentences):
    global checks, failures
    checks += 1
    result = run(changes)
    missing = [s for s in sentences if s not in result.stdout]
    if result.returncode != 1 or missing or result.stderr:
        failures += 1
        print(f"{what}: exit {result.returncode}, without {missing}: {result.stdout}{result.stderr}")


def low(more):
    return {"src/base/low.c": HOUSE["src/base/low.c"] + more}


BACK = "base: a circle of 2 files"
passes("the house as it is", {})

# Circles, in each way in which a file can use another one's name.
fails("a call", low("int base_back(void) { return base_high(1); }\n"), f"{BACK} (native):", "src/base/low.c uses src/base/high.c: base_high",
      "src/base/high.c uses src/base/low.c: base_low")
fails("an address in a table", low("int (*const base_table[])(int) = {base_high};\n"), BACK)
fails("an object", {"src/base/high.c": HOUSE["src/base/high.c"] + "const int base_limits[2] = {1, 2};\n", **low("int base_back(void) { return base_limits[0]; }\n")},
      BACK, "low.c uses src/base/high.c: base_limits")
fails("a macro of a header", {"src/base/base.h": HOUSE["src/base/base.h"].replace("#endif", "#define HIGH(x) \\\n    (base_high(x) + 1)\n#endif"),
                              **low("int base_back(void) { return HIGH(1); }\n")}, BACK)
fails("an inline function of a header", {"src/base/base.h": HOUSE["src/base/base.h"].replace("#endif", "static inline int twice(int x) { return base_high(x); }\n#endif"),
                                         **low("int base_back(void) { return twice(1); }\n")}, BACK)
fails("a pasted name", low("#define CALL(name) base_##name(1)\nint base_back(void) { return CALL(high); }\n"), BACK)
fails("a template", {"src/base/body.inc": "static int body(void) { return base_high(1); }\n", **low('#include "base/body.inc"\n')}, BACK)
fails("a template that defines", {"src/base/body.inc": "#define PASTE_(a, b) a##_##b\n#define NAME(a) PASTE_(a, fast)\nint NAME(base_sum)(int x)\n{\n    return base_low(x);\n}\n",
                                  "src/base/sum_avx2.c": '#include "base/base.h"\n#include "base/body.inc"\n', **low("int base_back(void) { return base_sum_fast(1); }\n")},
      BACK, "src/base/low.c uses src/base/sum_avx2.c: base_sum")
fails("three files", {**low("int base_back(void) { return base_third(); }\n"), "src/base/third.c": '#include "base/base.h"\nint base_third(void) { return base_high(0); }\n'},
      "base: a circle of 3 files")
fails("freestanding only", {"src/base/page_guest.c": HOUSE["src/base/page_guest.c"] + "int base_most(void) { return base_copy(0); }\n"},
      f"{BACK} (freestanding):", "src/base/page_guest.c uses src/base/copy.c: base_copy")
fails("a program", {"cli/a.c": "int a(void) { return b(); }\n", "cli/b.c": "int b(void) { return a(); }\n"}, "cli: a circle of 2 files")

# What is no circle.
passes("a static namesake", low("static int base_high(int x) { return x; }\nint base_back(void) { return base_high(1); }\n"))
passes("a member's name", {"src/base/base.h": HOUSE["src/base/base.h"].replace("#endif", "struct names { int base_high; };\n#endif"),
                           **low("int base_back(struct names *n, struct names m) { return n->base_high + m.base_high; }\n")})
passes("a word in a comment or a text", low('/* base_high(1) */ // base_high(1)\nconst char *base_back(void) { return "base_high(1)"; }\n'))
passes("files of two builds", {"src/base/page_posix.c": HOUSE["src/base/page_posix.c"] + "int base_other(void) { return base_only(); }\n",
                               "src/base/only_guest.c": '#include "base/base.h"\nint base_only(void) { return base_other(); }\n'})

# Includes.
fails("an arrow up", {"src/base/low.c": '#include "store/store.h"\n'}, "src/base/low.c:1: room base may not include room store")
fails("another door", {"src/store/store.c": '#include "base/base_inner.h"\n'}, "base/base_inner.h is not the door of room base")
fails("libc", {"src/base/low.c": "#include <stdio.h>\n"}, "<stdio.h> is a libc header")
fails("libc in a template", {"src/base/body.inc": "#include <stdio.h>\n"}, "src/base/body.inc:1: <stdio.h> is a libc header")
fails("a program and a room", {"server/main.c": '#include "gguf/gguf.h"\n'}, "server/ may use the doors of: base, json")

# Sizes.
fails("a large room", {"src/store/store.c": HOUSE["src/store/store.c"] + "/* a line */\n" * 200}, "src/store: 20", "more than one in 5")
passes("large, but made by a script", {"src/store/tables.c": "/* tables.c - made by a script; do not edit. */\n" + "/* a line */\n" * 200})

print(f"{checks} checks, {failures} failures")
sys.exit(failures != 0)
