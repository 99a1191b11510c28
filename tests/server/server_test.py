"""server_test.py: what the tests of `chord serve` share: checks, a server, requests to it. sys.argv: CHORD ... Beside CHORD lies chord-serve."""
import http.client, json, os, pathlib, signal, socket, struct, subprocess, sys, tempfile, threading, time

TESTS = pathlib.Path(__file__).resolve().parent.parent
TINY = TESTS / "golden" / "tiny.gguf"  # a vocabulary of bytes, a context of 512, words of noise
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
chord = sys.argv[1]
failures = []
checks = 0
FOREVER_SECONDS = 600  # what takes longer never ends; that a machine is slow is no failure
folder = tempfile.TemporaryDirectory(prefix="chord-server-")

sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
if not (pathlib.Path(chord).parent / "chord-serve").exists():
    print("skipped: this build has no server (libmicrohttpd-dev)")
    sys.exit(77)


def check(condition, sentence):
    global checks
    checks += 1
    if not condition:
        failures.append(sentence)
        print("not true:", sentence)


def done():
    print(f"{checks} checks, {len(failures)} failed")
    sys.exit(bool(failures) or checks == 0)


def template_file():
    path = pathlib.Path(folder.name) / "template.jinja"
    path.write_text(TEMPLATE)
    return path


def renamed(names, special=False):
    """The tiny model with tokens of other texts in place of its words; the header grows by a whole step of the alignment, so all else stays where it is."""
    def text(t):
        return struct.pack("<Q", len(t.encode())) + t.encode()
    words, data = ["he", "ll", "hell", "hello"], TINY.read_bytes()  # the last tokens but one
    grown = sum(len(new.encode()) - len(old) for old, new in names.items())
    for old, new in (*names.items(), ("tiny", "tiny" + "y" * (-grown % 32))):
        check(data.count(text(old)) == 1, f"{old} stands once in {TINY}")
        data = data.replace(text(old), text(new))
    if special:
        kinds = struct.pack("<261i", *[1] * 260, 3)
        check(data.count(kinds) == 1, "the kinds of tokens stand once")
        data = data.replace(kinds, struct.pack("<261i", *[1] * 256, *(3 if word in names else 1 for word in words), 3))
    path = pathlib.Path(folder.name) / f"renamed-{len(list(pathlib.Path(folder.name).iterdir()))}.gguf"
    path.write_bytes(data)
    return path


class Server:
    def __init__(self, *arguments, model=TINY, template=True, environment=None, pass_fds=(), wait=True, popen=subprocess.Popen):
        more = ["--template-file", template_file()] if template else []
        self.command = [chord, "serve", model, "--port", "0", "--threads", "2", *more, *arguments]
        self.log = tempfile.TemporaryFile("w+")
        self.process = popen([*map(str, self.command)], stderr=self.log, stdin=subprocess.DEVNULL, pass_fds=pass_fds,
                             env=dict(os.environ, **(environment or {})))
        self.address = None
        if wait:
            self.wait()

    def said(self):
        self.log.flush()
        return pathlib.Path(f"/proc/self/fd/{self.log.fileno()}").read_text(errors="replace")

    def wait(self):
        end = time.monotonic() + FOREVER_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.said().splitlines():
                if line.startswith("chord: serving "):
                    self.place = line.split(" at ")[1].split(",")[0]
                    host = self.place.removeprefix("http://")
                    self.address = (host.rsplit(":", 1)[0], int(host.rsplit(":", 1)[1])) if self.place.startswith("http") else None
                    return
            time.sleep(0.01)
        raise RuntimeError(f"the server did not start: {self.said()}")

    def connect(self, timeout=FOREVER_SECONDS):
        return socket.create_connection(self.address, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, raw=False):
        """(status, headers, what it says: JSON, or text where `raw`)."""
        connection = http.client.HTTPConnection(*self.address, timeout=FOREVER_SECONDS)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, headers or {})
            reply = connection.getresponse()
            text = reply.read()
        finally:
            connection.close()
        if raw:
            return reply.status, dict(reply.getheaders()), text.decode()
        return reply.status, dict(reply.getheaders()), json.loads(text)

    def post(self, path, body, **more):
        status, _, said = self.ask("POST", path, body, **more)
        return status, said

    def get(self, path, **more):
        status, _, said = self.ask("GET", path, **more)
        return status, said

    def events(self, path, body, headers=None):
        """The events of a stream, as (name, JSON or "[DONE]")."""
        status, head, text = self.ask("POST", path, dict(body, stream=True), headers, raw=True)
        check(status == 200 and head["Content-Type"] == "text/event-stream", f"{path}: a stream: {status} {text[:200]}")
        found = []
        for event in text.split("\n\n"):
            lines = [line for line in event.split("\n") if line and not line.startswith(":")]
            if not lines:
                continue
            name = next((line[7:] for line in lines if line.startswith("event: ")), None)
            data = next(line[6:] for line in lines if line.startswith("data: "))
            found.append((name, data if data == "[DONE]" else json.loads(data)))
        return found

    def metrics(self):
        _, _, text = self.ask("GET", "/metrics", raw=True)
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}

    def idle(self):
        """Waits until nobody computes."""
        end = time.monotonic() + FOREVER_SECONDS
        while time.monotonic() < end:
            m = self.metrics()
            if m["chord_requests_running"] == 0 and m["chord_requests_waiting"] == 0:
                return m
            time.sleep(0.02)
        raise RuntimeError("the server is not idle")

    def stop(self, number=signal.SIGTERM, code=0):
        self.process.send_signal(number)
        check(self.process.wait(FOREVER_SECONDS) == code, f"exit {self.process.returncode}, not {code}: {self.said()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.stop()


def together(functions):
    threads = [threading.Thread(target=f) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
