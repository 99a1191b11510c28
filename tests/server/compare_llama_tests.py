"""compare_llama_tests.py CHORD FOLDER [PYTEST OPTIONS]: the tests of llama.cpp's own server (FOLDER: its tools/server/tests; pytest, requests, filelock, wget, openai, prometheus-client and numpy installed), against ours.
Their models are on no registry, so all have the tiny one, which writes noise: what compares texts fails by that. A program in the place of theirs translates the command line; an option of a thing that we do not have ends it, and the tests that need it fail.
Counts what passes and fails in each file, with the reasons. By hand: what fails has to be read.

Fails by design (141 of 589 cases passed on 2026-11-26): texts of their model (test_completion, test_chat_completion, test_basic; numbers of its tokens in usage and cached tokens); options of theirs (LoRA, router and presets, MCP, built-in tools, proxy,
slots, context shift, sleeping, synthetic drafts, images, reranking: all of these files); a context that is cut into slots (ours is each text's own); prompts that do not fit are refused, not shifted; other origins get 403 where theirs answers without a header, OPTIONS 204;
`logit_bias`, `return_progress`, `__verbose`, `generation_settings`, `continue_final_message`, prompts of mixed numbers and texts in /completion, `id` in n_probs, stopping a stream by its id; metrics' names; the first delta's content is "", as OpenAI has it (all streams of
test_tool_call; the others of its cases need more than 512 tokens of context); images are a 400, theirs a 500."""
import collections, re

from server_test import *

FOLDER = pathlib.Path(sys.argv[2]).resolve()
SHIM = '''#!{python}
import os, pathlib, sys, tempfile
KEPT = {{"--port": "--port", "--host": "--host", "--alias": "--alias", "--ctx-size": "-c", "--parallel": "--parallel", "--n-predict": "-n", "--temp": "--temp", "--chat-template-file": "--template-file"}}
REFUSED = ("--lora", "--mmproj-url", "--models-dir", "--models-preset", "--spec-type", "--mcp-servers-config", "--mcp-servers-json", "--tools", "--sleep-idle-seconds", "--reranking", "--slots", "--slot-save-path",
           "--context-shift", "--ui-mcp-proxy", "--grp-attn-n", "--media-path", "--no-ui", "--backend_sampling", "--model-draft")
given, out, template = sys.argv[1:], ["{chord}", "serve", "{model}", "--threads", "2", "--memory", "160M"], True
while given:
    name = given.pop(0)
    value = given.pop(0) if given and not given[0].startswith("--") else None
    if name in REFUSED:
        sys.exit("not here: " + name)
    if name in ("--api-key", "--chat-template"):
        path = pathlib.Path(tempfile.mkstemp()[1])
        path.write_text(value)
        out += ["--api-key-file" if name == "--api-key" else "--template-file", str(path)]
    elif name == "--ctx-size":
        out += ["-c", str(min(int(value), 512))]
    elif name == "--cors-origins":
        for origin in value.split(","):
            out += ["--cors-origin", origin]
    elif name in KEPT:
        out += [KEPT[name], value]
    template = template and "template" not in name
if template:
    out += ["--template-file", "{template}"]
os.execv(out[0], out)
'''
shim = pathlib.Path(folder.name) / "llama-server"
shim.write_text(SHIM.format(python=sys.executable, chord=pathlib.Path(chord).resolve(), model=TINY, template=template_file()))
shim.chmod(0o755)
options = sys.argv[3:] or ["unit"]
CONFTEST = "import utils\nutils.ServerPreset.load_all = staticmethod(lambda: None)\n"
(pathlib.Path(folder.name) / "no_downloads.py").write_text(CONFTEST)
environment = dict(os.environ, LLAMA_SERVER_BIN_PATH=str(shim), PORT=os.environ.get("PORT", "18590"), PYTHONPATH=os.pathsep.join([folder.name, str(FOLDER)]))
command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no_downloads", "--tb=short", "-rA", *options]
said = subprocess.run([*map(str, command)], cwd=FOLDER, env=environment, capture_output=True, text=True).stdout
counts, reasons = collections.defaultdict(collections.Counter), []
parts = re.split(r"\n_{3,} (.+) _{3,}\n", said.split("short test summary")[0])
for name, text in zip(parts[1::2], parts[2::2]):
    lines = [line[2:].strip() for line in text.splitlines() if line.startswith("E  ")]
    absent = re.search(r"not here: (\S+)|(\w.+: (?:is no option|unknown option).*)|chord: (.+)", text)
    where = re.search(r"unit/\S+\.py:\d+", text)
    if lines:
        reasons.append(f"{where.group(0) if where else ''} {name}: {(absent.group(0) + ' | ') if absent and 'not here' in absent.group(0) else ''}{' '.join(lines)[:200]}")
for outcome, name in re.findall(r"^(PASSED|FAILED|SKIPPED|ERROR) (?:\[\d+\] )?(unit/\w+\.py)", said, re.M):
    counts[name][outcome] += 1
for name, count in sorted(counts.items()):
    print(name, dict(count))
print(said.strip().splitlines()[-1])
print(*reasons, sep="\n")
