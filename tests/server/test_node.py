"""openai-node, as people have it, from the configured registry, against the tiny model: what it makes of each reply, whole and as streams."""
import shutil

from server_test import *

PACKAGE = "openai@6.49.0"
place = TESTS.parent / ".cache" / "node-clients"
found = [path for path in sorted(TESTS.parent.glob("build/wasm/node-*/bin/node")) if path.is_file()]
node = found[-1] if found else shutil.which("node")
npm = node and (pathlib.Path(node).parent / "npm" if (pathlib.Path(node).parent / "npm").exists() else shutil.which("npm"))
if not npm:
    print("skipped: there is no node here (scripts/get-node brings it)")
    sys.exit(77)
environment = dict(os.environ, NODE_CLIENTS=str(place), PATH=f"{pathlib.Path(node).parent}:{os.environ['PATH']}")
if not (place / PACKAGE).exists():
    place.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix", place, PACKAGE]
    if subprocess.run([*map(str, command)], env=environment).returncode != 0:
        print("skipped: no", PACKAGE, "to be had")
        sys.exit(77)
    (place / PACKAGE).touch()

with Server("--memory", "96M", "--parallel", "2") as s:
    ran = subprocess.run([str(node), TESTS / "server" / "node_client.mjs", s.place], env=environment, capture_output=True, text=True)
    check(ran.returncode == 0, f"the client is content: {ran.stderr[-2000:]}")
    got = json.loads(ran.stdout) if ran.returncode == 0 else sys.exit(1)
text = got["chat"]["choices"][0]["message"]["content"]
check(got["models"] == ["tiny"] and got["model"]["owned_by"] == "chord", f"models {got['models']}")
check(text and got["chat"]["choices"][0]["finish_reason"] == "length" and got["chat"]["usage"]["completion_tokens"] == 6, f"{got['chat']}")
check("".join(c["choices"][0]["delta"].get("content") or "" for c in got["chunks"] if c["choices"]) == text, f"chunks {got['chunks']}")
check(got["chunks"][-1]["choices"] == [] and got["chunks"][-1]["usage"]["completion_tokens"] == 6, f"the last chunk {got['chunks'][-1]}")
check(got["whole"]["choices"][0]["message"]["content"] == text, f"a stream that is put together {got['whole']}")
call = got["called"]["choices"][0]["message"]["tool_calls"][0]["function"]
check(call["name"] == "look" and json.loads(call["arguments"])["city"] in ("Paris", "Rome"), f"{got['called']}")
made = got["completion"]["choices"][0]
check(made["text"].startswith("hello") and made["logprobs"]["token_logprobs"][0] is None and len(made["logprobs"]["tokens"]) == 7, f"{made}")
check(len(got["packed"]) == 2 and all(abs(sum(x * x for x in v) - 1) < 1e-4 for v in got["packed"]), "vectors, packed")
check(all(abs(x - y) < 1e-6 for a, b in zip(got["packed"], got["embeddings"]) for x, y in zip(a, b)), "and as numbers")
check(got["response"]["output_text"] == text and got["response"]["status"] == "incomplete", f"{got['response']}")
check("response.output_text.delta" in got["events"] and got["events"][-1] == "response.incomplete", f"{got['events']}")
check(got["error"]["kind"] == "BadRequestError" and got["error"]["param"] == "temperature", f"{got.get('error')}")
done()
