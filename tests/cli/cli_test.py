"""cli_test.py: what the Python tests share: checks, models, running chord: with pipes, in a cgroup, on a pseudo terminal. sys.argv: CHORD ..."""
import json, os, pathlib, pty, select, signal, struct, subprocess, sys, tempfile, termios, fcntl, time

import cgroup

chord = sys.argv[1]
failures = []
checks = 0
FOREVER_SECONDS = 3000  # what takes longer never ends; that a machine is slow is no failure

sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)  # what a program wrote may be anything

# Nothing of the user's is read or written: histories and rates go to a folder of the test's own.
home = tempfile.TemporaryDirectory(prefix="chord-test-")
environment = dict(os.environ, XDG_CACHE_HOME=f"{home.name}/cache", XDG_STATE_HOME=f"{home.name}/state", TERM="xterm", LC_ALL="C.UTF-8")


def check(condition, sentence):
    global checks
    checks += 1
    if not condition:
        failures.append(sentence)
        print("not true:", sentence)


def done():
    print(f"{checks} checks, {len(failures)} failed")
    sys.exit(bool(failures) or checks == 0)


def skip(sentence):
    print("skipped:", sentence)
    sys.exit(77)


def find_models(*names):
    """name: path of those that are there; the others are named."""
    folder = pathlib.Path(os.environ.get("CHORD_MODELS", "models")).resolve()
    paths = {name: folder / f"{name}.gguf" for name in names}
    for name, path in paths.items():
        if not path.exists():
            print(f"NOT TESTED: no {path}: `scripts/get-model {name}` brings it (set CHORD_MODELS to its folder)")
    return {name: path for name, path in paths.items() if path.exists()}


def model(name):
    return find_models(name).get(name) or skip("the test needs this model")


def execute(command, stdin="", timeout=FOREVER_SECONDS, cwd=None):
    """Its output as it is: bytes that are no UTF-8 are surrogates, ends of lines stay what they are."""
    result = subprocess.run([*map(str, command)], input=stdin.encode(), capture_output=True, env=environment, timeout=timeout, cwd=cwd)
    result.stdout, result.stderr = (written.decode(errors="surrogateescape") for written in (result.stdout, result.stderr))
    return result


def execute_capped(limit_bytes, command):
    """In a memory cgroup of that size, where one can be made. A cgroup.Result."""
    if cgroup.available():
        return cgroup.run(limit_bytes, [*map(str, command)], env=environment)
    result = execute(command)
    return cgroup.Result(result.returncode, result.stdout, result.stderr, 0, 0.0)


def json_of(result, what):
    """What a program that must have ended well printed. None: it did not."""
    check(result.returncode == 0, f"{what}: exit {result.returncode}: {result.stderr[-500:]}")
    return json.loads(result.stdout) if result.returncode == 0 else None


def run(*arguments, **more):
    return execute([chord, *arguments], **more)


def run_json(*arguments, **more):
    return json_of(run(*arguments, "--json", **more), " ".join(map(str, arguments)))


def run_hash(*arguments):
    """Of the logits. None: the program did not end well."""
    answer = run_json(*arguments)
    return answer and answer["logits_hash"]


class Terminal:
    """A program on a pseudo terminal of so many columns; stdout may go elsewhere."""

    def __init__(self, command, columns=80, stdout=None):
        self.seen = b""
        primary, secondary = pty.openpty()
        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.before = termios.tcgetattr(secondary)
        self.primary, self.secondary = primary, secondary

        def own_the_terminal():
            os.setsid()
            fcntl.ioctl(secondary, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.process = subprocess.Popen(command, stdin=secondary, stdout=stdout if stdout is not None else secondary, stderr=secondary,
                                        env=environment, preexec_fn=own_the_terminal)

    def read(self, seconds):
        ready, _, _ = select.select([self.primary], [], [], seconds)
        if not ready:
            return False
        try:
            piece = os.read(self.primary, 65536)
        except OSError:
            return False
        self.seen += piece
        return bool(piece)

    def wait_for(self, text, timeout=600):
        """Read until text was shown; what was shown up to there is taken away and returned. None: it never came."""
        wanted = text.encode()
        end = time.monotonic() + timeout
        while wanted not in self.seen:
            if time.monotonic() > end or (self.process.poll() is not None and not self.read(0)):
                print(f"waited for {text!r}, saw {self.seen[-500:]!r}")
                return None
            self.read(0.1)
        at = self.seen.index(wanted) + len(wanted)
        shown, self.seen = self.seen[:at], self.seen[at:]
        return shown.decode(errors="replace")

    def type(self, text):
        os.write(self.primary, text.encode() if isinstance(text, str) else text)

    def end(self, timeout=600):
        """The exit code, and all that was shown since."""
        stop = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < stop:
            self.read(0.1)
        if self.process.poll() is None:
            self.process.kill()
        while self.read(0.05):
            pass
        code = self.process.wait()
        self.after = termios.tcgetattr(self.secondary)
        os.close(self.primary)
        os.close(self.secondary)
        return code, self.seen.decode(errors="replace")
