#!/usr/bin/env python3
"""test_kv_dir.py: --kv-dir: a prompt seen before is found again by the next run, with the same text and hash; two at once, other models and KV types,
a folder that is bounded, damaged, or cannot be used."""
from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.gguf"
folder = pathlib.Path(home.name) / "kept"
prompt = "".join(f"{i} is a number, " for i in range(40))[:300]


def words(*more, model=TINY, text=prompt):
    return ["run", model, "--raw", "-p", text, "-n", 6, *more]


def files():
    return sorted(folder.iterdir()) if folder.exists() else []


plain = run_json(*words())
first = run_json(*words("--kv-dir", folder))
check(first["logits_hash"] == plain["logits_hash"] and first["stats"]["reused_tokens"] == 0, f"{first}")
count = len(files())
whole = (first["prompt_tokens"] - 1) // 64 * 64
check(whole >= 128 and count == (first["prompt_tokens"] + 5) // 64, f"{first['prompt_tokens']} tokens, {count} files")
check(folder.stat().st_mode & 0o077 == 0 and all(f.stat().st_mode & 0o077 == 0 for f in files()), "nobody else may read them")

again = run_json(*words("--kv-dir", folder))
check(again["logits_hash"] == plain["logits_hash"] and again["text"] == plain["text"], f"{again}")
check(again["stats"]["reused_tokens"] == whole and again["stats"]["prompt_tokens"] == first["prompt_tokens"] - whole, f"{again['stats']}")
told = run(*words("--kv-dir", folder, "--memory", "64M", "--threads", 1))
check(f"and {whole} that were found" in told.stderr, told.stderr)
check("found" not in run(*words()).stderr, "without a folder nothing is said of it")

# another KV type, another model's weights, and a packed file of the same model know nothing of it
other = run_json(*words("--kv-dir", folder, "--kv-type", "q8_0"))
check(other["stats"]["reused_tokens"] == 0 and other["logits_hash"] == run_hash(*words("--kv-type", "q8_0")), f"{other['stats']}")
packed = pathlib.Path(home.name) / "packed.gguf"
check(run("pack", TINY, packed).returncode == 0, "pack")
other = run_json(*words("--kv-dir", folder, model=packed))
check(other["stats"]["reused_tokens"] == 0 and other["logits_hash"] == plain["logits_hash"], f"{other['stats']}")

# chat, batch and several answers use it, too
questions = pathlib.Path(home.name) / "questions.jsonl"
questions.write_text("".join(json.dumps({"prompt": prompt, "raw": True, "max_tokens": n}) + "\n" for n in (3, 6)))
batch = run("batch", TINY, questions, "-", "--kv-dir", folder, "--parallel", 2)
lines = [json.loads(line) for line in batch.stdout.splitlines()]
check({plain["logits_hash"]} == {line["logits_hash"] for line in lines if line["tokens_made"] == 6}, f"{batch}")
check(f"{2 * whole} tokens were found" in batch.stderr, batch.stderr)
many = run_json(*words("--kv-dir", folder, "--parallel", 2))
check(many["answers"][0]["logits_hash"] == plain["logits_hash"], f"{many}")
chats = [run("chat", TINY, "--raw", "--temp", 0, "-n", 4, "--kv-dir", folder, stdin=f"{prompt}\n/stats\n") for _ in range(2)]
check(chats[0].stdout == chats[1].stdout and "64 tokens were known" not in chats[0].stderr, f"{chats}")

# two at once
running = [subprocess.Popen([chord, *map(str, words("--kv-dir", folder, "--json", text=prompt[:250] + str(i % 2)))], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment) for i in range(4)]
answers = [json.loads(process.communicate()[0]) for process in running]
for i, got in enumerate(answers):
    check(got["logits_hash"] == run_hash(*words(text=prompt[:250] + str(i % 2))), f"{i}: {got}")

# damaged files are told of once, and replaced
for file in files():
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
damaged = run(*words("--kv-dir", folder, "--json"))
check(json.loads(damaged.stdout)["logits_hash"] == plain["logits_hash"] and damaged.stderr.count("damaged") == 1, f"{damaged}")
check(run_json(*words("--kv-dir", folder))["stats"]["reused_tokens"] == whole, "what was damaged was written anew")

# bounded, too small for anything, and not a folder
size = files()[0].stat().st_size
bounded = run_json(*words("--kv-dir", folder, "--kv-dir-size", 3 * size, text="Something else. " + prompt))
check(sum(f.stat().st_size for f in files()) <= 3 * size and bounded["logits_hash"] == run_hash(*words(text="Something else. " + prompt)), f"{files()}")
for file in files():
    file.unlink()
small = run(*words("--kv-dir", folder, "--kv-dir-size", 1000, "--json"))
check(json.loads(small.stdout)["logits_hash"] == plain["logits_hash"] and "texts are not kept there" in small.stderr and not files(), f"{small}")
refused = run(*words("--kv-dir", TINY))
check(refused.returncode == 1 and str(TINY) in refused.stderr and refused.stdout == "", f"{refused}")
refused = run(*words("--kv-dir-size", "1G"))
check(refused.returncode == 2 and "--kv-dir" in refused.stderr, f"{refused}")

# the memory of it is planned
plans = [run_json("plan", TINY, "--ctx", 512, *more) for more in ([], ["--kv-dir", folder])]
check(plans[1]["kv_bytes"] - plans[0]["kv_bytes"] >= size - 4096, f"{plans}")
done()
