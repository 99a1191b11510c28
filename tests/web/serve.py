#!/usr/bin/env python3
"""serve.py FOLDER [--plain]: a server for the tests of the npm package, on a port of its own, which is printed. It ends when its standard input does.

Files of FOLDER, with ranges and a strong ETag; isolated (COOP, COEP) unless --plain. What goes wrong is asked for in the query:
  norange       no parts of files                     etag=TEXT    this ETag, or none ("")
  rate=N        at most N bytes a second, all together cors         other origins may read, too
  status=N&from=A&times=T   this status for the first T requests that begin at byte A or later
  drop=A&times=T            the connection is closed at byte A, T times
  change=A      from the first request that begins at byte A or later the file is another one (another ETag)
  lie=N         says that the file has N bytes more
  hold=A        what lies at byte A or later comes when /go?PATH was asked for, with this path and query
/log gives what was asked for, in that order, as JSON: [[path, first byte, bytes sent]]."""
import collections, http.server, json, os, pathlib, sys, threading, time, urllib.parse

FOLDER, ISOLATED = pathlib.Path(sys.argv[1]).resolve(), "--plain" not in sys.argv
TYPES = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json", ".css": "text/css",
         ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}
lock, log, seen, allowance, go = threading.Lock(), [], {}, {"at": time.monotonic()}, collections.defaultdict(threading.Event)


def wait_for(rate, count):
    """So that all connections together have this rate."""
    with lock:
        allowance["at"] = max(allowance["at"], time.monotonic()) + count / rate
        until = allowance["at"]
    time.sleep(max(0.0, until - time.monotonic()))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def headers_for(self, status, more):
        self.send_response(status)
        if ISOLATED:
            more = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "cross-origin", **more}
        if "cors" in self.query:
            more = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Content-Range, Content-Length", **more}
        for name, value in more.items():
            self.send_header(name, str(value))
        self.end_headers()

    def text(self, status, text, **more):
        body = text.encode()
        self.headers_for(status, {"Content-Length": len(body), **more})
        self.wfile.write(body)

    def counted(self, what):
        """How often this has happened for this URL, this time included."""
        with lock:
            seen[what, self.path] = seen.get((what, self.path), 0) + 1
            return seen[what, self.path]

    def number(self, name, otherwise=None):
        return int(self.query[name]) if name in self.query else otherwise

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if url.path == "/log":
            return self.text(200, json.dumps(log))
        if url.path == "/go":
            go[urllib.parse.unquote(url.query)].set()
            return self.text(200, "")
        path = (FOLDER / urllib.parse.unquote(url.path).lstrip("/")).resolve() if url.path != "/" else FOLDER / "index.html"
        if not path.is_file():
            return self.text(404, "there is no such file")
        self.send(path, url.path)

    def send(self, path, name):
        size, asked = path.stat().st_size, self.headers.get("Range")
        first, last = 0, size - 1
        ranges = asked is not None and "norange" not in self.query
        if ranges:
            a, b = asked.removeprefix("bytes=").split("-")
            first, last = int(a), min(int(b) if b else size - 1, size - 1)
        if first >= self.number("from", 0) and "status" in self.query and self.counted("status") <= self.number("times", 1):
            return self.text(self.number("status"), "refused", **{"Retry-After": 0})
        changed = "change" in self.query and (first >= self.number("change") or seen.get(("changed", self.path), 0) > 0)
        if changed:
            self.counted("changed")
        etag = self.query.get("etag", '"%x-%x%s"' % (size, int(path.stat().st_mtime), "-new" if changed else ""))
        headers = {"Content-Type": TYPES.get(path.suffix, "application/octet-stream"), "Content-Length": last - first + 1, **({"ETag": etag} if etag else {})}
        if ranges:
            headers["Content-Range"] = f"bytes {first}-{last}/{size + self.number('lie', 0)}"
        entry = [name, first, 0]
        with lock:
            log.append(entry)
        self.headers_for(206 if ranges else 200, headers)
        self.send_bytes(path, first, last, entry)

    def send_bytes(self, path, first, last, entry):
        """What a client has is counted already."""
        at, rate, hold = first, self.number("rate"), self.number("hold", last + 1)
        with open(path, "rb") as file:
            file.seek(first)
            while at <= last:
                if at >= hold:
                    go[self.path].wait()
                end = min(hold, last + 1) if at < hold else last + 1
                piece = file.read(min(1 << 16 if rate else 1 << 20, end - at))
                if "drop" in self.query and at <= self.number("drop") < at + len(piece) and self.counted("drop") <= self.number("times", 1):
                    self.close_connection = True
                    break
                if rate:
                    wait_for(rate, len(piece))
                entry[2] += len(piece)
                try:
                    self.wfile.write(piece)
                except OSError:
                    self.close_connection = True
                    break
                at += len(piece)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Browsers that leave are nothing to speak of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
