"""compare_llama_tests.py CHORD FOLDER [--model MODEL.gguf] [PYTEST OPTIONS]: the tests of llama.cpp's own server (FOLDER: its tools/server/tests; pytest, requests, filelock, wget, openai, prometheus-client and numpy installed), against ours.
Their models are on no registry. Without MODEL all have the tiny one, which writes noise; SmolLM2 and Qwen2.5 1.5B have words, a template and room. A program in the place of theirs translates the command line; an option of a thing that we do not have ends it, and the tests that need it fail.
What differs in each reply is put right on its way, so that what is behind it is seen: the first delta's null, the fingerprint's letter, options of their server that are a request's here (seed, reasoning), texts of their model. What fails then has to be KNOWN, with its reason: else this fails. By hand.

On 2026-11-26, SmolLM2, without what they call slow (391 cases: 166 passed, 208 failed, 11 could not begin, 6 skipped):

    file                  passed  failed  why
    basic                      3       5  addresses, aliases, a server without its page (3); a seed of the server's; /slots is always there
    chat_completion           30      22  numbers of tokens (10); __verbose (4); templates by name (4); fingerprint, first delta for openai's client (2); steps of a prompt; two answers in a row
    compat_anthropic          24       4  images (3); no messages
    compat_gcp                 0       2  no such paths
    compat_oai_responses       2       1  progress in responses
    completion                24      14  numbers of tokens, BOS (7); a context that texts share (4); post_sampling_probs, sampling elsewhere (2); fingerprint for openai's client
    ctx_shift                  0       5  context shift; texts and tokens of their model (4)
    embedding                 23      10  /embeddings is OpenAI's (6); numbers of tokens (3); other words
    ignore_eos                 1       1  no bias of end tokens
    infill                     0       7  no tokens for gaps in SmolLM2; with Qwen2.5 1.5B all 7 pass
    kv_keep_only_active        1       1  a context that texts share
    lora, speculative          0      11  their models, adapters
    mcp_servers                1      20  MCP
    metrics                    4       6  names (4); always there; timings with progress
    proxy, rerank              0      20  proxy, reranking
    router                     1      16  router
    security                   7      22  CORS (15); media, tools, proxy (6); their page's files
    sleep, slot_save           0      13  sleeping, slots in files
    stream                     0       3  streams that are resumed
    template                  29       6  date_string (3); a template with a variable of its own for tools (3)
    tokenize                   2       1  BOS
    tool_call                  6       0
    tools_builtin              0      17  built-in tools
    vision_api                 8      12  images, models' capabilities

Slow ones: `unit/test_tool_call.py -m slow -k "required_tool and not code"` with SmolLM2 (the call is forced): 22 of 22; `-k Qwen2.5-1.5B` with that model: 8 of 10; by their bare `chatml` template it writes a call between backquotes, which is content here, where theirs leaves a model no choice but JSON."""
import collections, re

from server_test import *

