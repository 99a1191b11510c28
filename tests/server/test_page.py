"""The chat page's files over HTTP: what they are, how they come, and that they ask nobody else. What the page does is in tests/web/test_page.mjs."""
import gzip, re

from server_test import *

FOLDER = TESTS.parent / "web" / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def get(s, path, method="GET", **headers):
    """(status, headers, bytes)."""
    connection = http.client.HTTPConnection(*s.address, timeout=FOREVER_SECONDS)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def files(s):
    paths = {path: "/" if path.name == "index.html" else f"/page/{path.name}" for path in FOLDER.iterdir() if path.suffix in TYPES}
    check(len(paths) > 8, f"{paths}")
    for path, url in paths.items():
        status, head, body = get(s, url)
        check(status == 200 and body == path.read_bytes() and head["Content-Type"].startswith(TYPES[path.suffix]), f"{url}: {status} {head}")
        check("Content-Encoding" not in head and "script-src 'self';" in head["Content-Security-Policy"] and head["X-Content-Type-Options"] == "nosniff", f"{url}: {head}")
        status, packed_head, packed = get(s, url, Accept_Encoding="br, gzip")
        check(status == 200 and packed_head["Content-Encoding"] == "gzip" and gzip.decompress(packed) == body and len(packed) < len(body), f"{url}: by gzip")
        status, again, nothing = get(s, url, If_None_Match=head["ETag"])
        check(status == 304 and nothing == b"" and again["ETag"] == head["ETag"], f"{url}: {status}, known already")
        check(get(s, url, If_None_Match='"another"')[0] == 200, f"{url}: another version")
        status, head, nothing = get(s, url, "HEAD")
        check(status == 200 and nothing == b"" and int(head["Content-Length"]) == len(body), f"{url}: HEAD {status}")
        check(get(s, url, "POST")[0] == 405, f"{url}: POST")
    for encoding, packed in {"gzip;q=0": False, "gzip; q=0.0": False, "gzip;q=0.5": True, "identity": False, "gzip;q=1.0, *;q=0": True}.items():
        check(("Content-Encoding" in get(s, "/", Accept_Encoding=encoding)[1]) == packed, f"Accept-Encoding: {encoding}")
    for path in ("/page/", "/page", "/page/none.js", "/page/../serve.c", "/page/types.d.ts", "/main.js", "/index.html"):
        check(get(s, path)[0] == 404, f"{path} is none of them")


def complete(s):
    """What a file names is there, and nothing elsewhere."""
    todo, seen = ["/"], set()
    while todo:
        url = todo.pop()
        seen.add(url)
        status, _, body = get(s, url)
        text = body.decode()
        check(status == 200, f"{url}: {status}")
        named = re.findall(r'(?:src|href)="(?!#)([^"]+)"', text) if url == "/" else ["page/" + name for name in re.findall(r'^import .* from "\./([^"]+)"', text, flags=re.M)]
        todo += {"/" + name for name in named} - seen - set(todo)
        check(not re.search(r"\bon\w+=|style=|<style|<script>", text) or not url == "/", "nothing that the policy forbids stands in the page")
        for address in re.findall(r"https?://[\w.]+", text):
            check(address in ("http://www.w3.org",), f"{url} names {address}")
    check({"/", "/page/main.js", "/page/style.css", "/page/chat.js"} <= seen, f"{seen}")


def without_key():
    keys = pathlib.Path(folder.name) / "keys"
    keys.write_text("secret\n")
    with Server("--api-key-file", keys) as s:
        check(get(s, "/")[0] == get(s, "/page/main.js")[0] == 200 and get(s, "/v1/models")[0] == 401 and get(s, "/pages")[0] == 401, "it is the page that asks for a key")


with Server("--memory", "96M") as s:
    files(s)
    complete(s)
    check(s.metrics()["chord_request_bytes"] < 1 << 20, "nothing of it stays")
without_key()
done()
