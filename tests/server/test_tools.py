"""Tools through the server: calls that have to be made in every way of writing them, in three dialects, whole and as streams; what templates are told of
earlier calls; thoughts apart. The tiny model writes noise, so what it says is what the form leaves it."""
from server_test import *

SIGNS = {  # what a template's text holds: how its calls are written
    "hermes": "", "channels": "<|channel|> <|message|>", "gemma": "<|tool_call>call:", "kimi": "<|tool_calls_section_begin|>",
    "dsml functions": "｜DSML｜ function_calls", "dsml": "｜DSML｜", "deepseek blocks": "<｜tool▁calls▁begin｜> ```json", "deepseek": "<｜tool▁calls▁begin｜>",
    "solar": "<|tool_call:begin|>", "glm": "<arg_key>", "seed": "<seed:tool_call>", "minimax": "<minimax:tool_call>", "lines": "<function= <parameter=",
    "param": '<function name=" <param name="', "function": "<function=", "python": "<|tool_call_start|>", "bare python": "[func_name1(",
    "action": "<|START_ACTION|>", "action block": "Action: ```json", "upper list": "<TOOLCALL>", "list": "<tool_calls>", "mistral id": "[TOOL_CALLS] [CALL_ID]",
    "mistral": "[TOOL_CALLS] [ARGS]", "mistral list": "[TOOL_CALLS]", "functools": "functools", "marked list": "<|tool_call|>", "giga": "<|function_call|>",
    "giga messages": "<|message_sep|> function call", "prefix": "<|tools_prefix|>", "recipients": ">>> all", "objects": '"parameters": dictionary', "nested": "]<]minimax[>[",
}
PARAMETERS = {"type": "object", "properties": {"unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 0, "maximum": 9}, "now": {"type": "boolean"}},
              "required": ["unit", "days"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": PARAMETERS}},
         {"type": "function", "function": {"name": "stop", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}]
FLAT = [dict(t["function"], type="function") for t in TOOLS] + [{"type": "web_search"}]
INPUTS = [{"name": t["function"]["name"], "input_schema": t["function"]["parameters"]} for t in TOOLS] + [{"type": "web_search_20250305", "name": "web_search"}]
TALK = [{"role": "user", "content": "go"}]
MORE = dict(messages=TALK, max_tokens=420, temperature=1)
NAMED = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}" + TEMPLATE


def template(sign, more=""):
    path = pathlib.Path(folder.name) / f"template-{len(list(pathlib.Path(folder.name).iterdir()))}.jinja"
    path.write_text("{# " + sign + " #}" + (more or NAMED))
    return path


def is_call(name, arguments):
    a = json.loads(arguments) if isinstance(arguments, str) else arguments
    if name == "stop":
        return a == {}
    return name == "get_weather" and set(a) >= {"unit", "days"} and a["unit"] in ("C", "F") and a["days"] in range(10) and set(a) <= {"unit", "days", "now"} and isinstance(a.get("now", True), bool)


def whole_and_stream(s, what, ask):
    status, said = s.post("/v1/chat/completions", dict(MORE, **ask))
    message = said["choices"][0]["message"] if status == 200 else {}
    calls = message.get("tool_calls", [])
    check(status == 200 and calls and all(is_call(c["function"]["name"], c["function"]["arguments"]) for c in calls), f"{what}: {said}")
    if not calls:
        return []
    check(said["choices"][0]["finish_reason"] == "tool_calls" and message["content"] is None, f"{what}: {said}")
    check(all(c["type"] == "function" and len(c["id"]) >= 9 for c in calls) and len({c["id"] for c in calls}) == len(calls), f"{what}: ids {calls}")
    events = [e["choices"][0] for _, e in s.events("/v1/chat/completions", dict(MORE, **ask)) if e != "[DONE]"]
    deltas = [c for e in events for c in e["delta"].get("tool_calls", [])]
    streamed = {}
    for d in deltas:
        if d["index"] not in streamed:
            check(set(d) == {"index", "id", "type", "function"} and d["function"]["arguments"] == "" and d["function"]["name"], f"{what}: the first {d}")
            streamed[d["index"]] = [d["function"]["name"], ""]
        else:
            check(set(d) == {"index", "function"} and set(d["function"]) == {"arguments"}, f"{what}: then {d}")
            streamed[d["index"]][1] += d["function"]["arguments"]
    check([tuple(streamed[i]) for i in sorted(streamed)] == [(c["function"]["name"], c["function"]["arguments"]) for c in calls], f"{what}: {streamed} is not {calls}")
    check(events[-1]["finish_reason"] == "tool_calls" and not any(e["delta"].get("content") for e in events), f"{what}: {events[-1]}")
    return calls


def every_style():
    for what, sign in SIGNS.items():
        if what == "channels":  # noise finds no end of a thought
            continue
        with Server("--memory", "96M", "--parallel", "2", "--template-file", template(sign, NAMED + ">>>" if what == "recipients" else ""), template=False) as s:
            for seed in range(3):
                whole_and_stream(s, what, {"tools": TOOLS, "tool_choice": "required", "seed": seed, "parallel_tool_calls": False})
            calls = whole_and_stream(s, what, {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "stop"}}, "seed": 5, "parallel_tool_calls": False})
            check([c["function"]["name"] for c in calls] == ["stop"], f"{what}: the one that was named: {calls}")


