#!/usr/bin/env python3
"""headers.py CC: every public header stands by itself, in C11 and C17, in C++17, and in a guest of either language."""
import pathlib, shutil, subprocess, sys

include = pathlib.Path(__file__).resolve().parent.parent.parent / "include"
failed = 0


def compiles(header, language, standard, command):
    global failed
    result = subprocess.run([*command, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{include}", "-"],
                            input=f'#include "{header.name}"\n#include "{header.name}"\n', text=True, capture_output=True)
    if result.returncode != 0:
        failed += 1
        print(f"{header.name} as {standard} with {command}:\n{result.stderr[:2000]}")


headers = sorted(include.glob("*.h"))
cplusplus = [name for name in ("g++", "clang++", "clang++-22") if shutil.which(name)]
clang = shutil.which("clang-22")
for header in headers:
    for standard in ("c11", "c17"):
        compiles(header, "c", standard, [sys.argv[1]])
    for compiler in cplusplus:
        compiles(header, "c++", "c++17", [compiler])
    if clang and header.name == "chord_host_v1.h":
        freestanding = [clang, "--target=wasm32", "-ffreestanding", "-nostdlib"]
        compiles(header, "c", "c17", freestanding)
        compiles(header, "c++", "c++17", [*freestanding, "-nostdinc++"])
print(f"{len(headers)} headers, C++ by {', '.join(cplusplus) or 'no compiler: NOT TESTED'}; {failed} failed")
sys.exit(bool(failed) or not headers)
