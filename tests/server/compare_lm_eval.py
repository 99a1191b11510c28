"""compare_lm_eval.py CHORD MODEL TEXT: lm-eval's local-completions (`pip install "lm-eval[api]==0.4.13"`) asks a server for the second half of each window of TEXT; the perplexity is what `chord perplexity` has for the same windows. MODEL:
one that begins texts without a token of its own (SmolLM2, Qwen)."""
import math, types

from server_test import *

WINDOW, CHUNKS = 128, 8
from lm_eval.models.openai_completions import LocalCompletionsAPI

model, text = sys.argv[2:4]
said = subprocess.run([chord, "perplexity", model, text, "-c", str(WINDOW), "--chunks", str(CHUNKS), "--json"], capture_output=True, text=True, check=True).stdout
ours = json.loads(said)
with Server("--memory", "1G", "-c", str(2 * WINDOW), model=model, template=False) as s:
    ids = s.post("/tokenize", {"content": pathlib.Path(text).read_text()})[1]["tokens"]
    client = LocalCompletionsAPI(base_url=f"{s.place}/v1/completions", model="any", tokenizer_backend=None, tokenized_requests=True, max_length=2 * WINDOW)
    client.tokenizer, client.tokenizer_backend, client.tokenized_requests = types.SimpleNamespace(eos_token=""), "huggingface", True  # it is given numbers
    windows = [ids[i * WINDOW : (i + 1) * WINDOW] for i in range(CHUNKS)]
    half = WINDOW // 2 + 1  # as llama-perplexity cuts
    found = client._loglikelihood_tokens([((str(i), ""), w[:half], w[half:]) for i, w in enumerate(windows)])
    total = sum(logprob for logprob, _ in found)
theirs = math.exp(-total / (CHUNKS * (WINDOW - half)))
print("chord perplexity", {k: v for k, v in ours.items() if not isinstance(v, (list, dict))}, "lm-eval", theirs)
check(abs(theirs / ours["perplexity"] - 1) < 1e-6, f"lm-eval has {theirs}, chord perplexity {ours['perplexity']}")
done()
