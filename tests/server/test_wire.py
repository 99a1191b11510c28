"""What comes that is no good request, who may ask, where the server listens, and how it ends."""
import re

from server_test import *

TALK = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "temperature": 0, "ignore_eos": True}
LONG = dict(TALK, max_tokens=450)


def raw(s, data, timeout=FOREVER_SECONDS, address=None):
    """All that is said to these bytes."""
    got = b""
    with s.connect(timeout) as c:
        try:
            c.sendall(data)
            while True:
                more = c.recv(65536)
                if not more:
                    return got
                got += more
        except (ConnectionError, socket.timeout):
            return got


def http(method, path, body=b"", headers=(), host="localhost", length=None):
    lines = [f"{method} {path} HTTP/1.1", *([f"Host: {host}"] if host else []), "Connection: close", *headers]
    if length is not None or body:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status_of(answer):
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found[1]) if found else 0


def bad_bodies(s):
    path = "/v1/chat/completions"
    for what, body in {
        "nothing": b"", "no JSON": b"hello", "half": b'{"messages": [', "a list": b"[]", "a number": b"5", "bad UTF-8": b'{"messages": "\xff\xfe"}',
        "deep lists": b'{"messages": ' + b"[" * 10000 + b"]" * 10000 + b"}", "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
        "half of a pair": b'{"messages": "\\ud800"}', "a zero byte": b'{"messages": "\0"}', "a control": b'{"messages": "\x01"}',
        "more behind": json.dumps(TALK).encode() + b"x", "many numbers": b'{"messages": [' + b"1," * 400000 + b"1]}", "a huge number": b'{"n": 1e999, "messages": 1}',
    }.items():
        answer = raw(s, http("POST", path, body))
        said = json.loads(answer.split(b"\r\n\r\n", 1)[1])
        check(status_of(answer) in (400, 413) and set(said["error"]) >= {"message", "type", "param", "code"}, f"{what}: {answer[:300]}")
    check(status_of(raw(s, http("POST", path, json.dumps(TALK).encode(), ["Content-Type: text/plain"]))) == 200, "whatever the type is called")


