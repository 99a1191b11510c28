"""Every path: what it says, in the shapes that clients read; and what each wrong field is told."""
import re

from server_test import *

TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello hell"}]
CHAT = {"messages": TALK, "max_tokens": 8, "temperature": 0, "ignore_eos": True}


def check_usage(usage, made, what):
    check(usage["completion_tokens"] == made and usage["total_tokens"] == usage["prompt_tokens"] + made, f"{what}: usage {usage}")
    check(usage["prompt_tokens"] > 0 and usage["prompt_tokens_details"]["cached_tokens"] >= 0, f"{what}: usage {usage}")


def chat(s):
    status, whole = s.post("/v1/chat/completions", dict(CHAT, model="any name"))
    choice = whole["choices"][0]
    check(status == 200 and whole["object"] == "chat.completion" and whole["model"] == "any name", f"chat: {whole}")
    check(set(choice) >= {"finish_reason", "index", "message", "logprobs"} and choice["finish_reason"] == "length", f"choice {choice}")
    check(set(choice["message"]) >= {"role", "content", "refusal"} and choice["message"]["role"] == "assistant", f"message {choice}")
    check_usage(whole["usage"], 8, "chat")
    events = s.events("/v1/chat/completions", dict(CHAT, stream_options={"include_usage": True}))
    check(events[-1][1] == "[DONE]" and events[-2][1]["choices"] == [], f"the usage chunk comes last: {events[-2:]}")
    check_usage(events[-2][1]["usage"], 8, "stream")
    chunks = [e for _, e in events[:-2]]
    check(all(c["object"] == "chat.completion.chunk" and c["usage"] is None and c["id"] == chunks[0]["id"] for c in chunks), "chunks")
    check(all(set(c["choices"][0]) >= {"delta", "finish_reason", "index"} for c in chunks), "each chunk has a choice")
    check(chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}, f"the role first: {chunks[0]}")
    check(all("role" not in c["choices"][0]["delta"] for c in chunks[1:]), "and only there")
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    check(text == choice["message"]["content"], "the stream's text is the whole's")
    check([c["choices"][0]["finish_reason"] for c in chunks[-2:]] == [None, "length"], "the reason last")
    check(chunks[-1]["chord"]["logits_hash"] == choice["chord"]["logits_hash"] != "0" * 16, "one hash")
    plain = s.events("/v1/chat/completions", CHAT)
    check(all(e == "[DONE]" or ("usage" not in e and e["choices"]) for _, e in plain), "no usage where none was asked for")
    return choice["message"]["content"]


def chat_options(s):
    _, several = s.post("/v1/chat/completions", dict(CHAT, n=3, temperature=2, seed=7))
    for i, choice in enumerate(several["choices"]):
        _, alone = s.post("/v1/chat/completions", dict(CHAT, temperature=2, seed=7 + i))
        check(choice["index"] == i and choice["chord"]["logits_hash"] == alone["choices"][0]["chord"]["logits_hash"], f"choice {i}")
    check_usage(several["usage"], 24, "several")
    _, likely = s.post("/v1/chat/completions", dict(CHAT, logprobs=True, top_logprobs=3))
    content = likely["choices"][0]["logprobs"]["content"]
    check(len(content) == 8 and all(len(c["top_logprobs"]) == 3 for c in content), f"log probabilities {content}")
    check(all(c["logprob"] == c["top_logprobs"][0]["logprob"] and c["bytes"] == c["top_logprobs"][0]["bytes"] for c in content), "greedy is the likeliest")
    check(all(a["logprob"] >= b["logprob"] for c in content for a, b in zip(c["top_logprobs"], c["top_logprobs"][1:])), "in order")
    _, spread = s.post("/v1/chat/completions", dict(CHAT, temperature=3, seed=1, max_tokens=40))
    text = spread["choices"][0]["message"]["content"]
    word = re.search("[!-~]{2}", text[1:])[0]
    _, stopped = s.post("/v1/chat/completions", dict(CHAT, temperature=3, seed=1, max_tokens=40, stop=["never there", word]))
    said = stopped["choices"][0]
    check(said["finish_reason"] == "stop" and said["message"]["content"] == text[:text.index(word)], f"stop at {word!r}: {said} of {text!r}")
    _, stopped = s.post("/v1/messages", dict(CHAT, temperature=3, seed=1, max_tokens=40, stop_sequences=["never there", word]))
    check(stopped["stop_reason"] == "stop_sequence" and stopped["stop_sequence"] == word, f"which one: {stopped}")
    seeds = {s.post("/v1/chat/completions", dict(CHAT, temperature=1))[1]["choices"][0]["chord"]["seed"] for _ in range(3)}
    check(len(seeds) == 3, "without a seed each has its own")