# Why a test fails: what its line, its name or what it says has in it.
KNOWN = (
    (r"not here: --(lora|mmproj|models-|mcp|tools|sleep|reranking|slot-save|context-shift|ui-mcp|grp-attn|media-path|no-ui|backend|model-draft|spec)", "options of things that are not here: LoRA, media, router and presets, MCP, built-in tools, sleeping, reranking, slots in files, context shift, sampling elsewhere"),
    (r"test_(lora|speculative|router|mcp_servers|tools_builtin|rerank|proxy|vision_api|stream|compat_gcp|sleep|slot_save)\.py", "the same: all of these files"),
    (r"not here: the template", "their built-in templates by name"),
    (r"huggingface\.co|NameResolution|FileNotFoundError", "their models, from a hub"),
    (r"test_server_multiple_addresses|test_server_model_aliases|test_no_ui", "several addresses, aliases and tags, a server without its page"),
    (r"test_server_props|test_completion_stream_vs_non|generation_settings.*seed|assert \d+ == 42", "a server's own seed: without one each answer has its own, which it tells"),
    (r"test_server_slots|test_metrics_disabled", "/slots and /metrics are always there"),
    (r"startswith|'chord-0", "the fingerprint begins with `chord`"),
    (r"__verbose", "no debugging output in replies"),
    (r"test_date_inside_prompt\[meta", "date_string: a template without it has its own date, so that the same request stays the same (chat_template_kwargs)"),
    (r"test_(date_inside_prompt|add_generation_prompt)\[fireworks", "firefunction wants its tools as a variable of its own (chat_template_kwargs)"),
    (r"test_reasoning\[", "enable_thinking where a request does not say it: the template's own, as Hugging Face's library has it; --reasoning is theirs alone"),
    (r"test_invalid_chat_completion_req\[messages7|test_anthropic_empty_messages", "two answers in a row are taken, no messages are refused"),
    (r"is None.*content|content.* is None", "the first delta's content is \"\", as OpenAI has it"),
    (r"test_anthropic_(tool_result_with_image|vision)", "images are a 400, theirs a 500"),
    (r"test_return_progress\[64-4|test_metrics_timings_on_prompt|test_responses_stream_with_llama", "prompts are read in larger steps than their 64 tokens; timings come with the end; responses have no progress"),
    (r"Process-Start-Time", "metrics have names of their own"),
    (r"test_cors|204 == 200", "CORS: other origins get 403 where theirs answers without a header, OPTIONS 204"),
    (r"/sw\.js", "their page's files"),
    (r"test_completion_unified|test_clear_and_restore", "a context that texts share: ours is each text's own"),
    (r"test_n_probs_post", "post_sampling_probs: refused by name"),
    (r"test_embedding_pooling_none|test_embedding_mixed_input\[-|test_embedding_mixed_input\[input(9|10)|test_embedding_content_text", "/embeddings is OpenAI's: vectors of texts, not of each token; no empty text, no parts"),
    (r"test_embedding_error_prompt_too_long|exceeds the available context", "a prompt that is too long: other words"),
    (r"test_ignore_eos_populates", "ignore_eos is no bias of end tokens"),
    (r"assert 501 == |test_infill", "the model has no tokens for gaps (with one that has, test_infill passes)"),
    (r"test_(completion|chat_completion|embedding|ctx_shift|tokenize|basic)\.py.*(assert \d+ == |prompt_n|200 == 400|200 != 200|n_prompt|<s>)", "numbers of tokens of their model, and its BOS"),
    (r"test_weather.*chatml", "told of tools by a template without them, a model may write a call in a way that nobody knows"),
    (r"test_ctx_shift_disabled", "texts of their model, which does not end"),
    (r"test_completion_with_tokens_input|input8-False", "their model's token numbers"),
)
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
whole, plain = utils.ServerProcess.make_request, utils.ServerProcess.make_stream_request
MADE = ("/completion", "/v1/completions", "/chat/completions", "/v1/chat/completions", "/apply-template")
def said(server, path, data):  # options of their server that are a request's here
    if not isinstance(data, dict) or path not in MADE:
        return data
    thinks = {} if server.reasoning is None else {"enable_thinking": server.reasoning != "off"}
    return {"seed": server.seed, **thinks, **data}
def fingerprint(body):
    if isinstance(body, dict) and "system_fingerprint" in body:
        body["system_fingerprint"] = "b" + body["system_fingerprint"]
    return body
def asked(server, method, path, data=None, *arguments, **named):
    result = whole(server, method, path, said(server, path, data), *arguments, **named)
    result.body = fingerprint(result.body)
    return result
def streamed(server, method, path, data=None, *arguments, **named):
    for chunk in map(fingerprint, plain(server, method, path, said(server, path, data), *arguments, **named)):
        for choice in chunk.get("choices") or ():  # a first delta of "" is OpenAI's, null theirs
            if choice.get("delta", {}).get("content") == "" and "role" in choice["delta"]:
                choice["delta"]["content"] = None
            if choice.get("delta", {}).get("content") == "":
                del choice["delta"]["content"]
        yield chunk
utils.ServerProcess.make_request, utils.ServerProcess.make_stream_request = asked, streamed
utils.match_regex = lambda *_: True  # texts of their model
"""
real = model != str(TINY)
shim = pathlib.Path(folder.name) / "llama-server"
shim.write_text(SHIM.format(python=sys.executable, chord=pathlib.Path(chord).resolve(), model=pathlib.Path(model).resolve(), memory="1600M" if real else "160M",
                            template=None if real else repr(str(template_file())), most=8192 if real else 512))
shim.chmod(0o755)
(pathlib.Path(folder.name) / "put_right.py").write_text(PLUGIN)
environment = dict(os.environ, LLAMA_SERVER_BIN_PATH=str(shim), PORT=os.environ.get("PORT", "18590"), PYTHONPATH=os.pathsep.join([folder.name, str(FOLDER)]))
command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "put_right", "--tb=short", "-rA", *given]
said = subprocess.run([*map(str, command)], cwd=FOLDER, env=environment, capture_output=True, text=True).stdout
counts, reasons = collections.defaultdict(collections.Counter), []
parts = re.split(r"\n_+ (\S.*) _+\n", said.split("short test summary")[0])
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
unknown, known = [], collections.Counter()
for line in reasons:
    why = next((why for sign, why in KNOWN if re.search(sign, line)), None)
    known[why] += 1
    unknown += [line] if why is None else []
for why, count in known.most_common():
    print(f"{count} failed: {why or 'NOBODY KNOWS WHY'}")
print(*unknown, sep="\n")
sys.exit(bool(unknown) or not counts)
