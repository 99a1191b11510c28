#!/usr/bin/env python3
"""test_requantize.py: --requantize TYPE: texts, hashes and perplexity are those of a file in which these tensors are of TYPE, with every memory and
number of threads; it is said, planned, counted, and refused where it cannot be."""
from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.gguf"
folder = pathlib.Path(home.name)

for name, model in find_models("smollm2").items():
    path = folder / "large.gguf"  # all matrices are Q8_0
    check(run("quantize", model, path, "Q8_0", "--pure").returncode == 0, "quantize")
    words = ["--raw", "-p", "The sea is", "-n", 5, "--temp", 0.7, "--seed", 3]
    plain = run_json("run", path, *words)
    ways = [[], ["--memory", "60M"], ["--memory", "90M", "--threads", 1, "--no-repack"]]
    for kind, tried in (("Q4_0", ways), ("q5_1", ways[1:2])):
        made = folder / f"{kind}.gguf"
        quantised = run("quantize", path, made, kind, "--pure", "--token-embedding-type", "Q8_0")
        check(quantised.returncode == 0, f"{quantised}")
        wanted = run_json("run", made, *words)
        check(wanted["logits_hash"] != plain["logits_hash"], "other weights say something else")
        for more in tried:
            got = run_json("run", path, *words, "--requantize", kind, *more)
            check(got["logits_hash"] == wanted["logits_hash"] and got["text"] == wanted["text"], f"{kind} {more}: {got}, the file says {wanted}")
            check(got["stats"]["requantized_bytes"] > 0 and not got["stats"]["mapped"], f"{got['stats']}")
        many = run_json("run", path, *words, "--requantize", kind, "--parallel", 2, "--memory", "90M")
        check(many["answers"][0]["logits_hash"] == wanted["logits_hash"], f"{many['answers'][0]}")
        text = folder / "text.txt"
        text.write_text("It was a bright cold day in April, and the clocks were striking thirteen. " * 10)
        both = [run_json("perplexity", *words) for words in ((made, "-f", text, "-c", 64), (path, "-f", text, "-c", 64, "--requantize", kind, "--memory", "80M"))]
        check(both[0]["perplexity"] == both[1]["perplexity"], f"{both}")

    # it is planned, and said
    plans = [run_json("plan", path, "--memory", "90M", "--ctx", 64, *more) for more in ([], ["--requantize", "Q4_0"])]
    check(plans[1]["tiles_pinned"] / plans[1]["tiles"] > plans[0]["tiles_pinned"] / plans[0]["tiles"], f"more of the tiles stay: {plans}")
    check(plans[1]["requantize"] == "Q4_0" and plans[1]["requantized_bytes"] < plans[1]["requantized_file_bytes"], f"{plans[1]}")
    check("requantize" not in plans[0] and plans[0]["model_bytes"] == plans[1]["model_bytes"], f"{plans[0]}")
    check("Quantised to Q4_0 as they are read" in run("plan", path, "--memory", "90M", "--ctx", 64, "--requantize", "Q4_0").stdout, "the plan says it")
    told = run("run", path, *words, "--requantize", "Q4_0")
    check("quantised to Q4_0 as they are read" in told.stderr, told.stderr)
    # what streams is counted as the file has it
    streamed = run_json("run", path, *words, "--requantize", "Q4_0", "--policy", "none", "--draft-max", 0)["stats"]
    check(streamed["bytes_read"] >= streamed["passes"] * plans[1]["requantized_file_bytes"], f"{streamed}")

# what cannot be is refused
for words, said in [(["--requantize", "Q4"], "no tensor can be written as 'Q4'"), (["--requantize", "IQ1_S"], "IQ1_S"),
                    (["--requantize", "Q4_0", "--mode", "mapped"], "cannot be mapped")]:
    refused = run("run", TINY, "--raw", "-p", "abc", "-n", 3, *words)
    check(refused.returncode == 1 and said in refused.stderr and refused.stdout == "", f"{words}: {refused}")
packed = folder / "packed.gguf"
for name, path in find_models("smollm2").items():
    check(run("pack", path, packed).returncode == 0, "pack")
    refused = run("run", packed, "--raw", "-p", "abc", "-n", 3, "--requantize", "Q4_0")
    check(refused.returncode == 1 and "packed by chord pack" in refused.stderr, f"{refused}")
nothing = run("run", TINY, "--raw", "-p", "abc", "-n", 3, "--requantize", "F32")
check(nothing.returncode == 0 and "no weights are larger" in nothing.stderr, f"{nothing}")
check(nothing.stdout == run("run", TINY, "--raw", "-p", "abc", "-n", 3).stdout, "and nothing changes")
done()
