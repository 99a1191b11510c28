#!/usr/bin/env python3
"""test_pull.py CHORD: names, tags, the shared cache; every fault that a server can have."""
from fetch_test import *

REPO = "own/Noise-GGUF"
data = noise(3 * BLOCK + 12345)
small = noise(70000, 2)
hub.repos[REPO] = {"noise-Q4_K_M.gguf": data, "noise-Q8_0.gguf": small}
hub.plain["noise.gguf"] = data
SOURCE, URL = f"hf:{REPO}", hub.url + "/plain/noise.gguf"

# ---- where it lies: as Hugging Face's own programs would have it
anew()
pulled(pull(SOURCE), data, "a pull")
snapshot = folder(REPO) / "snapshots" / hub.commit / "noise-Q4_K_M.gguf"
check(os.readlink(snapshot) == f"../../blobs/{sum_of(data)}", "a link to the blob, which is named by its sum")
check((folder(REPO) / "refs/main").read_text() == hub.commit, "refs/main names the commit")
check(hub.bytes_sent() == len(data), f"each byte once: {hub.bytes_sent()} of {len(data)}")
check(all(a.headers.get("Accept-Encoding") is None for a in hub.requests()), "no compression is asked for")
check(len([a for a in hub.requests("hub") if "/resolve/" in a.path]) == 1, "the address is asked for once")
before = len(hub.requests())
check(run("inspect", SOURCE).returncode == 1, "noise is no model")
check(len(hub.requests()) == before, "and what is there is used without asking anybody")
pulled(pull(SOURCE), data, "again")
check(hub.bytes_sent() == len(data), "nothing comes twice")
pulled(pull(f"hf:{REPO}:q8_0"), small, "a tag in small letters")
pulled(pull(f"hf:{REPO}/noise-Q8_0.gguf"), small, "a file by its name")
listed = {m["source"]: m for m in run_json("models")}
check(set(listed) == {f"hf:{REPO}/noise-Q4_K_M.gguf", f"hf:{REPO}/noise-Q8_0.gguf"}, f"the list: {list(listed)}")
check(listed[f"hf:{REPO}/noise-Q8_0.gguf"]["sha256"] == sum_of(small), "with sums")
check("own/Noise-GGUF/noise-Q8_0.gguf" in run("models").stdout, "as text, too")

# ---- a layout that huggingface_hub made
anew()
theirs = folder("them/Their-GGUF")
for name in ("refs", "blobs", f"snapshots/{'a' * 40}"):
    (theirs / name).mkdir(parents=True)
(theirs / "refs/main").write_text("a" * 40)
(theirs / "blobs" / sum_of(TINY)).write_bytes(TINY)
(theirs / f"snapshots/{'a' * 40}/tiny-Q8_0.gguf").symlink_to(f"../../blobs/{sum_of(TINY)}")
(theirs / "blobs/readme").write_text("x")
(theirs / f"snapshots/{'a' * 40}/README.md").symlink_to("../../blobs/readme")
check(run("inspect", "hf:them/Their-GGUF").returncode == 0, "theirs is used")
check(run("inspect", "hf:them/Their-GGUF:Q8_0", "--offline").returncode == 0 and not hub.requests(), "offline, too, without a request")
refused(run("inspect", "hf:them/Other", "--offline"), "is not in the cache", "--offline", what="what is not there")
# A later revision: the old one is pruned, the blob that both have stays.
hub.repos["them/Their-GGUF"] = {"tiny-Q8_0.gguf": TINY, "tiny-F16.gguf": small}
pulled(pull("hf:them/Their-GGUF:F16"), small, "a file of a later revision")
check((theirs / "refs/main").read_text() == hub.commit, "main is that one now")
pulled(pull("hf:them/Their-GGUF:Q8_0"), TINY, "a blob that is there under another revision")
check(hub.bytes_sent() == len(small), "is not brought again")
check(run("models", "prune").returncode == 0, "prune")
check(not (theirs / f"snapshots/{'a' * 40}/tiny-Q8_0.gguf").exists() and (theirs / f"snapshots/{'a' * 40}/README.md").exists(), "prune takes old models, and models only")
check((theirs / "blobs" / sum_of(TINY)).exists(), "and no bytes that have another name")
check(run("models", "remove", "hf:them/Their-GGUF:F16").returncode == 0 and not (theirs / "blobs" / sum_of(small)).exists(), "remove takes the last name's bytes")
check((theirs / "blobs" / sum_of(TINY)).exists() and (theirs / "blobs/readme").exists(), "and nothing else")
refused(run("models", "remove", "hf:them/Their-GGUF:F16"), "has nothing of", what="remove again")