def messages_made_alike(s):
    def prompt(messages, **more):
        return s.post("/apply-template", dict(messages=messages, **more))[1].get("prompt")
    plain = prompt([{"role": "system", "content": "A\n\nB"}, {"role": "user", "content": "x\ny"}])
    check(plain == "system: A\n\nB\nuser: x\ny\nassistant:", f"a prompt: {plain!r}")
    parts = [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]
    check(plain == prompt([{"role": "developer", "content": "A"}, {"role": "user", "content": parts}, {"role": "system", "content": "B"}]), "merged and joined")
    check(prompt([{"role": "user", "content": "x", "name": None, "tool_call_id": None, "odd": 1}]) == "user: x\nassistant:", "null and unknown fields")
    check(prompt([{"role": "user", "content": "x"}], add_generation_prompt=False) == "user: x\n", "no reply is opened")


def completions(s):
    body = {"prompt": "hello", "max_tokens": 6, "temperature": 0, "ignore_eos": True}
    _, whole = s.post("/v1/completions", dict(body, echo=True, logprobs=2))
    choice = whole["choices"][0]
    logprobs = choice["logprobs"]
    check(whole["object"] == "text_completion" and choice["text"].startswith("hello"), f"completion {choice}")
    ids = s.post("/tokenize", {"content": "hello"})[1]["tokens"]
    check(len(ids) >= 1 and s.post("/detokenize", {"tokens": ids})[1] == {"content": "hello"}, f"there and back: {ids}")
    check(all(len(logprobs[k]) == len(ids) + 6 for k in ("tokens", "token_logprobs", "top_logprobs", "text_offset")), f"columns {logprobs}")
    check(logprobs["token_logprobs"][0] is None and logprobs["top_logprobs"][0] is None and logprobs["text_offset"][0] == 0, "nothing before the first")
    _, scored = s.post("/v1/completions", dict(prompt="hello there you", max_tokens=0, echo=True, logprobs=1))
    count = len(s.post("/tokenize", {"content": "hello there you"})[1]["tokens"])
    check(scored["choices"][0]["text"] == "hello there you" and len(scored["choices"][0]["logprobs"]["tokens"]) == count, f"a prompt alone: {scored}")
    check(scored["usage"]["completion_tokens"] == 0, "nothing was made")
    # what was drawn is scored alike when it is given
    made = s.post("/completion", dict(prompt="hello", n_predict=4, temperature=0, ignore_eos=True, n_probs=1, return_tokens=True))[1]
    _, again = s.post("/v1/completions", dict(prompt=ids + made["tokens"], max_tokens=0, echo=True, logprobs=1))
    drawn = [p["logprob"] for p in made["completion_probabilities"]]
    check(again["choices"][0]["logprobs"]["token_logprobs"][-4:] == drawn, "one number for one thing")
    _, many = s.post("/v1/completions", dict(body, prompt=["hello", ids, "hell"], n=2))
    check([c["index"] for c in many["choices"]] == list(range(6)), "prompts times answers")
    check(len({c["text"] for c in many["choices"][:4]}) == 1 and many["choices"][0]["text"] == choice["text"][5:], "greedy answers of one prompt")
    events = s.events("/v1/completions", dict(body, echo=True))
    text = "".join(e["choices"][0]["text"] for _, e in events if e != "[DONE]")
    check(text == choice["text"] and events[-1][1] == "[DONE]", "a stream with its prompt")


