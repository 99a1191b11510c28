"""What clients ask before and while they talk, in the shape in which they ask, and the fields of replies that they break on: Zed, Open WebUI, Codex, Claude Code,
the Vercel AI SDK, LangChain, Continue, lm-eval, llama.vscode."""
from server_test import *

NAMED = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}" + TEMPLATE
CITY = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}
SHORT = {"max_tokens": 6, "ignore_eos": True, "temperature": 0}


def zed(s):
    model = s.get("/v1/models")[1]["data"][0]
    check(model["id"] == "tiny" and model["meta"]["n_ctx"] == 512 and model["status"]["value"] == "loaded", f"Zed: {model}")
    props = s.get("/props")[1]
    check(props["default_generation_settings"]["n_ctx"] == 512, f"Zed: the context: {props}")
    check(props["chat_template_caps"]["supports_tools"] is True and props["modalities"] == {"vision": False, "audio": False}, f"Zed: {props}")


def open_webui(s):
    """JSON under any content type, the page's origin, and its own words beside OpenAI's."""
    body = dict(SHORT, model="tiny", messages=[{"role": "user", "content": "hi"}], metadata={"chat_id": "x"}, features={}, variables={}, session_id="x", chat_id="x", background_tasks={"title_generation": True})
    for kind in ("text/plain; charset=utf-8", "application/x-www-form-urlencoded", "application/json"):
        status, _, said = s.ask("POST", "/v1/chat/completions", body, {"Content-Type": kind, "Authorization": "Bearer "})
        check(status == 200 and said["choices"][0]["message"]["role"] == "assistant", f"Open WebUI with {kind}: {said}")
    status, head, said = s.ask("GET", "/v1/models", None, {"Authorization": "Bearer 0"})
    check(status == 200 and head["Content-Type"].startswith("application/json") and said["object"] == "list" and said["data"][0]["object"] == "model", f"Open WebUI: {said}")