# ---- names
hub.repos["n/First"] = {"b.gguf": small, "a.gguf": TINY, "mmproj-a-Q8_0.gguf": data, "imatrix-Q8_0.gguf": data, "mtp-Q8_0.gguf": data, "eagle3-Q8_0.gguf": data}
hub.repos["n/Tags"] = {"m-IQ4_XS.gguf": small, "m-Q4_K_M-extra.gguf": TINY, "sub/m-Q8_0.gguf": small}
hub.repos["n/Split"] = {f"Q4/m-Q4_K_M-{i:05}-of-00003.gguf": noise(1000 * i, i) for i in (1, 2, 3)}
hub.repos["n/None"] = {"readme.md": b"x"}
anew()
pulled(pull("hf:n/First"), TINY, "no tag of the usual: the first model")
pulled(pull("hf:n/Tags"), TINY, "a tag before a '-'")
pulled(pull("hf:n/Tags:iq4_xs"), small, "a tag before a '.'")
refused(pull("hf:n/Tags:Q4_XS"), "nothing for 'Q4_XS'", "m-IQ4_XS.gguf, m-Q4_K_M-extra.gguf, sub/m-Q8_0.gguf", what="a tag that ends another one")
refused(pull("hf:n/First:mmproj"), "it has a.gguf, b.gguf", what="a projector is no model")
refused(pull("hf:n/None"), "no model as a GGUF file", what="no GGUF")
refused(pull("hf:n/Nowhere"), "404", what="no repository")
for bad in ("hf:one", "hf:a/b/../c.gguf", "hf:a/b:", "hf:a/b:x/y", "hf:../b", "hf:a/b c", "ollama:", "https://", "http:///x"):
    refused(pull(bad), "names no model", what=bad)
refused(pull("https://user:secret@127.0.0.1/x.gguf"), "password", what="a password")
refused(pull("http://192.0.2.1/x.gguf"), "--allow-http", what="no TLS to elsewhere")
split = pull("hf:n/Split")
check(split.returncode == 0 and split.stdout.endswith("m-Q4_K_M-00001-of-00003.gguf\n"), f"split: {split.stdout}{split.stderr}")
for i in (1, 2, 3):
    check((pathlib.Path(split.stdout.strip()).parent / f"m-Q4_K_M-{i:05}-of-00003.gguf").read_bytes() == noise(1000 * i, i), f"part {i}")
for i in (1, 2):
    hub.plain[f"s-{i:05}-of-00002.gguf"] = noise(500 * i, i)
check(pull(hub.url + "/plain/s-00001-of-00002.gguf?x=1").returncode == 0, "parts of a URL")
check(sorted(p.stat().st_size for p in cache.glob("chord/urls/*/s-*.gguf")) == [500, 1000], "all of them")
refused(pull(hub.url + "/plain/s-00002-of-00002.gguf"), "name the first", what="a URL of the second part")

# ---- mirrors, tokens, ollama
anew(no_refs=True)
pulled(pull(SOURCE), data, "a mirror without refs")
anew(gated="secret")
refused(pull(SOURCE), "HF_TOKEN", what="gated")
environment["HF_TOKEN"] = "secret"
pulled(pull(SOURCE), data, "with the token")
check(not [a for a in hub.requests("cdn") if "Authorization" in a.headers], "which the redirect's end never sees")
environment.pop("HF_TOKEN")
hub.manifests = {("library/tiny", "latest"): TINY, ("me/mine", "q8"): small}
anew()
pulled(pull("ollama:tiny"), TINY, "ollama")
pulled(pull("ollama:me/mine:q8"), small, "somebody's, with a tag")
check({m["source"] for m in run_json("models")} == {"ollama:tiny:latest", "ollama:me/mine:q8"}, "in the list")
check(run("models", "remove", "ollama:tiny").returncode == 0 and len(run_json("models")) == 1, "removed")
store = pathlib.Path(caches.name) / ".ollama/models"
(store / "blobs").mkdir(parents=True)
(store / "manifests/registry.ollama.ai/library/theirs").mkdir(parents=True)
(store / "manifests/registry.ollama.ai/library/theirs/latest").write_text(json.dumps(
    {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + sum_of(TINY), "size": len(TINY)}]}))
(store / "blobs" / ("sha256-" + sum_of(TINY))).write_bytes(TINY)
before = len(hub.requests())
check(run("inspect", "ollama:theirs").returncode == 0 and len(hub.requests()) == before, "ollama's own store is read")

