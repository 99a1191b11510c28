#!/usr/bin/env python3
"""make_reference.py LLAMA_BIN MODEL.gguf NAME [default]: greedy tokens of the reference runtime and how sure it was of each.

Starts LLAMA_BIN/llama-server on a free loopback port, asks for 48 greedy tokens after each of our prompts with the two
best log-probabilities of every step, and writes tests/golden/reference_NAME.txt, which C reads with fscanf:
    prompt <n> <ids...>
    tokens <n> then n lines "<id> <second id> <gap>"
gap is the difference of the two best logits, the least that the reference's own ways of computing give (MODES): they part
from each other by more than a logit now and then, and where they do, the reference has no clear opinion. With "default" only its default way is asked: reference_qwen.txt was made so
(more steps count as clear).
"""
import json, pathlib, socket, subprocess, sys, time, urllib.request

PROMPTS = [
    "The capital of France is",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "Once upon a time, in a small village by the sea, there lived a",
    "Water boils at 100 degrees Celsius because",
    "Here is a list of the first ten prime numbers: 2, 3, 5,",
    "Question: Why is the sky blue?\nAnswer:",
    "#include <stdio.h>\n\nint main(void)\n{\n",
    "In 1969, the first humans landed on the Moon. The mission was called",
]

MODES = [["-fa", "on"], ["-fa", "off"], ["-fa", "off", "-ctk", "f32", "-ctv", "f32"], ["--no-repack"]]


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def wait_until_ready(port, server):
    for _ in range(600):
        if server.poll() is not None:
            sys.exit("the server ended early")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    sys.exit("the server did not become ready")


class Server:
    """llama-server on a free loopback port, ended when the block is left."""

    def __init__(self, binaries, model, options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([binaries / "llama-server", "-m", model, "-c", "1024", "-t", "2", "--host", "127.0.0.1",
                                         "--port", str(self.port), "-np", "1", "--no-webui", *options],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_until_ready(self.port, self.process)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def complete(self, ids, n, cache):
        answer = post(self.port, "/completion", {"prompt": ids, "n_predict": n, "temperature": 0, "top_k": 1, "n_probs": 2,
                                                 "cache_prompt": cache, "ignore_eos": True})
        return answer["completion_probabilities"]


def margin(step, expected):
    """(second id, gap) of one step; no gap where another token than the expected one was best."""
    first, second = step["top_logprobs"][:2]
    if first["id"] != expected:
        return first["id"], 0.0
    return second["id"], first["logprob"] - second["logprob"]


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    binaries, model, name = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    cases = []
    with Server(binaries, model, []) as server:
        for prompt in PROMPTS:
            ids = post(server.port, "/tokenize", {"content": prompt, "add_special": True})["tokens"]
            steps = server.complete(ids, 48, False)
            cases.append((ids, [[step["id"], *margin(step, step["id"])] for step in steps]))
    for mode in MODES if "default" not in sys.argv[4:] else []:
        with Server(binaries, model, mode) as server:
            for ids, steps in cases:
                past = list(ids)
                for step in steps:
                    gap = margin(server.complete(past, 1, True)[0], step[0])[1]
                    step[2] = min(step[2], gap)
                    past.append(step[0])
    lines = []
    for ids, steps in cases:
        lines += [f"prompt {len(ids)} " + " ".join(map(str, ids)), f"tokens {len(steps)}"]
        lines += [f"{token} {second} {gap:.4f}" for token, second, gap in steps]
    out = pathlib.Path(__file__).with_name(f"reference_{name}.txt")
    out.write_text("\n".join(lines) + "\n")
    print(out, len(lines), "lines")


if __name__ == "__main__":
    main()
