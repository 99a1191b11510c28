"""hub.py: a hub on this machine for the tests of fetch/, with every fault that servers have. Two ports: the hub itself (lists, redirects) and the place that
its redirects lead to, where addresses are signed and expire. What goes wrong is an attribute of the Hub; what was asked for is in its log."""
import contextlib, functools, gzip, hashlib, http.server, json, re, select, socket, socketserver, ssl, threading, time, urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@functools.lru_cache(maxsize=64)
def sum_of(data):
    return hashlib.sha256(data).hexdigest()


class Asked:
    """One request: port ("hub" or "cdn"), path, first byte, end, bytes that were sent, headers."""

    def __init__(self, port, path, headers):
        self.port, self.path, self.headers = port, path, headers
        self.status, self.first, self.end, self.sent, self.stalled, self.at = 0, None, None, 0, False, time.monotonic()


class Hub:
    def __init__(self):
        self.repos = {}    # "owner/repo": {path: bytes}
        self.plain = {}    # "/name": bytes, for plain URLs
        self.manifests = {}  # ollama: ("library/name", "tag"): bytes of the blob
        self.log, self.lock = [], threading.Lock()
        self.hold_after, self.servers = None, {}
        self.reset()
        for port in ("hub", "cdn"):
            server = Server(("127.0.0.1", 0), type("Handler_" + port, (Handler,), {"hub": self, "port": port}))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers[port] = server
        self.url = f"http://127.0.0.1:{self.servers['hub'].server_address[1]}"
        self.cdn_url = f"http://127.0.0.1:{self.servers['cdn'].server_address[1]}"

    def secure(self, certificate, key):
        """By https from now on, under the name localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        for server in self.servers.values():
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = self.url.replace("http://127.0.0.1", "https://localhost")
        self.cdn_url = self.cdn_url.replace("http://127.0.0.1", "https://localhost")

    def reset(self):
        """No faults, an empty log. Faults say how often they happen (times), or what they are."""
        self.hold_after = None       # bytes after which all connections wait, until it is None again
        self.settle()
        self.held = 0                # bytes that have gone, as hold_after counts them
        self.commit = COMMIT
        self.no_refs = False         # a mirror that knows no /refs
        self.gated = None            # a token that lists and redirects want
        self.ranges = True           # parts can be had
        self.ranges_lie = 0          # times that 200 and all of it answers a part
        self.wrong_range = 0         # times that Content-Range is another one
        self.short_by = 0            # times that the body ends early although its length was said
        self.reset_after = None      # bytes after which a connection is reset,
        self.reset_times = 0         # so often
        self.stall_after = None      # bytes after which nothing comes any more,
        self.stall_times = 0         # so often
        self.late_body = 0           # seconds between the headers and the bytes
        self.late_refusal = 0        # seconds until an address that has expired is refused
        self.rate = None             # bytes a second, all connections together
        self.etag = "strong"         # "strong", "weak", None
        self.change_after = None     # bytes sent after which the ETag (and the bytes) are others
        self.signature_requests = None  # how many requests a signed address answers before it expires (403)
        self.statuses = []           # the next requests for bytes get these,
        self.probe_statuses = []     # and those for the first byte, to see what comes
        self.hub_statuses = []       # and the next for lists
        self.retry_after = None
        self.compress = False
        self.loop = False            # redirects lead on and on
        self.flip = None             # a byte that is another one
        self.no_length = False
        self.signatures, self.issued = {}, 0
        self.allowance = time.monotonic()
        with self.lock:
            self.log.clear()

    def close(self):
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def settle(self):
        """Until nobody is connected any more: for when those who asked have ended. Connections are taken in turn, so that ours is the last."""
        end = time.monotonic() + 600
        for server in self.servers.values():
            with contextlib.suppress(OSError), socket.create_connection(server.server_address[:2]) as last:
                last.shutdown(socket.SHUT_WR)
                last.recv(1)
            while server.connected > 0 and time.monotonic() < end:
                time.sleep(0.002)

    def stalls(self):
        """A request is being answered with nothing any more."""
        with self.lock:
            return any(a.stalled for a in self.log)

    # What was sent of files, not counting probes of one byte.
    def bytes_sent(self):
        self.settle()
        with self.lock:
            return sum(a.sent for a in self.log if a.first is not None and a.sent > 1)

    def requests(self, port=None):
        self.settle()
        with self.lock:
            return [a for a in self.log if port is None or a.port == port]

    def take(self, name):
        """One of so many times."""
        with self.lock:
            left = getattr(self, name)
            if left > 0:
                setattr(self, name, left - 1)
            return left > 0

    def wait_for_rate(self, count, rate):
        with self.lock:
            self.allowance = max(self.allowance, time.monotonic()) + count / rate
            until = self.allowance
        time.sleep(max(0.0, until - time.monotonic()))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, value, **headers):
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def do_GET(self):
        hub = self.hub
        self.asked = Asked(self.port, self.path, dict(self.headers))
        with hub.lock:
            hub.log.append(self.asked)
        path = urllib.parse.urlsplit(self.path)
        if self.port == "cdn":
            return self.signed(path)
        if not path.path.startswith("/plain/") and self.fail(hub.hub_statuses):
            return
        if path.path.startswith("/plain/"):
            return self.file(hub.plain.get(path.path[7:]), path.path)
        if path.path.startswith("/v2/"):
            return self.registry(path)
        if path.path == "/token":
            return self.json({"token": "registry-token"})
        if hub.gated and self.headers.get("Authorization") != f"Bearer {hub.gated}":
            return self.answer(401, b"{}")
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(refs|revision/main|tree/(\w+))", path.path)
        if api:
            return self.api(api[1], api[2])
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path.path)
        data = found and hub.repos.get(found[1], {}).get(urllib.parse.unquote(found[3]))
        if not found or found[2] != hub.commit or data is None:
            return self.answer(404)
        self.redirect(data)

    do_HEAD = do_GET

    def fail(self, statuses):
        """The next of these statuses. False: another request took the last one."""
        with self.hub.lock:
            if not statuses:
                return False
            status = statuses.pop(0)
        wait = {"Retry_After": self.hub.retry_after} if self.hub.retry_after is not None else {}
        self.answer(status, b"refused", **wait)
        return True

    def api(self, repo, what):
        hub = self.hub
        if repo not in hub.repos or (what == "refs" and hub.no_refs):
            return self.answer(404)
        if what == "refs":
            return self.json({"branches": [{"name": "other", "targetCommit": "f" * 40}, {"name": "main", "targetCommit": hub.commit}]})
        if what == "revision/main":
            return self.json({"sha": hub.commit})
        entries = [{"type": "file", "path": p, "size": len(d), "oid": "0" * 40, "lfs": {"oid": sum_of(d), "size": len(d)}}
                   for p, d in sorted(hub.repos[repo].items())]
        entries.append({"type": "directory", "path": "folder", "size": 0, "oid": "1" * 40})
        half = len(entries) // 2  # in two pages
        if "cursor" in self.path:
            return self.json(entries[half:])
        self.json(entries[:half], Link=f'<{hub.url}{self.path}&cursor=x>; rel="next"')

    def redirect(self, data):
        hub, digest = self.hub, sum_of(data)
        if hub.loop:
            return self.answer(302, Location=self.path)
        with hub.lock:
            hub.issued += 1
            signature = f"s{hub.issued}"
            hub.signatures[signature] = hub.signature_requests
        self.answer(302, Location=f"{hub.cdn_url}/{digest}?signature={signature}", X_Repo_Commit=hub.commit, X_Linked_Size=len(data), X_Linked_Etag=f'"{digest}"')

    def registry(self, path):
        hub = self.hub
        if self.headers.get("Authorization") != "Bearer registry-token":
            return self.answer(401, WWW_Authenticate=f'Bearer realm="{hub.url}/token",service="registry",scope="pull"')
        found = re.fullmatch(r"/v2/([^/]+/[^/]+)/(manifests|blobs)/(.+)", path.path)
        if found and found[2] == "blobs":
            data = next((d for d in hub.manifests.values() if "sha256:" + sum_of(d) == found[3]), None)
            return self.redirect(data) if data is not None else self.answer(404)
        data = found and hub.manifests.get((found[1], found[3]))
        if not data:
            return self.answer(404)
        layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 1},
                  {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + sum_of(data), "size": len(data)}]
        self.json({"schemaVersion": 2, "layers": layers})

    def signed(self, path):
        hub = self.hub
        if self.headers.get("Authorization"):
            return self.answer(401, b"a token of somebody else's")
        signature = urllib.parse.parse_qs(path.query).get("signature", [""])[0]
        with hub.lock:
            left = hub.signatures.get(signature, 0)
            if left is not None:
                hub.signatures[signature] = left - 1
        if left is not None and left <= 0:
            time.sleep(hub.late_refusal)
            return self.answer(403, b"expired")
        files = [d for repo in hub.repos.values() for d in repo.values()] + list(hub.manifests.values())
        self.file(next((d for d in files if sum_of(d) == path.path[1:]), None), path.path)

    # ---- bytes

    def file(self, data, name):
        hub = self.hub
        if data is None:
            return self.answer(404)
        statuses = hub.probe_statuses if self.headers.get("Range") == "bytes=0-0" else hub.statuses
        if self.fail(statuses):
            return
        with hub.lock:
            changed = hub.change_after is not None and sum(a.sent for a in hub.log) >= hub.change_after
        if changed:
            data = bytes([data[0] ^ 1]) + data[1:]
        if hub.flip is not None:
            data = data[:hub.flip] + bytes([data[hub.flip] ^ 1]) + data[hub.flip + 1:]
        tag = f'"{sum_of(data)}"'
        etag = {"strong": tag, "weak": "W/" + tag, None: None}[hub.etag]
        asked, first, end = self.headers.get("Range"), 0, len(data)
        probe = asked == "bytes=0-0"
        condition = self.headers.get("If-Range")
        part = asked is not None and hub.ranges and (condition is None or condition == etag) and (probe or not hub.take("ranges_lie"))
        if part:
            a, b = asked.removeprefix("bytes=").split("-")
            first, end = int(a), min(int(b) + 1 if b else len(data), len(data))
        self.asked.first, self.asked.end, self.asked.status = first, end, 206 if part else 200
        self.send_file(data[first:end], first, end, len(data), etag, part, probe)

    def send_file(self, body, first, end, size, etag, part, probe):
        hub = self.hub
        self.send_response(206 if part else 200)
        if hub.compress:
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        if not hub.no_length:
            self.send_header("Content-Length", str(len(body)))
        if etag:
            self.send_header("ETag", etag)
        if part:
            shift = 1 if not probe and hub.take("wrong_range") else 0
            self.send_header("Content-Range", f"bytes {first + shift}-{end - 1 + shift}/{size + shift}")
        if hub.no_length:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body, probe)

    def wait_for_release(self, count):
        """False: who asked has gone meanwhile."""
        hub = self.hub
        with hub.lock:
            hub.held += count
            late = hub.held
        while hub.hold_after is not None and late > hub.hold_after:
            if select.select([self.connection], [], [], 0.01)[0]:
                return False
        return True

    def send_body(self, body, probe):
        hub, end = self.hub, len(body)
        if not probe and hub.take("short_by"):
            end = len(body) // 2
        reset = not probe and hub.reset_after is not None and len(body) > hub.reset_after and hub.take("reset_times")
        stall = not probe and hub.stall_after is not None and len(body) > hub.stall_after and hub.take("stall_times")
        if reset:
            end = hub.reset_after
        if stall:
            end = hub.stall_after
        if not probe:
            time.sleep(hub.late_body)
        try:
            while self.asked.sent < end:
                rate = hub.rate
                piece = body[self.asked.sent:min(end, self.asked.sent + (1 << 16 if rate else 1 << 18))]
                if rate:
                    hub.wait_for_rate(len(piece), rate)
                if not probe and not self.wait_for_release(len(piece)):
                    break
                self.asked.sent += len(piece)  # before who gets it can have looked
                self.wfile.write(piece)
            if stall:
                self.asked.stalled = True
                select.select([self.connection], [], [], 600)  # until who asked has gone
        except OSError:
            self.close_connection = True
        if self.asked.sent < len(body):
            self.close_connection = True


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.connected, self.lock = 0, threading.Lock()

    def count(self, change):
        with self.lock:
            self.connected += change

    def process_request(self, request, client_address):
        self.count(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.count(-1)

    def handle_error(self, request, client_address):
        """Clients that leave are nothing to speak of."""
