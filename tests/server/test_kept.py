#!/usr/bin/env python3
"""test_kept.py CHORD: what was read of a prompt is not read again: by a later request, by another session, and with --kv-dir after a restart; the answers stay the
same. Two servers on one folder do each other no harm, and a damaged file costs time only."""
import tempfile

from server_test import *

PROMPT = "a long beginning of a story, " * 8  # 232 bytes, each a token
ASK = {"prompt": PROMPT + "once", "max_tokens": 8, "temperature": 0, "ignore_eos": True}


def complete(s, **more):
    status, said = s.post("/v1/completions", dict(ASK, **more))
    check(status == 200, f"{status} {said}")
    return said["choices"][0]["text"], said["choices"][0]["chord"]["logits_hash"], said["usage"]["prompt_tokens_details"]["cached_tokens"]


with tempfile.TemporaryDirectory(prefix="chord-kept-") as kept:
    options = ("--memory", "96M", "--parallel", "2", "--kv-dir", kept)
    with Server(*options) as first:
        text, number, cached = complete(first)
        check(cached == 0, f"{cached} tokens were known of a new prompt")
        again = complete(first)
        check(again[:2] == (text, number) and again[2] >= 192, f"asked again: {again}")
        together([lambda: check(complete(first)[:2] == (text, number), "both at once")] * 2)
    files = sorted(pathlib.Path(kept).rglob("*.kv"))
    check(len(files) >= 3, f"{len(files)} files are kept")
    with Server(*options) as second, Server(*options) as third:
        for s in (second, third):
            found = complete(s)
            check(found[:2] == (text, number) and found[2] >= 192, f"after a restart: {found}, {(text, number)}")
        other = complete(second, prompt=PROMPT + "never")
        check(other[2] >= 192 and other[1] != number, f"another end of the same beginning: {other}")
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])
    with Server(*options) as fourth:
        check(complete(fourth)[:2] == (text, number), "with a file that is cut short")
with Server("--memory", "96M") as s:
    check(complete(s)[:2] == (text, number), "without a folder")
done()
