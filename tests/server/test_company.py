"""Each answer's hash is the one it has alone, among strangers who come, go and are cancelled; clients that die at every moment leave nothing behind;
the budget holds with 64 clients, also in a cgroup of that size. test_company.py CHORD [DEATHS]: how many clients die."""
import random
import re

from server_test import *

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import cgroup

SANITIZED = any(name in (pathlib.Path(chord).parent / "chord-serve").read_bytes() for name in (b"__asan_init", b"__tsan_init"))  # their memory has no budget
DEATHS = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdigit() else 300
rng = random.Random(1)
WORDS = ["hello", "hell", "he", "a", " ", "xyz", "\n", "ll"]


def question(i):
    """Different lengths, ways to draw and numbers of tokens."""
    text = "".join(rng.choice(WORDS) for _ in range(rng.randint(1, 100)))[:300]
    return {"messages": [{"role": "system", "content": "Be brief. " * (i % 3)}, {"role": "user", "content": text}], "max_tokens": rng.randint(1, 60),
            "temperature": rng.choice([0, 0.7, 2]), "seed": i, "logprobs": i % 4 == 0, "n": 1 + (i % 5 == 0)}


def hashes(said):
    return [c["chord"]["logits_hash"] for c in said["choices"]]


def stream_hashes(events):
    found = {c["choices"][0]["index"]: c["chord"]["logits_hash"] for _, c in events if c != "[DONE]" and "chord" in c}
    return [found[i] for i in sorted(found)]


def die(s, body, after):
    """Goes after so many seconds, or so many bytes."""
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    with s.connect() as c:
        whole = head + data
        if after < len(whole):
            c.sendall(whole[:after])
            return
        c.sendall(whole)
        if after % 3 == 0:
            c.recv(after % 500 + 1)
        else:
            time.sleep((after % 50) / 1000)


def among_strangers(s, count):
    questions = [question(i) for i in range(count)]
    alone = [hashes(s.post("/v1/chat/completions", q)[1]) for q in questions]

    def ask(i):
        time.sleep(random.random() * 0.2)
        if i % 2:
            found = hashes(s.post("/v1/chat/completions", questions[i])[1])
        else:
            found = stream_hashes(s.events("/v1/chat/completions", questions[i]))
        check(found == alone[i], f"question {i}: {found} in company, {alone[i]} alone")

    def disturb():
        time.sleep(random.random() * 0.2)
        die(s, dict(question(1000), stream=True, max_tokens=200, ignore_eos=True), 10**6 + rng.randint(0, 50))

    together([lambda i=i: ask(i) for i in range(count)] + [disturb for _ in range(count // 3)])
    m = s.idle()
    check(m["chord_rows_per_pass_sum"] / max(1, m["chord_rows_per_pass_count"]) > 1, "passes were shared")


def deaths(s, count):
    before = s.idle()
    questions = [dict(question(i), stream=bool(i % 2), max_tokens=100, ignore_eos=True) for i in range(40)]

    def several(part):
        for i in range(count // 8):
            die(s, questions[(part * 7 + i) % 40], rng.randint(0, 3000))

    together([lambda p=p: several(p) for p in range(8)])
    end = time.monotonic() + FOREVER_SECONDS
    while s.idle()["chord_connections"] > 1 and time.monotonic() < end:
        time.sleep(0.05)
    after = s.idle()
    check(after["chord_request_bytes"] <= before["chord_request_bytes"] + 65536, f"requests keep {after['chord_request_bytes']} of {before['chord_request_bytes']} bytes")
    check(after["chord_requests_running"] == 0, "no session is stuck")
    return after


def crowd(s, count):
    """More than there are sessions, with prompts near the context."""
    text = "hello " * 60

    def ask(i):
        status, said = s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": f"{i} {text}"}], "max_tokens": 20, "temperature": 0})
        check(status == 200 or (status == 503 and said["error"]["message"]), f"one of many: {status} {said}")

    together([lambda i=i: ask(i) for i in range(count)])
    m = s.idle()
    if not SANITIZED:
        peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{s.process.pid}/status").read_text())[1]) * 1024
        check(peak <= m["chord_budget_bytes"], f"the process had {peak} bytes")
    check(m["chord_peak_bytes"] <= m["chord_budget_bytes"], f"peak {m['chord_peak_bytes']} of {m['chord_budget_bytes']}")


def crowd_in_a_group():
    """Where there is not a byte more than the budget, nobody ends the server."""
    if SANITIZED or not cgroup.available():
        return
    with cgroup.Group(128 << 20) as group, Server("--parallel", "4", "--memory", "128M", "--connections", "64", popen=group.popen) as s:
        crowd(s, 64)
        check(group.peak_bytes() <= 128 << 20, f"the group had {group.peak_bytes()} bytes")


def slow_reader(s):
    """Who does not read is left out of passes, and keeps nobody."""
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "stream": True, "ignore_eos": True, "max_tokens": 80, "logprobs": True, "top_logprobs": 20})
    with s.connect() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        c.recv(100)
        status, _ = s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "y"}], "max_tokens": 50, "ignore_eos": True})
        check(status == 200, "others go on")
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        got = b""
        while b"data: [DONE]" not in got[-200:]:
            more = c.recv(65536)
            if not more:
                break
            got += more
        check(b"data: [DONE]" in got[-200:], "and it has all of it, when it reads")
    s.idle()


with Server("--parallel", "4", "--memory", "128M", "--connections", "64") as s:
    among_strangers(s, 24)
    slow_reader(s)
    deaths(s, DEATHS)
    crowd(s, 64)
crowd_in_a_group()
with Server("--parallel", "3", "--memory", "128M", "--draft-max", "0", "--kv-type", "q8_0", "--mode", "paged", "--policy", "none") as s:
    among_strangers(s, 12)
done()
