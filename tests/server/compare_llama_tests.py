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
given = sys.argv[3:]
model = given.pop(given.index("--model") + 1) if "--model" in given else str(TINY)
given = [a for a in given if a != "--model"] or ["unit", "-m", "not slow"]
SHIM = '''#!{python}
import os, pathlib, sys, tempfile
KEPT = {{"--port": "--port", "--host": "--host", "--alias": "--alias", "--parallel": "--parallel", "--n-predict": "-n", "--temp": "--temp", "--chat-template-file": "--template-file"}}
REFUSED = ("--lora", "--mmproj-url", "--models-dir", "--models-preset", "--spec-type", "--mcp-servers-config", "--mcp-servers-json", "--tools", "--sleep-idle-seconds", "--reranking", "--slot-save-path",
           "--context-shift", "--ui-mcp-proxy", "--grp-attn-n", "--media-path", "--no-ui", "--backend_sampling", "--model-draft")
CHATML = "{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\\n{{{{ m.content }}}}<|im_end|>\\n{{% endfor %}}{{% if add_generation_prompt %}}<|im_start|>assistant\\n{{% endif %}}"
given, out, template, context, slots = sys.argv[1:], ["{chord}", "serve", "{model}", "--threads", "2", "--memory", "{memory}"], {template}, 0, 1
while given:
    name = given.pop(0)
    value = given.pop(0) if given and not given[0].startswith("--") else None
    if name in REFUSED:
        sys.exit("not here: " + name)
    if name in ("--api-key", "--chat-template"):
        if name == "--chat-template" and "{{" not in value and value != "chatml":
            sys.exit("not here: the template " + value)
        path = pathlib.Path(tempfile.mkstemp()[1])
        path.write_text(CHATML if value == "chatml" else value)
        out += ["--api-key-file" if name == "--api-key" else "--template-file", str(path)]
    elif name == "--ctx-size":
        context = int(value)
    elif name == "--cors-origins":
        for origin in value.split(","):
            out += ["--cors-origin", origin]
    elif name in KEPT:
        out += [KEPT[name], value]
    slots = int(value) if name == "--parallel" else slots
    template = None if "template" in name else template
if template:
    out += ["--template-file", template]
if context:
    out += ["-c", str(min(context // slots, {most}))]
os.execv(out[0], out)
'''
PLUGIN = """
import utils
utils.ServerPreset.load_all = staticmethod(lambda: None)
plain = utils.ServerProcess.make_stream_request
def streamed(*arguments, **named):
    for chunk in plain(*arguments, **named):
        for choice in chunk.get("choices") or ():  # a first delta of "" is OpenAI's, null theirs
            if choice.get("delta", {}).get("content") == "" and "role" in choice["delta"]:
                choice["delta"]["content"] = None
            if choice.get("delta", {}).get("content") == "":
                del choice["delta"]["content"]
        yield chunk
utils.ServerProcess.make_stream_request = streamed
utils.match_regex = lambda *_: True  # texts of their model
"""
real = model != str(TINY)
shim = pathlib.Path(folder.name) / "llama-server"
shim.write_text(SHIM.format(python=sys.executable, chord=pathlib.Path(chord).resolve(), model=pathlib.Path(model).resolve(), memory="900M" if real else "160M",
                            template=None if real else repr(str(template_file())), most=8192 if real else 512))
shim.chmod(0o755)
(pathlib.Path(folder.name) / "put_right.py").write_text(PLUGIN)
environment = dict(os.environ, LLAMA_SERVER_BIN_PATH=str(shim), PORT=os.environ.get("PORT", "18590"), PYTHONPATH=os.pathsep.join([folder.name, str(FOLDER)]))
command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "put_right", "--tb=short", "-rA", *given]
said = subprocess.run([*map(str, command)], cwd=FOLDER, env=environment, capture_output=True, text=True).stdout
counts, reasons = collections.defaultdict(collections.Counter), []
parts = re.split(r"\n_{3,} (.+) _{3,}\n", said.split("short test summary")[0])
for name, text in zip(parts[1::2], parts[2::2]):
    lines = [line[2:].strip() for line in text.splitlines() if line.startswith("E  ")]
    absent = re.search(r"not here: (\S.*)|(\w.+: (?:is no option|unknown option).*)|chord: (.+)", text)
    where = re.search(r"unit/\S+\.py:\d+", text)
    if lines:
        reasons.append(f"{where.group(0) if where else ''} {name}: {(absent.group(0) + ' | ') if absent and 'not here' in absent.group(0) else ''}{' '.join(lines)[:200]}")
for outcome, name in re.findall(r"^(PASSED|FAILED|SKIPPED|ERROR) (?:\[\d+\] )?(unit/\w+\.py)", said, re.M):
    counts[name][outcome] += 1
for name, count in sorted(counts.items()):
    print(name, dict(count))
print(said.strip().splitlines()[-1])
print(*reasons, sep="\n")