def other_dialects(s):
    status, said = s.post("/v1/messages", {"messages": TALK, "max_tokens": 250, "tools": INPUTS, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}, "seed": 3})
    block = said["content"][-1] if status == 200 else {}
    check(status == 200 and block["type"] == "tool_use" and is_call(block["name"], block["input"]) and said["stop_reason"] == "tool_use", f"{said}")
    events = s.events("/v1/messages", {"messages": TALK, "max_tokens": 250, "tools": INPUTS, "tool_choice": {"type": "tool", "name": "get_weather"}, "seed": 3})
    starts = [e["content_block"] for n, e in events if n == "content_block_start"]
    text = "".join(e["delta"]["partial_json"] for n, e in events if n == "content_block_delta")
    check([b["type"] for b in starts][:1] == ["tool_use"] and starts[0]["input"] == {} and events[-2][1]["delta"]["stop_reason"] == "tool_use", f"{events}")
    check(len(starts) > 1 or is_call("get_weather", text), f"{text}")
    ask = {"input": "go", "max_output_tokens": 250, "tools": FLAT, "tool_choice": "required", "parallel_tool_calls": False, "seed": 4}
    status, said = s.post("/v1/responses", ask)
    item = said["output"][0] if status == 200 else {}
    check(status == 200 and item["type"] == "function_call" and is_call(item["name"], item["arguments"]) and item["call_id"], f"{said}")
    events = s.events("/v1/responses", ask)
    names = [n or e["type"] for n, e in events]
    check(names[2] == "response.output_item.added" and names[-3:] == ["response.function_call_arguments.done", "response.output_item.done", "response.completed"], f"{names}")
    deltas = "".join(e["delta"] for _, e in events if e["type"] == "response.function_call_arguments.delta")
    check(deltas == events[-3][1]["arguments"] == item["arguments"], f"{deltas}")
    counted = [s.post("/v1/messages/count_tokens", {"messages": TALK, **more})[1]["input_tokens"] for more in ({}, {"tools": INPUTS})]
    check(counted[1] > counted[0] + 10, f"tools count: {counted}")


def told(s):
    """What a template that shows no tools is told of them, and of what they gave."""
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "x", "type": "function", "function": {"name": "stop", "arguments": "{\"b\": 1}"}}]},
            {"role": "tool", "tool_call_id": "x", "content": "ended"}]
    _, said = s.post("/apply-template", {"messages": talk})
    check('<tool_call>\n{"name": "stop", "arguments": {"b":1}}\n</tool_call>' in said["prompt"] and "user: <tool_response>\nended\n</tool_response>" in said["prompt"], f"{said}")
    _, said = s.post("/apply-template", {"messages": TALK, "tools": TOOLS})
    check(said["prompt"].startswith("system: You can call functions.") and '"name":"get_weather"' in said["prompt"] and "<tool_call>" in said["prompt"], f"{said}")


SHOWN = """{% if tools %}{{ tools | tojson }}
{% endif %}{% for m in messages %}{{ '\n' }}{{ m.role }}: {{ m.content if m.content is not none else 'NONE' }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} ARGS {{ c.id }}]{% endfor %}{% if m.name %} of {{ m.name }}{% endif %}
{% endfor %}assistant:"""


