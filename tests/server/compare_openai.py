"""compare_openai.py CHORD FOLDER: the tests that openai-python brings of its own (FOLDER: its source package, unpacked; beside it `openai`, pytest, pytest-asyncio,
inline-snapshot, dirty-equals, time-machine and nest-asyncio installed), against a running server in place of their mock. They ask with every parameter that there is, and
their strict client takes no reply of another shape. Fields that are refused by design are left out of what they send, so that the reply behind them is seen. What
fails is counted by its reason; a reason that does not stand here is a failure."""
import collections, re

from server_test import *

FOLDER = pathlib.Path(sys.argv[2])
TESTS_OF = ["chat", "responses", *(f"test_{name}.py" for name in ("completions", "models", "embeddings", "responses"))]
PLUGIN = """
import openai._base_client as base
REFUSED = ("audio", "previous_response_id", "conversation", "background", "dimensions", "suffix", "best_of", "functions", "function_call", "modalities", "prompt")
def spare(client):
    build = client._build_request
    def without(self, options, **more):
        if isinstance(options.json_data, dict):
            last = "prompt" if options.url.endswith("/completions") and "messages" not in options.json_data else None
            options.json_data = {k: v for k, v in options.json_data.items() if k not in REFUSED or k == last}
        return build(self, options, **more)
    client._build_request = without
spare(base.BaseClient)
"""
EXPECTED = {
    "there is no such path here": "what is stored: nothing is",
    "this path takes": "deleting models, what is stored",
    "'input' must be": "a response to nothing",
    "'max_tokens' must be at least 1": "a chat without an answer",
    "logprobs.token_logprobs.0": "nothing is known of the first token of a prompt: null, as OpenAI's own server has it",
    "isinstance(None, float)": "the same",
    "input_type=str": "their strict client asks for base64 and then takes nothing but a list",
}

plugin = pathlib.Path(folder.name) / "without_refused.py"
plugin.write_text(PLUGIN)
with Server("--memory", "160M", "-n", "16", "--parallel", "4", "--alias", sys.argv[3] if len(sys.argv) > 3 else "gpt-6-astra") as s:
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "without_refused", "--tb=short", *(f"tests/api_resources/{name}" for name in TESTS_OF)]
    environment = dict(os.environ, TEST_API_BASE_URL=f"{s.place}/v1", PYTHONPATH=os.pathsep.join([folder.name, str(FOLDER)]))
    said = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True).stdout
parts = re.split(r"\n_{3,} (.+) _{3,}\n", said.split("short test summary")[0])
reasons, unknown = collections.Counter(), []
for name, text in zip(parts[1::2], parts[2::2]):
    reason = next((known for known in EXPECTED if known in text), None)
    reasons[reason] += 1
    if reason is None:
        unknown.append(name + ": " + " ".join(line for line in text.splitlines() if line.startswith("E "))[:300])
print(said.strip().splitlines()[-1])
for reason, count in reasons.most_common():
    print(f"{count} failed with {reason!r}: {EXPECTED.get(reason, 'NOT KNOWN')}")
for line in unknown:
    print("   ", line)
check(int(re.search(r"(\d+) passed", said).group(1)) > 0 and not unknown, "only what is refused by design fails")
done()
