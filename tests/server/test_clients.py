"""openai-python and anthropic's client, as people have them, from the configured Python index, against the tiny model: their types take every reply."""
from server_test import *

PACKAGES = ["openai==3.57.0", "anthropic==2.10.0"]
place = TESTS.parent / ".cache" / "server-clients"
if not (place / "done").exists():
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--target", place, *PACKAGES]
    if subprocess.run([*map(str, command)]).returncode != 0:
        print("skipped: no", ", ".join(PACKAGES), "to be had")
        sys.exit(77)
    (place / "done").touch()
sys.path.insert(0, str(place))
import anthropic
import openai

TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "hello"}]}]
MORE = dict(extra_body={"ignore_eos": True})


def through_openai(client):
    check([m.id for m in client.models.list()] == ["tiny"] and client.models.retrieve("tiny").owned_by == "chord", "models")
    chat = client.chat.completions.create(model="any", messages=TALK, max_tokens=6, temperature=0, logprobs=True, top_logprobs=2, n=2, **MORE)
    check(len(chat.choices) == 2 and chat.choices[0].finish_reason == "length" and chat.usage.completion_tokens == 12, f"chat {chat}")
    check(len(chat.choices[0].logprobs.content) == 6 and len(chat.choices[0].logprobs.content[0].top_logprobs) == 2, "log probabilities")
    stream = client.chat.completions.create(model="any", messages=TALK, max_tokens=6, temperature=0, stream=True, stream_options={"include_usage": True}, **MORE)
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check(text == chat.choices[0].message.content and chunks[-1].usage.completion_tokens == 6 and chunks[-1].choices == [], "a stream")
    made = client.completions.create(model="any", prompt="hello", max_tokens=6, temperature=0, echo=True, logprobs=1, **MORE)
    check(made.choices[0].text.startswith("hello") and made.choices[0].logprobs.token_logprobs[0] is None, f"completion {made}")
    response = client.responses.create(model="any", input="hello", instructions="Be brief.", max_output_tokens=6, temperature=0, **MORE)
    check(response.output_text == text and response.status == "incomplete" and response.usage.output_tokens == 6, f"response {response}")
    with client.responses.stream(model="any", input="hello", instructions="Be brief.", max_output_tokens=6, temperature=0, **MORE) as events:
        kinds = [e.type for e in events]
    check("response.output_text.delta" in kinds and kinds[-1] == "response.incomplete", f"events {kinds}")
    for wrong, kind in [(dict(messages=TALK, temperature=-1), openai.BadRequestError), (dict(messages=[{"role": "user", "content": "x" * 600}]), openai.BadRequestError)]:
        try:
            client.chat.completions.create(model="any", **wrong)
            check(False, f"{wrong} is refused")
        except kind as error:
            check(error.body["message"] and error.status_code == 400, f"{error}")
    return text


def through_anthropic(client, text):
    message = client.messages.create(model="any", system="Be brief.", messages=TALK[1:], max_tokens=6, extra_body={"ignore_eos": True, "temperature": 0})
    check(message.content[0].text == text and message.stop_reason == "max_tokens" and message.usage.output_tokens == 6, f"message {message}")
    with client.messages.stream(model="any", system="Be brief.", messages=TALK[1:], max_tokens=6, extra_body={"ignore_eos": True, "temperature": 0}) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    check(said == text and final.usage.input_tokens + final.usage.cache_read_input_tokens > 0, f"a stream: {final}")
    counted = client.messages.count_tokens(model="any", system="Be brief.", messages=TALK[1:]).input_tokens
    check(counted == message.usage.input_tokens + message.usage.cache_read_input_tokens, f"counted {counted}")


SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}
NAMED = "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}" + TEMPLATE


def is_call(name, arguments):
    return name == "look" and json.loads(arguments)["city"] in ("Paris", "Rome") and set(json.loads(arguments)) == {"city"}