def shown():
    """Templates that show tools get them, with arguments in the shape they want."""
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{"id": "x", "function": {"name": "stop", "arguments": "{\"b\": [1]}"}}]},
            {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "ended"}]}]
    blocks = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "stop", "input": {"b": [1]}}]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "ended"}]}]
    items = [{"role": "user", "content": "a"}, {"type": "function_call", "call_id": "x", "name": "stop", "arguments": "{\"b\": [1]}"}, {"type": "function_call_output", "call_id": "x", "output": "ended"}]
    for how, want in (("{{ c.function.arguments | tojson }}", '{"b": [1]}'), ("{{ c.function.arguments }}", '{"b": [1]}'), ("{{ '' + c.function.arguments }}", '{"b": [1]}')):
        with Server("--memory", "96M", "--template-file", template("", SHOWN.replace("ARGS", how)), template=False) as s:
            _, said = s.post("/apply-template", {"messages": talk, "tools": TOOLS[1:]})
            check(f"[stop {want} x]" in said["prompt"] and "tool: ended of stop" in said["prompt"] and said["prompt"].startswith('[{"type"'), f"{how}: {said}")
            counts = [s.post(path, dict(body, tools=tools))[1]["input_tokens"] for path, body, tools in (("/v1/messages/count_tokens", {"messages": blocks}, INPUTS[1:2]),
                                                                                                         ("/v1/responses/input_tokens", {"input": items}, FLAT[1:2]))]
            check(counts[1] == len(s.post("/tokenize", {"content": said["prompt"]})[1]["tokens"]), f"{how}: responses count what chats do: {counts}")
            props = s.get("/props")[1]["chat_template_caps"]
            check(props["supports_tools"] and props["supports_tool_calls"] and props["supports_object_arguments"] == ("tojson" in how), f"{how}: {props}")


THINKS = "{# </think> #}" + NAMED


def thoughts():
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    ask = dict(MORE, response_format={"type": "json_schema", "json_schema": {"schema": schema}}, max_tokens=400)
    with Server("--memory", "96M", "--template-file", template("", THINKS + "<think>\n"), template=False, model=renamed({"hello": "</think>"})) as s:
        for seed in range(40):
            status, said = s.post("/v1/chat/completions", dict(ask, seed=seed))
            message = said["choices"][0]["message"]
            if said["choices"][0]["finish_reason"] == "stop":
                break
        check(json.loads(message["content"])["a"] in (1, 2) and message["reasoning_content"], f"JSON behind what was thought: {said}")
        same = dict(ask, seed=seed)
        events = [e["choices"][0]["delta"] for _, e in s.events("/v1/chat/completions", same) if e != "[DONE]"]
        thought, text = ("".join(e.get(k) or "" for e in events) for k in ("reasoning_content", "content"))
        check((thought, text) == (message["reasoning_content"], message["content"]), "the same as a stream")
        _, raw = s.post("/v1/chat/completions", dict(same, reasoning_format="none"))
        check("reasoning_content" not in raw["choices"][0]["message"], f"thoughts are kept: {raw}")
        _, hidden = s.post("/v1/chat/completions", dict(same, reasoning_format="hidden"))
        check("reasoning_content" not in hidden["choices"][0]["message"] and hidden["choices"][0]["message"]["content"] == message["content"], f"and hidden: {hidden}")
        _, said = s.post("/v1/messages", {"messages": TALK, "max_tokens": 400, "seed": seed, "temperature": 1, "output_format": {"type": "json_schema", "schema": schema}})
        check([b["type"] for b in said["content"]] == ["thinking", "text"] and said["content"][0]["thinking"] == thought, f"{said}")
        _, said = s.post("/v1/responses", {"input": "go", "max_output_tokens": 400, "seed": seed, "temperature": 1, "text": {"format": {"type": "json_schema", "schema": schema}}})
        check([i["type"] for i in said["output"]] == ["reasoning", "message"] and said["output"][0]["content"][0]["text"] == thought, f"{said}")
        check(said["usage"]["output_tokens_details"]["reasoning_tokens"] > 0, f"{said['usage']}")
        status, said = s.post("/v1/chat/completions", dict(MORE, tools=TOOLS, tool_choice="required", seed=seed, max_tokens=400))
        check(status == 200 and said["choices"][0]["message"]["reasoning_content"], f"a thought before a call: {said}")


