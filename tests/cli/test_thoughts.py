"""What answers think, apart from what they say: as JSON, on a terminal, in a pipe. The tiny model's noise finds no end of a thought."""
from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.gguf"


def template(end):
    path = pathlib.Path(home.name) / f"template-{len(end)}.jinja"
    path.write_text("{# </think> #}{% for m in messages %}{{ m.content }}{% endfor %}" + end)
    return path


ask = [TINY, "-p", "go", "-n", "24", "--temp", "1", "--seed", "3", "--template-file"]
plain = run("run", *ask, template(""))
check(plain.returncode == 0 and plain.stdout, "in a pipe an answer is what the model makes")
outside, inside = run_json("run", *ask, template("")), run_json("run", *ask, template("<think>\n"))
check("reasoning" not in outside and outside["text"], f"nothing was thought: {outside['text']!r}")
check(inside["text"] == "" and inside["reasoning"], f"all of it was thought: {inside['text']!r}")
both = run_json("run", *ask, template("<think>\n"), "--parallel", "2")["answers"]
check(both[0]["text"] == "" and both[0]["reasoning"] == inside["reasoning"] and both[0]["tokens"] == inside["tokens"], f"several answers: {both}")
piped = run("run", *ask, template("<think>\n"))
check(piped.stdout.strip(" \n").startswith(inside["reasoning"].strip(" \n")[:1]) and "\x1b" not in piped.stdout, "in a pipe thoughts are text like any")
for end, dim in (("<think>\n", True), ("", False)):
    code, seen = Terminal([chord, "run", *map(str, ask), str(template(end))]).end()
    check(code == 0 and ("\x1b[2m" in seen) == dim, f"on a terminal {end!r}: {seen!r}")
    check(not dim or "\x1b[0m" in seen.split("\x1b[2m")[1], f"thoughts end plainly: {seen!r}")
done()
