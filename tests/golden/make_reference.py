#!/usr/bin/env python3
"""make_reference.py LLAMA_BIN MODEL.gguf NAME: greedy tokens of the reference runtime and how sure it was of each.

Starts LLAMA_BIN/llama-server on a free loopback port, asks for 48 greedy tokens after each of our prompts with the two
best log-probabilities of every step, and writes tests/golden/reference_NAME.txt, which C reads with fscanf:
    prompt <n> <ids...>
    tokens <n> then n lines "<id> <second id> <gap>" (gap: difference of the two best logits)
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


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    binaries, model, name = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([binaries / "llama-server", "-m", model, "-c", "1024", "-t", "2", "--host", "127.0.0.1", "--port",
                               str(port), "-np", "1", "--no-webui"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port, server)
        lines = []
        for prompt in PROMPTS:
            ids = post(port, "/tokenize", {"content": prompt, "add_special": True})["tokens"]
            answer = post(port, "/completion", {"prompt": ids, "n_predict": 48, "temperature": 0, "top_k": 1, "n_probs": 2,
                                                "cache_prompt": False, "ignore_eos": True, "post_sampling_probs": False})
            lines.append(f"prompt {len(ids)} " + " ".join(map(str, ids)))
            steps = answer["completion_probabilities"]
            lines.append(f"tokens {len(steps)}")
            for step in steps:
                first, second = step["top_logprobs"][:2]
                gap = first["logprob"] - second["logprob"]
                if step["id"] != first["id"]:  # the best token was an end token, which ignore_eos forbids: no margin is known
                    assert step["id"] == second["id"], f"not greedy: {step}"
                    second, gap = first, 0.0
                lines.append(f"{step['id']} {second['id']} {gap:.4f}")
    finally:
        server.terminate()
        server.wait()
    out = pathlib.Path(__file__).with_name(f"reference_{name}.txt")
    out.write_text("\n".join(lines) + "\n")
    print(out, len(lines), "lines")


if __name__ == "__main__":
    main()