def anthropic(s):
    body = {"messages": TALK[1:], "system": [{"type": "text", "text": "x-anthropic-billing-header: 1"}, {"type": "text", "text": "Be brief."}],
            "max_tokens": 8, "temperature": 0, "ignore_eos": True}
    _, whole = s.post("/v1/messages?beta=true", body)
    _, plain = s.post("/v1/chat/completions", CHAT)
    check(whole["type"] == "message" and whole["role"] == "assistant" and whole["stop_reason"] == "max_tokens", f"message {whole}")
    check(whole["content"] == [{"type": "text", "text": plain["choices"][0]["message"]["content"]}], "the same text")
    check(whole["chord"]["logits_hash"] == plain["choices"][0]["chord"]["logits_hash"], "the same bits: the block that changes is dropped")
    counted = s.post("/v1/messages/count_tokens", dict(body))[1]["input_tokens"]
    check(counted == plain["usage"]["prompt_tokens"] == whole["usage"]["input_tokens"] + whole["usage"]["cache_read_input_tokens"], f"counted {counted}")
    events = s.events("/v1/messages", body)
    names = [n for n, _ in events]
    check(names[:3] == ["message_start", "content_block_start", "ping"], f"{names}")
    check(names[-3:] == ["content_block_stop", "message_delta", "message_stop"], f"{names}")
    check(all(n == e["type"] for n, e in events) and "usage" in events[0][1]["message"], "each event says its name")
    check("".join(e["delta"]["text"] for n, e in events if n == "content_block_delta") == whole["content"][0]["text"], "the text in pieces")
    status, wrong = s.post("/v1/messages", {"messages": TALK})
    check(status == 400 and wrong["type"] == "error" and wrong["error"]["type"] == "invalid_request_error", f"{wrong}")


