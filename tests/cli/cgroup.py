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


def run(limit_bytes, command, timeout=3000, cold=True, env=None, capture=True):
    """capture False: the command's output goes where ours goes, as it comes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chord-test-", dir=parent()))
    v1 = V1.is_dir()
    (folder / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit_bytes))
    if not v1:
        (folder / "memory.swap.max").write_text("0")
    if cold:
        drop_caches()
    start = time.monotonic()
    try:
        pipe = subprocess.PIPE if capture else None
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env,
                                   preexec_fn=lambda: (folder / "cgroup.procs").write_text(str(os.getpid())))
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        seconds = time.monotonic() - start
        peak = int((folder / ("memory.max_usage_in_bytes" if v1 else "memory.peak")).read_text())
    finally:
        for _ in range(20):
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.1)
    return Result(process.returncode, out, err, peak, seconds)