# ---- URLs: their sum is kept, a newer one is seen
anew()
pulled(pull(URL), data, "a URL")
entry = run_json("models")[0]
check(entry["source"] == URL and entry["sha256"] == sum_of(data), f"{entry}")
sent = hub.bytes_sent()
pulled(pull(URL), data, "again")
check(hub.bytes_sent() == sent, "the same ETag: nothing comes")
hub.plain["noise.gguf"] = noise(len(data), 9)
check(run("inspect", URL).returncode == 1 and hub.bytes_sent() == sent, "what is there is used")
pulled(pull(URL), hub.plain["noise.gguf"], "a newer one")
hub.plain["noise.gguf"] = data
check(run("models", "remove", URL).returncode == 0 and run_json("models") == [], "removed")

# ---- what passes
for name, faults in {
    "resets": dict(reset_after=1 << 20, reset_times=9), "short bodies": dict(short_by=2), "a stall": dict(stall_after=100000, stall_times=1),
    "a wrong Content-Range, once": dict(wrong_range=1), "200 for a part": dict(ranges_lie=1), "5xx": dict(probe_statuses=[503, 500], statuses=[503, 502]),
    "429": dict(statuses=[429, 429], retry_after=0), "429 for lists": dict(hub_statuses=[429, 503], retry_after=0),
    "addresses that expire": dict(signature_requests=2), "an address that expires for all at once": dict(signature_requests=2, late_refusal=0.1, late_body=0.7),
    "400": dict(statuses=[400, 400]), "no parts": dict(ranges=False), "a weak ETag": dict(etag="weak"), "no ETag": dict(etag=None),
}.items():
    anew(**faults)
    pulled(pull(SOURCE, patience=1 if name == "a stall" else 30), data, name)
    anew(**faults)
    if name in ("resets", "200 for a part", "no parts", "a weak ETag", "no ETag"):
        pulled(pull(URL), data, f"{name}, of a URL")
anew(reset_after=1 << 20, reset_times=2)
pull(SOURCE)
check(hub.bytes_sent() == len(data), f"what broke off goes on where it was: {hub.bytes_sent()} of {len(data)}")
anew(statuses=[429], retry_after=2)
began = time.monotonic()
waited = pull(SOURCE)
pulled(waited, data, "a server that asks to wait")
check(time.monotonic() - began >= 2 and "asks to wait 2 s" in waited.stderr, f"it is waited, and said: {waited.stderr}")
anew(change_after=1)
changed = pull(URL)
pulled(changed, bytes([data[0] ^ 1]) + data[1:], "another file in the middle")
check("has changed on the server" in changed.stderr, f"said: {changed.stderr}")

# ---- what does not pass
for name, faults, sentences in (
    ("a flipped bit", dict(flip=5_000_000), (f"SHA-256", sum_of(data))), ("a redirect loop", dict(loop=True), ("redirects",)),
    ("403 for ever", dict(signature_requests=1), ("403",)), ("429 for ever", dict(statuses=[429] * 99, retry_after=60), ("429",)),
    ("5xx for ever", dict(probe_statuses=[503] * 99), ("503",)), ("a wrong Content-Range", dict(wrong_range=99), ("were asked for, and something else came",)),
    ("gzip", dict(compress=True), ("compressed",)), ("no length", dict(no_length=True, ranges=False), ("how large",)),
):
    anew(**faults)
    refused(pull(SOURCE, patience=1), *sentences, what=name)
    check(not list(cache.rglob("noise*")), f"{name}: no file has the model's name")
check(run("models", "prune").returncode == 0 and not list(cache.rglob("*.part*")), "prune takes what is left")
anew(hub_statuses=[429] * 99, retry_after=0)
refused(pull(SOURCE, patience=1), "429", what="the hub is busy")
anew()
hub_url, environment["HF_ENDPOINT"] = environment["HF_ENDPOINT"], "http://127.0.0.1:9"
refused(pull(SOURCE), "127.0.0.1:9", what="nobody is there")
environment["HF_ENDPOINT"] = hub_url

# ---- https: who is not known is not believed
if shutil.which("openssl"):
    files = [str(pathlib.Path(caches.name) / name) for name in ("key.pem", "certificate.pem")]
    execute(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2",
             "-keyout", files[0], "-out", files[1]])
    other = Hub()
    other.secure(files[1], files[0])
    other.repos = hub.repos
    anew()
    environment["HF_ENDPOINT"] = other.url
    refused(pull(SOURCE), "certificate is not trusted", what="a certificate of nobody's")
    environment["SSL_CERT_FILE"] = files[1]
    pulled(pull(SOURCE), data, "https")
    check(other.bytes_sent() == len(data), "each byte once")
    other.cdn_url = hub.cdn_url
    anew()
    refused(pull(SOURCE), "leads from https to http://", what="a redirect from https to http")
    environment["HF_ENDPOINT"] = hub_url
    environment.pop("SSL_CERT_FILE")
    other.close()
hub.close()
done()