def responses(s):
    body = {"input": "hello hell", "instructions": "Be brief.", "max_output_tokens": 8, "temperature": 0, "ignore_eos": True}
    _, whole = s.post("/v1/responses", body)
    _, plain = s.post("/v1/chat/completions", CHAT)
    check(whole["object"] == "response" and whole["status"] == "incomplete" and whole["incomplete_details"] == {"reason": "max_output_tokens"}, f"{whole}")
    check(whole["output"][0]["content"][0]["text"] == plain["choices"][0]["message"]["content"], "the same text")
    items = [{"type": "reasoning", "summary": []}, {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
             {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello hell"}]}]
    _, listed = s.post("/v1/responses", dict(body, input=items, instructions=None, tools=[{"type": "web_search"}]))
    check(listed["chord"]["logits_hash"] == whole["chord"]["logits_hash"], "a list says the same")
    events = s.events("/v1/responses", body)
    check([e["sequence_number"] for _, e in events] == list(range(len(events))), "events are numbered")
    names = [n for n, _ in events if n != "response.output_text.delta"]
    check(names == [f"response.{n}" for n in ("created", "in_progress", "output_item.added", "content_part.added", "output_text.done",
                                              "content_part.done", "output_item.done", "incomplete")], f"{names}")
    delta = "".join(e["delta"] for n, e in events if n == "response.output_text.delta")
    check(delta == events[-1][1]["response"]["output"][0]["content"][0]["text"], "deltas and the whole")
    check(s.post("/v1/responses/input_tokens", body)[1]["input_tokens"] == whole["usage"]["input_tokens"], "counted")
    check(s.post("/v1/responses", dict(body, previous_response_id="resp_1"))[1]["error"]["param"] == "previous_response_id", "nothing is kept")


def native(s):
    body = {"prompt": "hello", "n_predict": 6, "temperature": 0, "ignore_eos": True}
    check(s.post("/completion", body)[1]["tokens"] == [], "tokens are told to who asks for them")
    _, whole = s.post("/completion", dict(body, return_tokens=True))
    check(whole["stop"] and whole["stop_type"] == "limit" and len(whole["tokens"]) == 6 and whole["tokens_predicted"] == 6, f"{whole}")
    check(set(whole["timings"]) >= {"prompt_n", "prompt_ms", "predicted_n", "predicted_ms", "predicted_per_second"}, "timings")
    events = s.events("/completion", body)
    check("".join(e["content"] for _, e in events) == whole["content"] and [e["stop"] for _, e in events][-2:] == [False, True], "a stream")
    check(s.post("/infill", {"input_prefix": "a", "input_suffix": "b"})[0] == 501, "no tokens for gaps")
    settings = whole["generation_settings"]
    check(settings["n_predict"] == 6 and settings["temperature"] == 0 and settings["seed"] == whole["chord"]["seed"] and settings["ignore_eos"] is True and settings["stream"] is False, f"{settings}")
    long = s.post("/completion", {"prompt": "x" * 500, "temperature": 0, "ignore_eos": True, "n_predict": -1})[1]
    check(long["truncated"] is True and long["stop_type"] == "limit" and whole["truncated"] is False, f"the context's end: {long}")
    check(whole["prompt"] == "hello" and whole["has_new_line"] == ("\n" in whole["content"]), f"{whole}")
    check(events[-1][1]["generation_settings"]["stream"] is True and events[-1][1]["prompt"] == "hello", f"{events[-1]}")
    _, some = s.post("/completion", dict(body, response_fields=["content", "generation_settings/n_predict", "no/such", "prompt"]))
    check(some == {"content": whole["content"], "generation_settings/n_predict": 6, "prompt": "hello"}, f"{some}")
    check(s.post("/completion", dict(body, response_fields=[""]))[1] == {}, "nothing is wanted")
    check(s.post("/completion", dict(body, response_fields=[5]))[1]["error"]["param"] == "response_fields", "no name")
    for key, value in (("return_tokens", 5), ("n_probs", 21), ("n", 2), ("n_cmpl", 2), ("mirostat", 2), ("dry_multiplier", 0.8), ("xtc_probability", 0.5), ("dynatemp_range", 1), ("top_n_sigma", 1),
                       ("lora", [{"id": 0, "scale": 1}]), ("post_sampling_probs", True), ("grammar_lazy", True), ("n_indent", 4), ("return_progress", 5)):
        status, said = s.post("/completion", dict(body, **{key: value}))
        check(status == 400 and said["error"]["param"] == key, f"{key} is refused by its name: {said}")
    off = dict(mirostat=0, mirostat_tau=5, dry_multiplier=0, xtc_probability=0.0, dynatemp_range=0, top_n_sigma=-1, lora=[], post_sampling_probs=False, samplers=["top_k"], cache_prompt=True, id_slot=-1, n_keep=0)
    check(s.post("/completion", dict(body, **off))[1]["content"] == whole["content"], "what is off is nothing")


def native_prompts(s):
    body = {"n_predict": 5, "temperature": 0, "ignore_eos": True, "return_tokens": True}
    ids = s.post("/tokenize", {"content": "hello"})[1]["tokens"]
    one = s.post("/completion", dict(body, prompt="hello there"))[1]
    _, several = s.post("/completion", dict(body, prompt=["hello there", ids + s.post("/tokenize", {"content": " there"})[1]["tokens"], [*ids, " there"]]))
    check([a["index"] for a in several] == [0, 1, 2] and all(a["tokens"] == one["tokens"] for a in several), f"three ways to say it: {several}")
    check(s.post("/completion", dict(body, prompt=["hello there"]))[1][0]["content"] == one["content"], "a list of one is a list")
    check(s.post("/completion", dict(body, prompt={"prompt_string": "hello there"}))[1]["content"] == one["content"], "an object with a text")
    check("multimodal_data" in s.post("/completion", dict(body, prompt={"prompt_string": "x", "multimodal_data": ["eA=="]}))[1]["error"]["message"], "and nothing to see")
    _, mixed = s.post("/completion", dict(body, prompt=[*ids, " there"]))
    check(mixed["content"] == one["content"] and mixed["prompt"] == "hello there", f"ids and texts are one prompt: {mixed}")
    events = [e for _, e in s.events("/completion", dict(body, prompt=["hello there", "hello"]))]
    check({e["index"] for e in events} == {0, 1} and sum(e["stop"] for e in events) == 2, "a stream of two")
    check("".join(e["content"] for e in events if e["index"] == 0) == one["content"], "each by its number")
    _, nothing = s.post("/completion", dict(body, prompt="hello there, who is it", n_predict=0))
    check(nothing["content"] == "" and nothing["tokens"] == [] and nothing["tokens_predicted"] == 0 and nothing["stop_type"] == "limit", f"no token: {nothing}")
    check(nothing["generation_settings"]["n_predict"] == 0 and nothing["tokens_evaluated"] > 0, f"{nothing}")
    _, known = s.post("/completion", dict(body, prompt="hello there, who is it", n_predict=1))
    check(known["tokens_cached"] == nothing["tokens_evaluated"] - 1, f"the prompt was read: {known}")
    events = s.events("/completion", dict(body, prompt="hello", n_predict=0))
    check([e["stop"] for _, e in events] == [True] and events[0][1]["content"] == "", f"nor in a stream: {events}")
    check(s.post("/v1/completions", dict(prompt="hello", n_predict=0))[1]["usage"]["completion_tokens"] == 0, "nor by the other path")
    _, likely = s.post("/completion", dict(body, prompt="hello", n_probs=2))
    check([p["id"] for p in likely["completion_probabilities"]] == likely["tokens"] == [p["top_logprobs"][0]["id"] for p in likely["completion_probabilities"]], f"ids: {likely}")


def infill():
    """What is missing between two texts, by a model that has tokens for a gap's ends; and beside other files."""
    with Server("--memory", "96M", model=renamed({"he": "<fim_prefix>", "ll": "<fim_suffix>", "hell": "<fim_middle>", "hello": "<file_sep>"}, True)) as s:
        ask = {"input_prefix": "ab", "input_suffix": "yz", "prompt": "c", "n_predict": 4, "ignore_eos": True, "temperature": 0}
        def prompt(**more):
            return s.post("/infill", dict(ask, response_fields=["prompt"], **more))[1]["prompt"]
        gap = "<fim_prefix>ab<fim_suffix>yz<fim_middle>c"
        check(prompt() == gap == prompt(input_extra=[]), f"{prompt()!r}")
        check(s.post("/infill", ask)[1]["tokens_evaluated"] == 8, "special tokens are tokens")
        files = [{"filename": "a.h", "text": "<fim_prefix>"}, {"text": "w"}]
        check(prompt(input_extra=files) == "<file_sep>a.h\n<fim_prefix><file_sep>tmp\nw<file_sep>filename\n" + gap, f"{prompt(input_extra=files)!r}")
        check(prompt(input_extra=[{"text": "x" * 460}, *files]) == prompt(input_extra=files), "those at the end that have room")
        check(s.post("/infill", dict(ask, n_predict=0))[1]["content"] == "", "nothing is filled")
        for wrong in ({}, {"filename": "x"}, {"filename": 5, "text": "x"}, {"text": 5}, 5):
            check(s.post("/infill", dict(ask, input_extra=[wrong]))[0] == 400, f"{wrong}")
        check(s.post("/infill", dict(ask, input_prefix="x" * 600))[1]["error"]["type"] == "exceed_context_size_error", "a gap is never cut")


def progress(s):
    text = "what is read bit by bit is told bit by bit " * 4
    for path, body in (("/completion", {"prompt": text, "n_predict": 3}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], "max_tokens": 3})):
        told = [e["prompt_progress"] for _, e in s.events(path, dict(body, return_progress=True)) if "prompt_progress" in e]
        check(told and told[0]["processed"] == told[0]["cache"] and told[-1]["processed"] == told[-1]["total"] > 100, f"{path}: {told}")
        check(all(a["processed"] <= b["processed"] and a["total"] == b["total"] for a, b in zip(told, told[1:])), f"{path}: {told}")
        check(not any("prompt_progress" in e for _, e in s.events(path, body) if e != "[DONE]"), f"{path}: who does not ask is not told")


def biases(s):
    body = {"prompt": "hello", "n_predict": 6, "temperature": 0, "ignore_eos": True, "return_tokens": True, "n_probs": 1}
    plain = s.post("/completion", body)[1]
    first, bits = plain["tokens"][0], plain["chord"]["logits_hash"]
    ids = s.post("/tokenize", {"content": "xyz"})[1]["tokens"]
    for bias, token in (({str(ids[0]): 100}, ids[0]), ([[ids[1], 1000]], ids[1]), ({"z": 100}, ids[2]), ([["z", 100]], ids[2])):
        said = s.post("/completion", dict(body, logit_bias=bias))[1]
        check(set(said["tokens"]) == {token}, f"{bias}: {said}")
        check(said["completion_probabilities"][0]["top_logprobs"] == plain["completion_probabilities"][0]["top_logprobs"], "log probabilities are the model's")
    for bias in ({str(first): -100}, [[first, False]]):
        check(first not in s.post("/completion", dict(body, logit_bias=bias))[1]["tokens"], f"{bias}: never")
    check(s.post("/completion", dict(body, logit_bias={str(first): 0}))[1]["chord"]["logits_hash"] == bits, "nothing changes nothing")
    chat = dict(CHAT, logit_bias={str(ids[0]): 100})
    check(s.post("/v1/chat/completions", chat)[1]["choices"][0]["message"]["content"] == "x" * 8, "in a chat, too")


def continued(s):
    """An answer that is the last message is gone on with."""
    talk = [*TALK, {"role": "assistant", "content": "I say "}]
    def prompt(**more):
        return s.post("/apply-template", dict(messages=talk, **more))[1].get("prompt")
    begun = "system: Be brief.\nuser: hello hell\nassistant: I say "
    check(prompt() == begun == prompt(continue_final_message=True) == prompt(continue_final_message=True, add_generation_prompt=False), f"{prompt()!r}")
    check(prompt(continue_final_message=False) == begun + "\nassistant:", f"{prompt(continue_final_message=False)!r}")
    check(prompt(add_generation_prompt=False) == begun + "\n", "nothing is opened")
    counted = len(s.post("/tokenize", {"content": begun})[1]["tokens"])
    check(s.post("/v1/chat/completions/input_tokens", {"messages": talk})[1]["input_tokens"] == counted, "counted")
    closed = {"messages": talk[:1], "add_generation_prompt": False}
    asked = s.post("/v1/chat/completions", {**closed, "max_tokens": 1})[1]["usage"]["prompt_tokens"]
    check(s.post("/v1/chat/completions/input_tokens", closed)[1]["input_tokens"] == asked, "counted, where no reply is opened")
    check(s.post("/chat/completions", dict(CHAT, messages=talk, continue_final_message=True, add_generation_prompt=True))[1]["error"]["param"] == "continue_final_message", "either or")
    check(s.post("/apply-template", dict(messages=TALK, continue_final_message=True))[1]["error"]["param"] == "continue_final_message", "there is none")
    plain = s.post("/completion", dict(prompt=begun, n_predict=8, temperature=0, ignore_eos=True))[1]["content"]
    check(s.post("/v1/chat/completions", dict(CHAT, messages=talk))[1]["choices"][0]["message"]["content"] == plain, "a chat")
    parts = [*TALK[1:], {"role": "assistant", "content": [{"type": "text", "text": "I say "}]}]
    said = s.post("/v1/messages", {"messages": parts, "system": "Be brief.", "max_tokens": 8, "temperature": 0, "ignore_eos": True})[1]
    check(said["content"][0]["text"] == plain, f"Anthropic's prefill: {said}")
    with Server("--memory", "96M", "--template-file", other_template("{% for m in messages %}{{ m.role }}: {{ m.content | length }} {% endfor %}"), template=False) as t:
        status, said = t.post("/v1/chat/completions", dict(CHAT, messages=talk))
        check(status == 400 and "gone on with" in said["error"]["message"], f"a template that hides it: {said}")
        check(t.post("/v1/chat/completions", dict(CHAT, messages=talk, continue_final_message=False))[0] == 200, "and nothing is asked of it")


def other_template(text):
    path = pathlib.Path(folder.name) / "other.jinja"
    path.write_text(text)
    return path


def too_large(s):
    """A schema that takes more memory than there is will never have it."""
    for schema in ({"type": "object", "properties": {f"k{i}": {} for i in range(3000)}}, {"enum": [f"{i:05}" for i in range(30000)]}):
        status, said = s.post("/v1/chat/completions", dict(CHAT, ignore_eos=False, response_format={"type": "json_schema", "json_schema": {"schema": schema}}))
        check(status == 400 and ("heap: " in said["error"]["message"] or "too many ways" in said["error"]["message"]), f"{status} {str(said)[:500]}")


def about(s):
    models = s.get("/v1/models")[1]
    check(models["object"] == "list" and models["data"][0]["id"] == "tiny" and models["data"][0]["meta"]["n_ctx"] == 512, f"{models}")
    check(models["data"][0]["status"] == {"value": "loaded"} and models["models"][0]["name"] == "tiny", "what Zed and Codex look for")
    check(s.get("/v1/models/tiny")[1] == models["data"][0] and s.get("/v1/models/none")[0] == 404, "one model")
    props = s.get("/props")[1]
    check(props["default_generation_settings"]["n_ctx"] == 512 and props["total_slots"] == 4, f"{props}")
    check(props["modalities"] == {"vision": False, "audio": False} and "supports_tools" in props["chat_template_caps"], f"{props}")
    slots = s.get("/slots")[1]
    check([x["id"] for x in slots] == [0, 1, 2, 3] and all(x["n_ctx"] == 512 and x["is_processing"] is False for x in slots), f"{slots}")
    params = props["default_generation_settings"]["params"]
    check(params["seed"] == -1 and params["n_predict"] == -1 and params["temperature"] > 0, f"{params}")
    check(s.get("/health") == (200, {"status": "ok"}) and s.get("/v1/health")[0] == 200, "health")
    status, head, _ = s.ask("HEAD", "/", raw=True)
    check(status == 200 and head["Content-Type"].startswith("text/html"), "a page, also for who asks for its head alone")
    check(s.ask("GET", "/nothing")[0] == 404 and s.ask("GET", "/v1/completions")[0] == 405 and s.ask("POST", "/health", {})[0] == 405, "paths")
    text = s.ask("GET", "/metrics", raw=True)
    check(text[1]["Content-Type"].startswith("text/plain; version=0.0.4"), "metrics are text")
    names = {line.split()[2] for line in text[2].splitlines() if line.startswith("# TYPE")}
    check(all(n.startswith("chord_") and ":" not in n for n in names) and len(names) >= 20, f"{names}")
    m = s.metrics()
    check(m["chord_output_tokens_total"] > 0 and m['chord_requests_total{finish_reason="length"}'] > 0 and m["chord_passes_total"] > 0, "counted")
    check(m["chord_time_to_first_token_seconds_count"] == m['chord_time_to_first_token_seconds_bucket{le="+Inf"}'] > 0, "a histogram")


def published(s):
    """What docs/openapi.yaml names is there, and takes its method."""
    lines = (TESTS.parent / "docs" / "openapi.yaml").read_text().splitlines()
    found = [(line.strip()[:-1].replace("{model}", "tiny"), after.strip()[:-1]) for line, after in zip(lines, lines[1:]) if line.startswith("  /")]
    check(len(found) == 28, f"{len(found)} paths are published")
    for path, method in found:
        status, _, _ = s.ask(method.upper(), path, {} if method == "post" else None, raw=True)
        check(status == 200 if method == "get" else status in (400, 501), f"{method} {path}: {status}")


def forms(s):
    """What comes has the form, whatever the model would rather say."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"], "additionalProperties": False}
    def is_one(text):
        value = json.loads(text)
        return list(value) == ["a", "b"] and isinstance(value["a"], int) and value["b"] in "xy"
    for ask in ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}}, {"response_format": {"type": "json_object", "schema": schema}}, {"json_schema": schema}):
        status, said = s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "go"}], "max_tokens": 200, "seed": 3, **ask})
        check(status == 200 and is_one(said["choices"][0]["message"]["content"]) and said["choices"][0]["finish_reason"] == "stop", f"{ask}: {said}")
    status, said = s.post("/v1/responses", {"input": "go", "max_output_tokens": 200, "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}})
    check(status == 200 and is_one(said["output"][0]["content"][0]["text"]), f"{said}")
    status, said = s.post("/v1/completions", {"prompt": "go", "max_tokens": 200, "seed": 3, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})
    check(status == 200 and is_one(said["choices"][0]["text"]), f"{said}")
    status, said = s.post("/v1/messages", {"messages": [{"role": "user", "content": "go"}], "max_tokens": 200, "output_format": {"type": "json_schema", "schema": schema}})
    check(status == 200 and is_one(said["content"][0]["text"]), f"{said}")
    status, said = s.post("/completion", {"prompt": "go", "n_predict": 40, "grammar": 'root ::= "yes" | "no"'})
    check(status == 200 and said["content"] in ("yes", "no"), f"{said}")
    status, said = s.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "go"}], "grammar": 'root ::= "a"', "json_schema": schema})
    check(status == 400 and said["error"]["param"] == "json_schema", f"two forms: {said}")


def wrong_fields(s):
    path = "/v1/chat/completions"
    for key, values in {
        "messages": [None, [], "x", 5, [5], [{}], [{"role": "king", "content": "x"}], [{"role": "user", "content": 5}],
                     [{"role": "user", "content": [{"type": "image_url"}]}], [{"role": "user", "content": [{"type": "text"}]}]],
        "max_tokens": ["x", 0, -2, 1.5, [], 1e300, 2**40], "temperature": ["x", -1, 1e9, [], True], "top_p": [-0.1, 1.1, "x"],
        "top_k": [-2, 1.5, "x"], "seed": ["x", 1.5], "n": [0, 17, "x"], "stream": ["x", 1], "stop": [5, "", [""], ["a"] * 17, {}, ["a\0b"]],
        "logprobs": [2, "x"], "top_logprobs": [1, 21, "x"], "stream_options": [5, {"include_usage": 5}], "logit_bias": [5, {"1": "x"}, {"99999": 1}, {"1": 1e9}, {"1": True}, [[1]], [1, 2], [[[], 1]], [[-1, 1]]],
        "continue_final_message": [5],
        "response_format": [{"type": "json_schema"}, {"type": "xml"}, "x", {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}], "grammar": ["root = x", 5], "tools": [[{"type": "function"}]], "functions": [[{}]],
        "modalities": [["audio"]], "audio": [{"voice": "x"}], "chat_template_kwargs": [5], "presence_penalty": ["x", 1e9], "ignore_eos": [5],
    }.items():
        for value in values:
            status, said = s.post(path, dict(CHAT, **{key: value}))
            error = said.get("error", {})
            named = str(error.get("param") or "").startswith(key) or (key == "messages" and error.get("param") is not None)
            check(status == 400 and set(error) >= {"message", "type", "param", "code"} and named, f"{key} = {value!r}: {status} {said}")
    for fine in ({"tools": [{"type": "function"}], "tool_choice": "none"}, {"tools": []}, {"stop": None}, {"user": "me", "metadata": {}}, {"response_format": {"type": "text"}},
                 {"max_tokens": None, "max_completion_tokens": 3}, {"top_k": -1}, {"seed": -1}, {"functions": None}, {"logit_bias": {}}, {"n": 1.0}):
        check(s.post(path, dict(CHAT, **fine))[0] == 200, f"{fine} is taken")
    status, said = s.post(path, {"messages": [{"role": "user", "content": "x" * 600}]})
    error = said["error"]
    check(status == 400 and error["type"] == "exceed_context_size_error" and error["n_ctx"] == 512 and error["n_prompt_tokens"] > 600, f"{said}")
    for wrong in ({"prompt": None}, {"prompt": 5}, {"prompt": [99999]}, {"prompt": [[1], [{}]]}, {"prompt": [1, [2]]}, {"prompt": ""}, {"prompt": ["x"] * 65}, {"prompt": ["x"] * 40, "n": 2},
                  {"prompt": "x", "suffix": "y"}, {"prompt": "x", "best_of": 3}, {"prompt": "x", "logprobs": 21}, {"prompt": "x", "max_tokens": 0, "stream": True}):
        status, said = s.post("/v1/completions", wrong)
        check(status == 400 and said["error"]["message"], f"{wrong}: {status} {said}")
    for path in ("/tokenize", "/detokenize", "/apply-template", "/v1/responses", "/completion", "/infill"):
        check(s.post(path, {})[0] in (400, 501), f"{path}: nothing")


with Server("--parallel", "4", "--memory", "96M") as s:
    chat(s)
    chat_options(s)
    messages_made_alike(s)
    completions(s)
    anthropic(s)
    responses(s)
    native(s)
    native_prompts(s)
    infill()
    progress(s)
    biases(s)
    continued(s)
    too_large(s)
    about(s)
    published(s)
    forms(s)
    wrong_fields(s)
with Server("--draft", TINY, "--draft-memory", "8M", "--memory", "160M") as s:
    forms(s)
done()
