#!/usr/bin/env python3
"""test_models.py CHORD: several models in one budget: opened when they are asked for, closed when another needs the room, with the answers that each gives alone;
and texts as vectors. With SmolLM2, where it is, as one that takes all the memory there is."""
import base64, math, os, struct

from server_test import *

OTHER = TESTS / "golden" / "tiny_qwen3.gguf"
ASK = {"prompt": "once upon", "max_tokens": 6, "temperature": 0, "ignore_eos": True}


def complete(s, model=None):
    status, said = s.post("/v1/completions", dict(ASK, **({"model": model} if model else {})))
    check(status == 200, f"{model}: {status} {said}")
    return said["choices"][0]["chord"]["logits_hash"] if status == 200 else None


def states(s):
    return {m["id"]: m["status"]["value"] for m in s.get("/v1/models")[1]["data"]}


LIMITS = ("--memory", "150M", "--ctx", "256")


def alone(path):
    with Server(*LIMITS, model=path) as s:
        return complete(s, "any name will do")


def several(paths, wanted, memory="150M"):
    """Every model's answer is the one it gives alone, whoever asks what meanwhile."""
    names = [path.stem for path in paths]
    with Server(*paths[1:], *LIMITS[2:], "--memory", memory, model=paths[0], template=False) as s:
        check(states(s) == {name: "loaded" if name == names[0] else "unloaded" for name in names}, f"at first: {states(s)}")
        for name in (*names, *names):
            check(complete(s, name) == wanted[name], f"{name} among others")
            check(states(s)[name] == "loaded" and complete(s) == wanted[name], f"who names none gets {name}, which was used last: {states(s)}")
            check(s.get("/props")[1]["model_alias"] == name, "and its properties")
        together([lambda name=name: check(complete(s, name) == wanted[name], f"{name} at the same time") for name in names * 4])
        status, said = s.post("/v1/completions", dict(ASK, model="unknown"))
        check(status == 404 and said["error"]["code"] == "model_not_found" and "unknown" in said["error"]["message"], f"{status} {said}")
        check(s.get("/v1/models/unknown", )[0] == 404 and s.get("/v1/models/" + names[1])[0] == 200, "one of them")
        m = s.idle()
        check(m["chord_peak_bytes"] <= m["chord_budget_bytes"], f"{m['chord_peak_bytes']} bytes of {m['chord_budget_bytes']}")
        check(m["chord_output_tokens_total"] == 6 * 8 * len(names), f"{m['chord_output_tokens_total']} tokens are counted")
        return states(s)


small = {path.stem: alone(path) for path in (TINY, OTHER)}
check(set(several([TINY, OTHER], small).values()) == {"loaded"}, "small ones stay")
large = pathlib.Path(os.environ.get("CHORD_MODELS", "models")) / "smollm2.gguf"
if large.exists():
    after = several([TINY, large, OTHER], {**small, large.stem: alone(large)}, "80M")
    check("unloaded" in after.values(), f"not all find room beside a large one: {after}")

# What cannot be is said before the server is there
for arguments, words in (((TINY, "--memory", "150M"), "two models have the name"), ((OTHER, "--alias", "x"), "--alias"), ((OTHER, "--draft", TINY), "--draft"),
                         (("/nonexistent.gguf", "--memory", "150M"), "nonexistent"), ((OTHER, "--template-file", template_file()), "--template-file")):
    try:
        Server(*arguments, template=False)
        check(False, f"{arguments}: it starts")
    except RuntimeError as e:
        check(words in str(e), f"{arguments}: {e}")

# Texts as vectors
with Server("--memory", "150M") as s:
    status, said = s.post("/v1/embeddings", {"input": ["once upon a time", "there was", [111, 110]], "model": "x"})
    check(status == 200 and [d["index"] for d in said["data"]] == [0, 1, 2], f"{status} {str(said)[:200]}")
    vectors = [d["embedding"] for d in said["data"]]
    width = s.get("/v1/models")[1]["data"][0]["meta"]["n_embd"]
    check(all(len(v) == width and abs(math.hypot(*v) - 1) < 1e-5 for v in vectors), "vectors of length 1")
    check(said["usage"]["prompt_tokens"] == said["usage"]["total_tokens"] > 6, f"{said['usage']}")
    for i, text in enumerate(("once upon a time", "there was", "on")):
        _, one = s.post("/v1/embeddings", {"input": text, "encoding_format": "base64"})
        packed = struct.unpack(f"<{width}f", base64.b64decode(one["data"][0]["embedding"]))
        tokens = s.post("/tokenize", {"content": text, "add_special": True})[1]["tokens"]
        if i < 2 or tokens == [111, 110]:
            check(all(abs(a - b) < 1e-7 for a, b in zip(packed, vectors[i])), f"{text!r} alone, in base64")
    made = complete(s)
    together([lambda: check(s.post("/v1/embeddings", {"input": "once upon a time"})[1]["data"][0]["embedding"] == vectors[0], "in company"),
              lambda: check(complete(s) == made, "beside vectors")] * 3)
    for body, word in (({}, "input"), ({"input": ""}, "input"), ({"input": [""]}, "input"), ({"input": [["a"], 5]}, "input"), ({"input": "a" * 600}, "600"),
                       ({"input": "a", "dimensions": 7}, "dimensions"), ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
                       ({"input": ["a"] * 2049}, "2049"), ({"input": [[99999999]]}, "no token")):
        status, said = s.post("/v1/embeddings", body)
        check(status == 400 and word in said["error"]["message"], f"{str(body)[:60]}: {status} {said}")
done()