def codex(s):
    """Responses alone: tools that are no functions are passed over, several developer messages are one."""
    tools = [{"type": "function", "name": "shell", "description": "Runs.", "strict": False, "parameters": CITY}, {"type": "local_shell"}, {"type": "web_search", "external_web_access": False},
             {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}}]
    ask = {"model": "tiny", "instructions": "You are a coding agent.", "store": False, "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": {"effort": "medium", "summary": "auto"},
           "include": ["reasoning.encrypted_content"], "prompt_cache_key": "x", "tools": tools, "max_output_tokens": 6,
           "input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>"}]},
                     {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<more>"}]},
                     {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list files"}]}]}
    events = [e for _, e in s.events("/v1/responses", ask)]
    check([e["type"] for e in events[:2]] == ["response.created", "response.in_progress"] and events[-1]["type"] in ("response.completed", "response.incomplete"), f"Codex: {[e['type'] for e in events]}")
    check([e["sequence_number"] for e in events] == list(range(len(events))), "Codex: events are numbered")
    usage = events[-1]["response"]["usage"]
    check(1 <= usage["output_tokens"] <= 6 and usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}, f"Codex: {usage}")
    items = s.post("/v1/responses", dict(ask, tool_choice="required", max_output_tokens=300))[1]["output"]
    check(items[-1]["type"] == "function_call" and items[-1]["name"] == "shell", f"Codex: {items}")
    back = [*ask["input"], {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "x"}, items[-1], {"type": "function_call_output", "call_id": items[-1]["call_id"], "output": "a.txt"}]
    check(s.post("/v1/responses", dict(ask, input=back))[0] == 200, "Codex: what came of a call")


def claude_code(s):
    """Before it talks: HEAD /. Its first system block changes with each request; a system message may stand in the middle."""
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.0.aaa; cch=1;"}
    tools = [{"name": "Bash", "description": "Runs.", "input_schema": CITY}, {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]
    ask = {"model": "claude-x", "max_tokens": 6, "ignore_eos": True, "metadata": {"user_id": "x"}, "thinking": {"type": "adaptive"}, "context_management": {"edits": []}, "output_config": {"effort": "medium"}, "tools": tools,
           "system": [billing, {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
           "messages": [{"role": "user", "content": [{"type": "text", "text": "list files", "cache_control": {"type": "ephemeral"}}]}]}
    headers = {"x-api-key": "x", "anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219", "Content-Type": "application/json"}
    check(s.ask("HEAD", "/", raw=True)[0] == 200, "Claude Code: HEAD /")
    status, _, said = s.ask("POST", "/v1/messages?beta=true", ask, headers)
    check(status == 200 and said["usage"]["input_tokens"] > 0 and said["usage"]["output_tokens"] == 6, f"Claude Code: {said}")
    counted = [s.ask("POST", "/v1/messages/count_tokens?beta=true", {k: dict(ask, system=[dict(billing, text=billing["text"] + more), ask["system"][1]])[k] for k in ("model", "system", "messages", "tools")}, headers)[2]["input_tokens"] for more in ("", "much longer")]
    usage = said["usage"]
    check(counted == [usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]] * 2, f"Claude Code: counted {counted}, used {usage}")
    events = s.events("/v1/messages?beta=true", ask, headers)
    start = next(e for n, e in events if n == "message_start")["message"]
    check(start["usage"]["input_tokens"] + start["usage"]["cache_read_input_tokens"] == counted[0] and events[-1][0] == "message_stop", f"Claude Code: {start}")
    middle = [*ask["messages"], {"role": "assistant", "content": "a"}, {"role": "system", "content": "Now be brief."}, {"role": "user", "content": "go on"}]
    check(s.ask("POST", "/v1/messages?beta=true", dict(ask, messages=middle), headers)[0] == 200, "Claude Code: a system message in the middle")


def chat_streams(s):
    """The Vercel AI SDK, LangChain, Continue."""
    ask = dict(SHORT, model="tiny", messages=[{"role": "user", "content": "hi"}])
    chunks = [e for _, e in s.events("/v1/chat/completions", dict(ask, stream_options={"include_usage": True})) if e != "[DONE]"]
    check(all(c["choices"][0]["index"] == 0 and c["choices"][0]["delta"].get("role", "assistant") == "assistant" and c["usage"] is None for c in chunks[:-1]), f"AI SDK: {chunks}")
    check(chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] == 6, f"AI SDK: {chunks[-1]}")
    chunks = [e for _, e in s.events("/v1/chat/completions", ask) if e != "[DONE]"]
    check(all(len(c["choices"]) == 1 for c in chunks), "LangChain: who asks for no usage gets no chunk without choices")
    tools = [{"type": "function", "function": {"name": "look", "parameters": CITY}}]
    chunks = [e for _, e in s.events("/v1/chat/completions", dict(ask, max_tokens=300, ignore_eos=False, tools=tools, tool_choice="required", parallel_tool_calls=False)) if e != "[DONE]"]
    deltas = [c for e in chunks for c in e["choices"][0]["delta"].get("tool_calls", [])]
    check(deltas[0]["id"] and deltas[0]["index"] == 0 and deltas[0]["function"]["name"] == "look" and all(d["index"] == 0 for d in deltas), f"Continue: {deltas}")
    nothing = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": None, "function_call": None, "refusal": None, "name": None}, {"role": "user", "content": "c", "tool_call_id": None}]
    check(s.post("/v1/chat/completions", dict(ask, messages=nothing, tools=None, tool_choice=None, response_format=None, logit_bias=None, n=1, user="x", store=False))[0] == 200, "fields that are null are as if they were not there")


def texts(s):
    """lm-eval asks for what is known of a prompt; llama.vscode for a gap that this model cannot fill."""
    status, said = s.post("/v1/completions", {"model": "tiny", "prompt": [[104, 101, 108], [105, 106]], "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True})
    for choice, length in zip(said["choices"], (3, 2)):
        known = choice["logprobs"]
        check(len(known["tokens"]) == len(known["token_logprobs"]) == len(known["text_offset"]) == len(known["top_logprobs"]) == length + 1 and known["token_logprobs"][0] is None, f"lm-eval: {choice}")
        check(all(max(top.values()) >= p for top, p in zip(known["top_logprobs"][1:], known["token_logprobs"][1:])), f"lm-eval: the best are no worse: {choice}")
    status, said = s.post("/infill", {"input_prefix": "a", "input_suffix": "b", "input_extra": [], "prompt": "", "n_predict": 8, "samplers": [], "cache_prompt": True, "t_max_prompt_ms": 1})
    check(status == 501, f"llama.vscode: {status} {said}")


named = pathlib.Path(folder.name) / "named.jinja"
named.write_text(NAMED)
with Server("--memory", "96M", "--parallel", "2", "--template-file", named, template=False) as s:
    for probe in (zed, open_webui, codex, claude_code, chat_streams, texts):
        probe(s)
done()
