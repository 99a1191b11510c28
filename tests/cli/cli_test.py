"""cli_test.py: running chord in tests: with pipes, and on a pseudo terminal. sys.argv: CHORD LINE_EDIT_ECHO."""
import json, os, pathlib, pty, select, signal, struct, subprocess, sys, tempfile, termios, fcntl, time

chord = sys.argv[1]
failures = []
checks = 0

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


def model(name):
    path = pathlib.Path(os.environ.get("CHORD_MODELS", "models")) / f"{name}.gguf"
    if not path.exists():
        print(f"no {path}: `scripts/get-model {name}` brings it (set CHORD_MODELS to its folder)")
        sys.exit(77)
    return str(path)


def run(*arguments, stdin="", timeout=120):
    return subprocess.run([chord, *map(str, arguments)], input=stdin, capture_output=True, text=True, env=environment, timeout=timeout)


def run_json(*arguments, **more):
    result = run(*arguments, "--json", **more)
    check(result.returncode == 0, f"{arguments}: exit {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


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

    def wait_for(self, text, timeout=60):
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

    def end(self, timeout=60):
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
