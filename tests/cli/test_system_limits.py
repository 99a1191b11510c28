#!/usr/bin/env python3
"""test_system_limits.py: limits that are no memory cgroup: address space, data, threads of a container, size of files, a system
without /proc. The answer is the one without limits, from less."""
import resource, tempfile
from cli_test import *

smollm2 = model("smollm2")
asked = ["run", smollm2, "--raw", "-p", "The capital of France is", "-n", "4", "--temp", "0", "--json"]


def answer(*more, before=None, command=None):
    ended = subprocess.run([str(w) for w in (command or [chord, *asked, *more])], capture_output=True, text=True, timeout=600,
                           preexec_fn=before, env=environment)
    hash = json.loads(ended.stdout)["logits_hash"] if ended.returncode == 0 else None
    return ended, hash


def limited(kind, value):
    return lambda: resource.setrlimit(kind, (value, value))


free, right = answer("--memory", "300M")
check(free.returncode == 0, f"without limits: {free.stderr}")

for kind, name in ((resource.RLIMIT_AS, "address space"), (resource.RLIMIT_DATA, "data")):
    for mib in (64, 90, 200):
        ended, hash = answer("--threads", 2, "--ctx", 256, before=limited(kind, mib << 20))
        check(hash == right, f"{mib} MiB of {name}: {ended.returncode} {ended.stderr!r}")
    ended, hash = answer("--threads", 2, "--ctx", 256, "--memory", "250M", before=limited(kind, 90 << 20))
    check(hash == right and "ulimit" in ended.stderr, f"a budget beyond the limit of {name} is remarked on: {ended.stderr!r}")
ended, hash = answer(before=limited(resource.RLIMIT_AS, 12 << 20))
check(ended.returncode == 1 and "chord:" in ended.stderr, f"too little for anything: {ended.returncode} {ended.stderr!r}")

with tempfile.TemporaryFile("w+") as file:
    ended = subprocess.run([chord, *map(str, asked)], stdout=file, stderr=subprocess.PIPE, text=True, env=environment, timeout=600,
                          preexec_fn=limited(resource.RLIMIT_FSIZE, 0))
    check(ended.returncode == 1 and "File too large" in ended.stderr, f"ulimit -f: {ended.returncode} {ended.stderr!r}")

pids = next((f for f in (pathlib.Path("/sys/fs/cgroup/pids"), pathlib.Path("/sys/fs/cgroup")) if (f / "cgroup.procs").exists()), None)
if os.geteuid() == 0 and pids is not None and os.access(pids, os.W_OK):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chord-test-", dir=pids))
    try:
        if (folder / "pids.max").exists():
            for most in (1, 2, 4):
                (folder / "pids.max").write_text(str(most))
                ended, hash = answer("--threads", 3, "--memory", "70M", "--ctx", 256,
                                    before=lambda: (folder / "cgroup.procs").write_text(str(os.getpid())))
                check(hash == right, f"{most} threads in all: {ended.returncode} {ended.stderr!r}")
    finally:
        for _ in range(100):
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.1)

hidden = 'mount -t tmpfs none /proc && exec "$@"'
if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc"], capture_output=True).returncode == 0:
    ended, hash = answer(command=["unshare", "-m", "sh", "-c", hidden, "sh", chord, *asked])
    check(hash == right, f"without /proc: {ended.returncode} {ended.stderr!r}")
done()