def refused(s):
    ask = lambda **more: s.post("/v1/chat/completions", dict(MORE, max_tokens=3, **more))
    for key, more in (("tools[0]", dict(tools=[{"type": "function"}])), ("tools[0]", dict(tools=[{"type": "custom", "custom": {"name": "x"}}])), ("tools", dict(tools={})),
                      ("tools[1]", dict(tools=TOOLS[:1] + [5])), ("tool_choice", dict(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "fly"}})),
                      ("tool_choice", dict(tools=TOOLS, tool_choice="often")), ("tool_choice", dict(tool_choice="required")), ("parallel_tool_calls", dict(tools=TOOLS, parallel_tool_calls=3)),
                      ("response_format", dict(tools=TOOLS, tool_choice="required", response_format={"type": "json_object"})), ("reasoning_format", dict(reasoning_format="loud")), ("reasoning_format", dict(reasoning_format="deepseek-legacy")),
                      ("tool_calls", dict(messages=TALK + [{"role": "assistant", "tool_calls": [{"function": {}}]}])), ("tools[0]", dict(tools=[{"type": "function", "function": {"name": "x", "parameters": []}}]))):
        status, said = ask(**more)
        check(status == 400 and said["error"]["param"] == key, f"{key}: {status} {said}")
    loosened = [{"type": "function", "function": {"name": "x", "parameters": {"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"]}}}]
    check(ask(tools=loosened, tool_choice="required")[0] == 200, "a keyword of a tool's schema is passed over")
    check(ask(tools=[dict(TOOLS[0], function=dict(TOOLS[0]["function"], strict=True))])[0] == 200, "strict, and free to say something")


def special_tokens():
    """A marker that is a special token: the form has that token, and its text is nobody's business but the reader's."""
    with Server("--memory", "96M", "--template-file", template(SIGNS["mistral"]), template=False, model=renamed({"hello": "[TOOL_CALLS]"}, True)) as s:
        ask = {"tools": TOOLS, "tool_choice": "required", "seed": 3, "parallel_tool_calls": False}
        whole_and_stream(s, "a special token", ask)
        _, said = s.post("/v1/chat/completions", dict(MORE, **ask, logprobs=True))
        tokens = [t["token"] for t in said["choices"][0]["logprobs"]["content"]]
        check(tokens[0] == "[TOOL_CALLS]" and "".join(tokens[:2]) != "[TOOL_CALLS][", f"{tokens}")
        _, said = s.post("/v1/completions", {"prompt": "a", "grammar": 'root ::= "[TOOL_CALLS]" [a-z]', "max_tokens": 30, "logprobs": 0})
        check(len(said["choices"][0]["logprobs"]["tokens"]) > 12, f"a grammar's text is text: {said}")


def told_in_its_way():
    """Calls of earlier answers stand as the template's signs say that calls are written, where it does not write them itself."""
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "so", "tool_calls": [{"id": "x", "function": {"name": "stop", "arguments": "{}"}}, {"id": "y", "function": {"name": "go", "arguments": {"b": 1}}}]}]
    for sign, want in (("mistral", 'so\n[TOOL_CALLS]stop[ARGS]{}\n[TOOL_CALLS]go[ARGS]{"b":1}'), ("function", 'so\n<function=stop>{}</function>\n<function=go>{"b":1}</function>'),
                       ("glm", 'so\n<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "go", "arguments": {"b":1}}\n</tool_call>')):
        with Server("--memory", "96M", "--template-file", template(SIGNS[sign], TEMPLATE), template=False) as s:
            _, said = s.post("/apply-template", {"messages": talk, "continue_final_message": False})
            check(want in said["prompt"], f"{sign}: {said}")


every_style()
special_tokens()
with Server("--memory", "96M", "--parallel", "2", "--template-file", template(""), template=False) as s:
    other_dialects(s)
    refused(s)
with Server("--memory", "96M") as s:
    told(s)
shown()
told_in_its_way()
thoughts()
done()
