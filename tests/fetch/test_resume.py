#!/usr/bin/env python3
"""test_resume.py CHORD: downloads that are ended at any moment go on where they were; two at once; Ctrl-C; a full disk."""
import resource

from fetch_test import *

REPO = "own/Noise-GGUF"
data = noise(8 * BLOCK + 777)
hub.repos[REPO] = {"noise-Q4_K_M.gguf": data}
hub.plain["noise.gguf"] = data
SOURCE, URL = f"hf:{REPO}", hub.url + "/plain/noise.gguf"
words = [chord, "pull", SOURCE, "--patience", "600"]


def start(*more, stderr=subprocess.PIPE, **options):
    return subprocess.Popen([*words, *more], env=environment, stdout=subprocess.PIPE, stderr=stderr, **options)


def state():
    try:
        return next(cache.rglob("*.part.state")).read_bytes()
    except (StopIteration, FileNotFoundError):  # not there yet, or no longer
        return b""


def blocks_there():
    """By the first row of bits, behind 512 bytes."""
    return sum(bin(b).count("1") for b in state()[512:514])


def missing_bytes():
    bits = [block for block in range(9) if not state()[512 + block // 8] >> block % 8 & 1]
    return sum(min(BLOCK, len(data) - block * BLOCK) for block in bits)


# ---- kill -9, again and again
anew(rate=40e6)
kills = random.Random(3)
for _ in range(2):
    before, process = blocks_there(), start()
    wait_until(lambda: process.poll() is not None or blocks_there() > before)
    time.sleep(kills.random() * 0.02)
    process.kill()
    process.communicate()
had, missing = blocks_there(), missing_bytes() if state() else 0
check(had >= 2 or state() == b"", f"{had} blocks are there after two kills")  # else all had come before
hub.rate = None
before = hub.bytes_sent()
pulled(pull(SOURCE), data, "after kills")
check(hub.bytes_sent() - before == missing, f"{had} blocks were there, {hub.bytes_sent() - before} bytes came")

# ---- after a power failure only what is known to be on the disk counts
anew(hold_after=6 * BLOCK)  # it cannot end before it is killed
process = start()
wait_until(lambda: blocks_there() >= 1)
process.kill()
process.communicate()
file = next(cache.rglob("*.part.state"))
head = bytearray(file.read_bytes())
check(bytes(head[24:60]).decode() == pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "the state says which start of the system it is of")
head[24] ^= 1
file.write_bytes(head)
hub.hold_after = None
before = hub.bytes_sent()
pulled(pull(SOURCE), data, "after a power failure")
check(hub.bytes_sent() - before == len(data), "what was not synced comes again")

# ---- another file under the name: nothing of the old one is used
anew(hold_after=6 * BLOCK)
process = subprocess.Popen([chord, "pull", URL], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
wait_until(lambda: blocks_there() >= 1)
process.kill()
process.communicate()
hub.hold_after, hub.plain["noise.gguf"] = None, noise(len(data), 5)
pulled(pull(URL), hub.plain["noise.gguf"], "another file")
# A part whose state is garbage, or shorter than it should be, begins anew.
for damage in (b"", b"garbage" * 100):
    anew(reset_after=100, reset_times=10**6, rate=None)
    process = start("--patience", "1")
    wait_until(lambda: state() != b"")
    process.kill()
    process.communicate()
    next(cache.rglob("*.part.state")).write_bytes(damage)
    hub.reset_times = 0
    pulled(pull(SOURCE), data, "a damaged state")

# ---- two at once
WAITS = "another process brings it"
said = [pathlib.Path(caches.name) / f"said{i}" for i in range(2)]


def starts(i):
    with open(said[i], "wb") as file:
        return start(stderr=file)


anew(hold_after=2 * BLOCK)
processes = [starts(i) for i in range(2)]
wait_until(lambda: any(WAITS in file.read_text() for file in said))  # the second one waits, and says so
hub.hold_after = None
results = [p.communicate()[0] for p in processes]
check([p.returncode for p in processes] == [0, 0] and results[0] == results[1], f"both end well: {results} {[file.read_text() for file in said]}")
check(hub.bytes_sent() == len(data), f"each byte came once: {hub.bytes_sent()}")
# The second goes on when the first is killed.
anew(hold_after=6 * BLOCK)
first = start()
wait_until(lambda: blocks_there() >= 1)
second = starts(1)
wait_until(lambda: WAITS in said[1].read_text())
first.kill()
first.communicate()
hub.hold_after = None
output, _ = second.communicate()
check(second.returncode == 0 and pathlib.Path(output.decode().strip()).read_bytes() == data, f"the second brings the rest: {said[1].read_text()}")

# ---- Ctrl-C, on a terminal with progress
anew(hold_after=6 * BLOCK)
terminal = Terminal(words)
check(terminal.wait_for("MB/s") is not None, "progress with a rate")
terminal.type(b"\x03")
code, shown = terminal.end()
check(code == 130 and "what came is kept" in shown, f"Ctrl-C: {code} {shown!r}")
check(state() != b"", "it is kept")
hub.hold_after = None
pulled(pull(SOURCE), data, "after Ctrl-C")

# ---- a full disk: named, and what is there is kept
anew()


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * BLOCK, 5 * BLOCK))


full = start(preexec_fn=small_files)
output, said = full.communicate()
check(full.returncode == 1 and b"cannot write" in said and b"File too large" in said, f"a limit of files: {full.returncode} {said}")
if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0:
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    script = f'mount -t tmpfs -o size=20m tmpfs "{cache}" && exec "$@"'
    result = execute(["unshare", "-m", "sh", "-c", script, "sh", *words])
    check(result.returncode == 1 and "are to come, and there is room for" in result.stderr, f"too small a disk is said at once: {result.stderr}")
    # Enough at first, then others fill it: what is to come waits for them.
    filled = pathlib.Path(caches.name) / "filled"
    script = (f'mount -t tmpfs -o size=44m tmpfs "{cache}" && ( "$@"; echo "code $?" ) & '
              f'while ! test -s "{cache}"/models*/blobs/*.part; do sleep 0.02; done; head -c 30M /dev/zero >"{cache}/other" 2>/dev/null; echo >"{filled}"; wait')
    anew(hold_after=0)
    cache.mkdir(parents=True)
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(filled.exists)
    hub.hold_after = None
    output, said = process.communicate()
    check(b"code 1" in output and b"No space left on device" in said, f"a disk that fills up: {output} {said}")
hub.close()
done()
