"""cgroup.py: run a command in a memory cgroup of exactly so many bytes, without swap, from a cold page cache."""
import os, pathlib, subprocess, tempfile, time

V1 = pathlib.Path("/sys/fs/cgroup/memory")
V2 = pathlib.Path("/sys/fs/cgroup")


class Result:
    def __init__(self, code, out, err, peak_bytes, seconds):
        self.code, self.out, self.err, self.peak_bytes, self.seconds = code, out, err, peak_bytes, seconds


def parent():
    """The folder to make our cgroup in: v1 at the top of the memory hierarchy, v2 likewise. None: neither can be written."""
    if V1.is_dir():
        return V1 if os.access(V1, os.W_OK) else None
    if not (V2 / "cgroup.controllers").exists() or not os.access(V2, os.W_OK):
        return None
    try:
        (V2 / "cgroup.subtree_control").write_text("+memory")
    except OSError:
        pass
    return V2 if "memory" in (V2 / "cgroup.subtree_control").read_text() else None


def available():
    folder = parent()
    if folder is None:
        return False
    try:
        probe = pathlib.Path(tempfile.mkdtemp(prefix="chord-probe-", dir=folder))
        probe.rmdir()
        return True
    except OSError:
        return False


def drop_caches():
    try:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        pass


class Group:
    """A memory cgroup of so many bytes, without swap; removed when it is left."""

    def __init__(self, limit_bytes):
        self.folder, v1 = pathlib.Path(tempfile.mkdtemp(prefix="chord-test-", dir=parent())), V1.is_dir()
        (self.folder / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit_bytes))
        if not v1:
            (self.folder / "memory.swap.max").write_text("0")
        self.peak_file = self.folder / ("memory.max_usage_in_bytes" if v1 else "memory.peak")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for _ in range(20):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)

    def popen(self, command, **more):
        enter = lambda: (self.folder / "cgroup.procs").write_text(str(os.getpid()))
        return subprocess.Popen(command, preexec_fn=enter, **more)

    def peak_bytes(self):
        return int(self.peak_file.read_text())


def run(limit_bytes, command, timeout=3000, cold=True, env=None, capture=True):
    """capture False: the command's output goes where ours goes, as it comes."""
    with Group(limit_bytes) as group:
        if cold:
            drop_caches()
        start = time.monotonic()
        pipe = subprocess.PIPE if capture else None
        process = group.popen(command, stdout=pipe, stderr=pipe, text=True, env=env)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return Result(process.returncode, out, err, group.peak_bytes(), time.monotonic() - start)