def bad_protocols(s):
    whole = json.dumps(TALK).encode()
    chunked = b"".join(f"{1:x}\r\n".encode() + whole[i:i + 1] + b"\r\n" for i in range(len(whole))) + b"0\r\n\r\n"
    check(status_of(raw(s, http("POST", "/v1/chat/completions", headers=["Transfer-Encoding: chunked"]) + chunked)) == 200, "a body byte by byte")
    for what, data, statuses in [
        ("no HTTP", b"hello\r\n\r\n", (0, 400)), ("binary", bytes(range(256)) * 4, (0, 400)), ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 300, (0, 400)),
        ("huge line", b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", (0, 400, 414, 431)),
        ("huge header", http("GET", "/health", headers=["X: " + "y" * 100000]), (0, 400, 413, 431)),
        ("many headers", http("GET", "/health", headers=[f"X{i}: y" for i in range(5000)]), (0, 400, 413, 431)),
        ("huge body", http("POST", "/v1/chat/completions", length=10**12), (0, 413)),
        ("larger than taken", http("POST", "/v1/chat/completions", b"x" * (9 << 20)), (0, 413)),
        ("bad length", http("POST", "/v1/chat/completions", headers=["Content-Length: -5"]), (0, 400)),
        ("no length", http("POST", "/v1/chat/completions", headers=["Content-Length: x"]), (0, 400)),
        ("bad chunks", http("POST", "/v1/chat/completions", headers=["Transfer-Encoding: chunked"]) + b"zz\r\n", (0, 400)),
        ("no path", b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n", (0, 400, 403, 404)), ("a proxy's path", http("GET", "http://evil.com/health"), (200, 400, 403, 404)),
        ("no Host", http("GET", "/health", host=None), (400,)), ("odd method", http("BREW", "/health"), (405, 501)), ("dots", http("GET", "/../../etc/passwd"), (404,)),
        ("escapes", http("GET", "/x%00%ff%2e"), (0, 400, 404)), ("a version", b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", (0, 200, 400, 505)),
    ]:
        answer = raw(s, data)
        check(status_of(answer) in statuses, f"{what}: {answer[:100]}")
        check(s.get("/health")[0] == 200, f"after {what}: others are served")


def too_slow(s):
    """The server waits two seconds for what shall come."""
    body = json.dumps(LONG).encode()
    begin = time.monotonic()
    loris = [s.connect() for _ in range(6)]
    for c in loris[:3]:
        c.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
    for c in loris[3:]:
        c.sendall(http("POST", "/v1/chat/completions", length=len(body)))
    closed = set()
    while len(closed) < 6 and time.monotonic() < begin + FOREVER_SECONDS:
        for c in loris:
            if c in closed:
                continue
            try:
                c.sendall(b"X" if c in loris[3:] else b"X: y\r\n")  # a byte now and then is not enough
                c.setblocking(False)
                if c.recv(1000) == b"":
                    closed.add(c)
            except BlockingIOError:
                c.setblocking(True)
            except OSError:
                closed.add(c)
        check(s.get("/health")[0] == 200, "others are served meanwhile")
        time.sleep(0.1)
    check(len(closed) == 6, "who brings a request byte by byte is sent away")
    for c in loris:
        c.close()


def keep_alive(s):
    connection = http_client(s)
    for _ in range(3):
        connection.request("POST", "/v1/chat/completions", json.dumps(TALK))
        check(connection.getresponse().read().startswith(b"{"), "one connection, several requests")
    connection.close()


def http_client(s):
    import http.client as client
    return client.HTTPConnection(*s.address, timeout=FOREVER_SECONDS)


def who_may(s):
    for host, status in {"localhost": 200, "localhost:80": 200, "127.0.0.1": 200, "127.0.0.1:99": 200, "[::1]:8080": 200, "evil.com": 403, "127.0.0.1.evil.com": 403,
                         "localhost.evil.com": 403, "10.0.0.1": 403, "evil.com:8080": 403}.items():
        check(status_of(raw(s, http("GET", "/health", host=host))) == status, f"Host: {host}")
    for origin, status in {"http://localhost:3000": 200, "http://127.0.0.1": 200, "http://evil.com": 403, "null": 403, "https://good.example": 200,
                           "https://good.example.evil.com": 403, "http://localhost.evil.com": 403}.items():
        answer = raw(s, http("POST", "/v1/chat/completions", json.dumps(TALK).encode(), [f"Origin: {origin}", "Content-Type: text/plain"]))
        allowed = f"access-control-allow-origin: {origin}\r\n".encode() in answer.lower()
        check(status_of(answer) == status and allowed == (status == 200), f"Origin: {origin}: {answer[:200]}")
        check(b"allow-credentials" not in answer.lower(), "never with the user's cookies")
    answer = raw(s, http("OPTIONS", "/v1/chat/completions", headers=["Origin: https://good.example", "Access-Control-Request-Headers: authorization"]))
    check(status_of(answer) == 204 and b"authorization" in answer.lower(), f"a browser may ask first: {answer}")


def keys():
    path = pathlib.Path(folder.name) / "keys.txt"
    path.write_text("# keys\n  key-one  \n\nkey-two\n")
    with Server("--api-key-file", path) as s:
        for headers, status in [({}, 401), ({"Authorization": "Bearer key-one"}, 200), ({"Authorization": "bearer key-two"}, 200), ({"x-api-key": "key-two"}, 200),
                                ({"Authorization": "Bearer key-on"}, 401), ({"Authorization": "Bearer key-one1"}, 401), ({"Authorization": "key-one"}, 401),
                                ({"x-api-key": ""}, 401), ({"x-api-key": "x" * 300}, 401), ({"x-api-key": "# keys"}, 401)]:
            found, said = s.post("/v1/chat/completions", TALK, headers=headers)
            check(found == status and (status == 200 or said["error"]["type"] == "authentication_error"), f"{headers}: {found} {said}")
        status, said = s.post("/v1/messages", TALK)
        check(status == 401 and said["type"] == "error", "Anthropic's shape of an error")
        check(s.get("/health")[0] == 200 and s.get("/v1/models")[0] == 401 and s.get("/props")[0] == 401, "health is open, and nothing else")
    for arguments, sentence in [(["--host", "0.0.0.0"], "--api-key-file"), (["--api-key-file", "/nonexistent"], "/nonexistent"), (["--api-key-file", "/dev/null"], "no key"),
                                (["--host", "no.such.host.invalid"], "--host"), (["--memory", "1M"], "budget"), (["--memory", "21M"], "budget"), (["--no-auth", "--api-key-file", path], "contradict")]:
        s = Server(*arguments, wait=False)
        check(s.process.wait(FOREVER_SECONDS) in (1, 2) and sentence in s.said(), f"{arguments}: {s.process.returncode} {s.said()}")
    with Server("--host", "0.0.0.0", "--no-auth") as s:
        s.address = ("127.0.0.1", s.address[1])
        check(status_of(raw(s, http("GET", "/health", host="any.name"))) == 200, "all the network may")


def unix_ask(path, data):
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(str(path))
        c.sendall(data)
        got = b""
        while more := c.recv(65536):
            got += more
        return got


def places():
    path = pathlib.Path(folder.name) / "socket"
    for _ in range(2):
        with Server("--unix", path) as s:
            check(status_of(unix_ask(path, http("POST", "/v1/chat/completions", json.dumps(TALK).encode(), host="any"))) == 200, "a unix socket")
            check(path.stat().st_mode & 0o777 == 0o660, "for its owner and group")
            second = Server("--unix", path, wait=False)
            check(second.process.wait(FOREVER_SECONDS) == 1 and "listens there" in second.said(), f"the name is taken: {second.said()}")
        check(not path.exists(), "the name goes with the server")
        dead = socket.socket(socket.AF_UNIX)  # one that was killed leaves its name
        dead.bind(str(path))
        dead.close()
    path.unlink()
    path.write_text("x")
    s = Server("--unix", path, wait=False)
    check(s.process.wait(FOREVER_SECONDS) == 1 and path.read_text() == "x", "a file is no socket, and stays")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(f"{folder.name}/notify")
    with Server(environment={"NOTIFY_SOCKET": f"{folder.name}/notify"}) as s:
        check(notify.recv(100) == b"READY=1", "systemd is told")
    check(notify.recv(100) == b"STOPPING=1", "also of the end")


def handed_over():
    """A socket as descriptor 3, as systemd does it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        script = ('import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])')
        log = tempfile.TemporaryFile("w+")
        process = subprocess.Popen([sys.executable, "-c", script, str(listening.fileno()), chord, "serve", str(TINY)], pass_fds=[listening.fileno()], stderr=log)
        with socket.create_connection(listening.getsockname(), timeout=FOREVER_SECONDS) as c:
            c.sendall(http("GET", "/v1/health"))
            check(status_of(c.recv(1000)) in (200, 503), "who comes before it is ready waits or is told to")
        process.terminate()
        check(process.wait(FOREVER_SECONDS) == 0, "and it ends")


def unread(s):
    """A connection whose answer is never done: nobody reads it, and it is more than finds room on the way."""
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.connect(s.address)
    c.sendall(http("POST", "/v1/chat/completions", json.dumps(dict(LONG, n=16, stream=True, logprobs=True, top_logprobs=20)).encode()))
    return c


def full_line():
    with Server("--parallel", "1", "--queue", "1", "--connections", "16") as s:
        with unread(s):
            while s.metrics()["chord_requests_waiting"] == 0:
                time.sleep(0.01)
            check(s.post("/v1/chat/completions", TALK)[0] == 503, "one waits, there is no room for more")
        s.idle()
        found = []
        together([lambda: found.append(s.post("/v1/chat/completions", dict(LONG, temperature=1))) for _ in range(8)])
        statuses = sorted(status for status, _ in found)
        check(statuses[0] == 200 and set(statuses) <= {200, 503}, f"{statuses}")
        check(all(said["error"]["type"] == "unavailable_error" for status, said in found if status == 503), "with its reason")
        check(s.metrics()["chord_requests_refused_total"] == 1 + statuses.count(503), "counted")


def ends():
    """Those who are answered have time, new ones are sent away, and a second signal is the end."""
    s = Server("--parallel", "2")
    found = []
    several = dict(TALK, n=16, temperature=1, max_tokens=100)
    threads = [threading.Thread(target=lambda: found.append(s.post("/v1/chat/completions", several))) for _ in range(3)]
    for t in threads:
        t.start()
    while sum(n for name, n in s.metrics().items() if re.match(r"chord_requests_(running|waiting|total)", name)) <= 32:
        time.sleep(0.001)
    s.stop()
    for t in threads:
        t.join()
    check([status for status, _ in found] == [200] * 3, f"all were answered: {[status for status, _ in found]}")
    s = Server("--parallel", "1")
    with unread(s):
        while s.metrics()["chord_requests_running"] == 0:
            time.sleep(0.01)
        s.process.send_signal(signal.SIGTERM)
        while True:  # until it has heard that
            try:
                s.connect().close()
            except ConnectionError:
                break
            time.sleep(0.01)
        s.stop(code=128 + signal.SIGTERM)


with Server("--parallel", "2", "--cors-origin", "https://good.example", "--memory", "96M") as s:
    bad_bodies(s)
    keep_alive(s)
    who_may(s)
with Server("--timeout", "2", "--parallel", "2", "--memory", "96M") as s:
    bad_protocols(s)
    too_slow(s)
    check(s.post("/v1/chat/completions", TALK)[0] == 200, "after all that")
keys()
places()
handed_over()
full_line()
ends()
done()
