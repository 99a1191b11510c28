// run_guest.mjs GUEST MODEL PROMPT TOKENS [MEMORY_BYTES | least]: what `chord run --json` does, by a guest in Node: prompt in the model's
// chat template, greedy tokens. Prints one JSON object. least: what the guest's plan says is the smallest, and 10 %.
import { readFileSync } from "node:fs";
import { C, Host, PathFile, hex, openGuest } from "./guest.mjs";

const [guestPath, modelPath, prompt, count, memory] = process.argv.slice(2);
const module = readFileSync(guestPath);
const host = new Host({ files: [new PathFile(modelPath)], onLog: (level, line) => console.error(line) });

function leastBytes() {
  const guest = openGuest(module, host);
  const { budget_bytes_min } = guest.modelPlan(guest.runtimeOpen(), { context_tokens: 64 });
  return Math.ceil(Number(budget_bytes_min) * 1.1);
}

const bytes = memory === "least" ? leastBytes() : Number(memory ?? 0xffff0000);
const guest = openGuest(module, host, { memoryBytes: bytes });
const runtime = guest.runtimeOpen();
const vocabulary = guest.modelOpen(runtime, { no_weights: 1 });
const templated = guest.modelDescribe(vocabulary).has_chat_template !== 0;
const text = templated ? guest.chatRender(vocabulary, [{ role: "user", content: prompt }]) : prompt;
const ids = guest.tokenize(vocabulary, text, templated ? C.TokenizeMode.SPECIAL : C.TokenizeMode.RAW);
const model = guest.modelOpen(runtime, { context_tokens: ids.length + Number(count), vocabulary_of: vocabulary });
const session = guest.sessionOpen(model);
guest.sessionSync(session, ids);
const made = guest.generate(session, { max_tokens: Number(count), ignore_end: 1 });
const stats = guest.sessionStats(session);
const perSecond = (tokens, ns) => (ns > 0n ? (Number(tokens) * 1e9) / Number(ns) : 0);
console.log(JSON.stringify({
  text: made.text, tokens: made.ids, prompt_tokens: ids.length, logits_hash: hex(made.logits_hash),
  stats: {
    prefill_tokens_per_second: perSecond(stats.prompt_tokens, stats.prefill_ns),
    decode_tokens_per_second: perSecond(stats.output_tokens - 1n, stats.decode_ns),
    budget_bytes: Number(stats.budget_bytes), peak_bytes: Number(stats.peak_bytes), linear_bytes: guest.memory.buffer.byteLength,
    streamed_bytes_per_pass: Number(guest.modelDescribe(model).plan.streamed_bytes_per_pass), bytes_read: host.counts.bytesRead,
  },
}));