def tools_through_openai(client):
    tools = [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}}]
    ask = dict(model="any", messages=TALK, max_tokens=300, seed=3, tools=tools, tool_choice="required", parallel_tool_calls=False)
    message = client.chat.completions.create(**ask).choices[0].message
    call = message.tool_calls[0]
    check(is_call(call.function.name, call.function.arguments) and message.content is None, f"{message}")
    with client.chat.completions.stream(**ask) as stream:
        kinds = [e.type for e in stream]
        final = stream.get_final_completion().choices[0]
    check("tool_calls.function.arguments.delta" in kinds and kinds.count("tool_calls.function.arguments.done") == 1, f"{kinds}")
    check(final.finish_reason == "tool_calls" and final.message.tool_calls[0].function.arguments == call.function.arguments, f"{final}")
    talk = [*TALK, message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    check(client.chat.completions.create(**dict(ask, messages=talk, tool_choice="auto", max_tokens=3)).usage.prompt_tokens > 0, "a second turn")
    ask = dict(model="any", input="hello", max_output_tokens=300, tools=[dict(tools[0]["function"], type="function")], tool_choice="required", parallel_tool_calls=False, extra_body={"seed": 3})
    item = client.responses.create(**ask).output[0]
    check(item.type == "function_call" and is_call(item.name, item.arguments), f"{item}")
    with client.responses.stream(**ask) as events:
        kinds = [e.type for e in events]
        again = events.get_final_response().output[0]
    check("response.function_call_arguments.delta" in kinds and again.arguments == item.arguments and kinds[-1] == "response.completed", f"{kinds}")
    back = [{"role": "user", "content": "hello"}, item, {"type": "function_call_output", "call_id": item.call_id, "output": "rain"}]
    check(client.responses.create(model="any", input=back, max_output_tokens=3).status in ("completed", "incomplete"), "a second turn")


def tools_through_anthropic(client):
    ask = dict(model="any", messages=TALK[1:], max_tokens=300, tools=[{"name": "look", "description": "Looks.", "input_schema": SCHEMA}],
               tool_choice={"type": "any", "disable_parallel_tool_use": True}, extra_body={"seed": 3})
    message = client.messages.create(**ask)
    block = message.content[0]
    check(block.type == "tool_use" and is_call(block.name, json.dumps(block.input)) and message.stop_reason == "tool_use", f"{message}")
    with client.messages.stream(**ask) as stream:
        kinds = [e.type for e in stream]
        final = stream.get_final_message()
    check("input_json" in kinds and final.content[0].input == block.input, f"{kinds}")
    back = [*TALK[1:], {"role": "assistant", "content": message.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "rain"}]}]
    check(client.messages.create(model="any", messages=back, max_tokens=3, tools=ask["tools"]).usage.output_tokens > 0, "a second turn")


keys = pathlib.Path(folder.name) / "keys.txt"
keys.write_text("a-key\n")
with Server("--api-key-file", keys, "--parallel", "2", "--memory", "96M") as s:
    text = through_openai(openai.OpenAI(base_url=f"{s.place}/v1", api_key="a-key", max_retries=0))
    through_anthropic(anthropic.Anthropic(base_url=s.place, api_key="a-key", max_retries=0), text)
    try:
        openai.OpenAI(base_url=f"{s.place}/v1", api_key="wrong", max_retries=0).models.list()
        check(False, "a wrong key is refused")
    except openai.AuthenticationError as error:
        check(error.body["type"] == "authentication_error", f"{error.body}")
named = pathlib.Path(folder.name) / "named.jinja"
named.write_text(NAMED)
with Server("--memory", "96M", "--template-file", named, template=False) as s:
    tools_through_openai(openai.OpenAI(base_url=f"{s.place}/v1", api_key="x", max_retries=0))
    tools_through_anthropic(anthropic.Anthropic(base_url=s.place, api_key="x", max_retries=0))
done()
