#!/usr/bin/env python3
"""test_parked.py CHORD: texts that together need more of the cache than there is: the youngest gives up its room and goes on later, and every answer is the one it
is alone; none fails. Who goes while his text is parked leaves nothing behind."""
from server_test import *

CLIENTS = 6


def body(i):
    return {"prompt": f"{i} a story that begins like no other one, " * 2 + str(i), "max_tokens": 130, "temperature": 0.8, "seed": i, "ignore_eos": True}


def ask(s, i, hashes):
    status, said = s.post("/v1/completions", body(i))
    check(status == 200 and said["usage"]["completion_tokens"] == 130, f"{i}: {status} {said}")
    number = said["choices"][0]["chord"]["logits_hash"] if status == 200 else None
    check(hashes.setdefault(i, number) == number, f"{i}: {number}, alone {hashes[i]}")


def leave(s, i):
    data = json.dumps(dict(body(i), stream=True)).encode()
    with s.connect() as c:
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        for _ in range(i): c.recv(1000)


hashes = {}
with Server("--memory", "150M", "--ctx", "256", "--parallel", "1") as s:
    for i in range(CLIENTS): ask(s, i, hashes)
with Server("--memory", "150M", "--ctx", "256", "--parallel", str(CLIENTS), "--kv-tokens", "512") as s:
    for _ in range(3): together([lambda i=i: ask(s, i, hashes) for i in range(CLIENTS)])
    m = s.idle()
    check(m["chord_requests_parked_total"] > 0, "none was parked")
    check(m["chord_peak_bytes"] <= m["chord_budget_bytes"] and m['chord_requests_total{finish_reason="failed"}'] == 0, f"{m}")
    together([lambda i=i: ask(s, i, hashes) if i % 2 else leave(s, i) for i in range(CLIENTS)] * 2)
    ask(s, 0, hashes)
    s.idle()
with Server("--memory", "150M", "--ctx", "256", "--parallel", "4") as s: # the default: one context, and as much again for each
    together([lambda i=i: ask(s, i, hashes) for i in range(CLIENTS)])
    check(s.idle()["chord_requests_parked_total"] == 0, "there is room for all")
try:
    Server("--memory", "150M", "--ctx", "256", "--kv-tokens", "128")
    check(False, "fewer than one context")
except RuntimeError as e:
    check("kv_tokens is 128" in str(e), f"{e}")
done()
