// api_cases.mjs - what a page and a program may do with the package. Each case gets the package and a source, and says what it found; the same in a browser,
// with and without isolation, and in Node.
const GREEDY = { temperature: 0, ignore_eos: true }, USER = [{ role: "user", content: "tell me" }];
const code = (promise) => Promise.resolve(promise).then(() => "no error", (error) => error.code && typeof error.code === "string" ? error.code : error.name);
const text = (made) => made.choices.map((choice) => choice.message?.content ?? choice.delta?.content ?? choice.text ?? "").join("");

export const cases = {
  async chat({ wc, source, same, check }) {
    const engine = await wc.load(source, { memory: "64M" });
    const made = await engine.chat.completions.create({ messages: USER, max_tokens: 6, ...GREEDY, logprobs: true });
    same([made.object, made.choices[0].message.role, made.choices[0].finish_reason], ["chat.completion", "assistant", "length"], "the shape of an answer");
    same(made.usage.completion_tokens, 6, "tokens");
    same(made.choices[0].logprobs.content.length, 6, "a log probability for each");
    check(/^[0-9a-f]{16}$/.test(made.wasm_chord.logits_hash), "a hash");
    let whole = "", last, usage;
    for await (const chunk of await engine.chat.completions.create({ messages: USER, max_tokens: 6, ...GREEDY, stream: true, stream_options: { include_usage: true } })) {
      whole += text(chunk);
      last = chunk.wasm_chord ?? last;
      usage = chunk.usage ?? usage;
    }
    same([whole, last.logits_hash], [text(made), made.wasm_chord.logits_hash], "a stream says the same");
    same(usage.total_tokens, made.usage.total_tokens, "and counts the same");
    const prompt = await engine.applyTemplate(USER), ids = await engine.tokenize(prompt, { special: true });
    same(await engine.detokenize(ids, { special: true }), prompt, "tokens and back");
    const again = await engine.completions.create({ prompt: ids, max_tokens: 6, ...GREEDY });
    same([text(again), again.wasm_chord.logits_hash], [text(made), made.wasm_chord.logits_hash], "the same from ids");
    check(again.usage.prompt_tokens_details.cached_tokens > 0, "what was read is not read again");
    const stop = text(made).slice(2, 4), cut = await engine.completions.create({ prompt: ids, max_tokens: 6, ...GREEDY, stop: [stop] });
    same([text(cut), cut.choices[0].finish_reason], [text(made).slice(0, text(made).indexOf(stop)), "stop"], "a stop");
    engine.close();
    same(await code(engine.tokenize("x")), "ERR_CLOSED", "after close()");
  },
  async options({ wc, source, same }) {
    for (const options of [{ memroy: 1 }, { memory: "many" }, { memory: 5 }, { threads: 0 }, { context: 1.5 }, { sessions: 65 }, { kvType: "f32" }, { module: "wasm16" }, { cache: "disk" }, { sha256: "abc" }])
      same(await code(wc.load(source, options)), "ERR_OPTION", JSON.stringify(options));
    const engine = await wc.load(source, { memory: "64M", context: 64 });
    for (const params of [{}, { messages: [] }, { messages: USER, n: 2 }, { messages: USER, temprature: 1 }, { messages: USER, temperature: -1 }, { messages: USER, top_p: "x" }, { messages: USER, max_tokens: 0.5 },
      { messages: USER, stop: 7 }, { messages: [{ role: "user", content: [{ type: "image_url" }] }] }, { messages: USER, stream_options: { x: 1 } }, { messages: USER, top_logprobs: 2 }])
      same(await code(engine.chat.completions.create(params)), "ERR_OPTION", JSON.stringify(params));
    same(await code(engine.completions.create({ prompt: "well", logprobs: 5 })), "ERR_OPTION", "alternatives");
    same(await code(engine.chat.completions.create({ messages: [{ role: "bad", content: "" }] })), "ERR_TEMPLATE", "a template that refuses");
    same(await code(engine.completions.create({ prompt: "word ".repeat(200) })), "ERR_CONTEXT_FULL", "a prompt that is too long");
    same(await code(engine.completions.create({ prompt: [1, 1 << 30] })), "ERR_OPTION", "ids that are none");
    same(await code(engine.completions.create({ prompt: "well", max_tokens: 2, ...GREEDY })), "no error", "and it answers still");
    engine.close();
    const bytes = new Uint8Array(4096), wrong = "0".repeat(64);
    for (const options of [{ headers: {} }, { cache: "memory" }]) same(await code(wc.load(bytes, options)), "ERR_OPTION", `bytes with ${JSON.stringify(options)}`);
    for (const given of [bytes, new Blob([bytes])]) same(await code(wc.load(given, { sha256: wrong })), "ERR_HASH", "a sum that is another's");
    same(await code(wc.load(source, { sha256: wrong })), "ERR_HASH", "of the source");
    same(await code(wc.load(source, { memory: "1M" })), "ERR_BUDGET", "too little memory");
    same(await code(wc.load(new Uint8Array([71, 71, 85, 70, 3, 0, 0, 0, 1]), { memory: "64M" })), "ERR_MODEL", "bytes that are no model");
  },
  async aborts({ wc, source, same }) {
    same(await code(wc.load(source, { signal: AbortSignal.abort() })), "AbortError", "before loading");
    const engine = await wc.load(source, { memory: "64M", context: 512 }), controller = new AbortController(), late = new AbortController();
    const long = { prompt: "a", max_tokens: 480, ...GREEDY, draft_max: 0 }; // a pass for each
    let pieces = 0;
    for await (const _ of await engine.completions.create({ ...long, stream: true })) if (++pieces === 3) break;
    same(pieces, 3, "a loop that is left");
    same(await code(engine.completions.create(long, { signal: controller.signal, onProgress: () => controller.abort() })), "AbortError", "while it answers");
    same(await code(engine.completions.create(long, { signal: late.signal, onProgress: () => late.abort(new DOMException("late", "TimeoutError")) })), "TimeoutError", "a signal's own reason");
    const stream = await engine.completions.create({ ...long, stream: true });
    stream.controller.abort();
    let ended = "no error";
    try {
      for await (const _ of stream);
    } catch (error) {
      ended = error.name;
    }
    same(ended, "AbortError", "a stream's controller");
    const made = await engine.completions.create({ prompt: "a", max_tokens: 3, ...GREEDY });
    same(made.usage.completion_tokens, 3, "and it answers still");
    same(await code(engine.completions.create(long, { onProgress: () => engine.close() })), "ERR_CLOSED", "closed while it answers");
  },
  async shares({ wc, source, same, check }) {
    const engine = await wc.load(source, { memory: "64M", sessions: 4, context: 128 }), prompts = ["one", "two", "three", "four"];
    const ask = (prompt) => engine.completions.create({ prompt, max_tokens: 40, ...GREEDY, draft_max: 0 });
    const alone = [];
    for (const prompt of prompts) alone.push(await ask(prompt));
    const began = performance.now(), together = await Promise.all(prompts.map(ask)), ms = performance.now() - began;
    same(together.map((made) => [text(made), made.wasm_chord.logits_hash]), alone.map((made) => [text(made), made.wasm_chord.logits_hash]), `each as alone (${ms.toFixed(0)} ms)`);
    // A pass counts for everyone in it: were none shared, the sum of passes would be read as often.
    const most = Math.max(...together.map(({ wasm_chord: { passes } }) => passes)), sum = together.reduce((n, { wasm_chord: { passes } }) => n + passes, 0);
    check(most * 2 < sum && most < 80, `passes are shared: ${most} at most, ${sum} in sum`);
    engine.close();
  },
  async saved({ wc, source, same, check }) {
    const options = { memory: "64M", sessions: 2, context: 256 }, long = "a long beginning of a story, ".repeat(4), more = { max_tokens: 8, ...GREEDY };
    const engine = await wc.load(source, options), first = await engine.session(), second = await engine.session();
    await first.completions.create({ prompt: long, ...more });
    const saved = await first.save(), wanted = await first.completions.create({ prompt: `${long}once`, ...more });
    check(saved instanceof Uint8Array && saved.length > 1000, "a past is bytes");
    await second.load(saved);
    const made = await second.completions.create({ prompt: `${long}once`, ...more });
    same([text(made), made.wasm_chord.logits_hash], [text(wanted), wanted.wasm_chord.logits_hash], "a past that was loaded goes on the same");
    check(made.usage.prompt_tokens_details.cached_tokens >= 40, "and is not read again");
    same(await code(second.load(saved.subarray(0, saved.length >> 1))), "ERR_READ", "half of it");
    same(await code(second.load(new Uint8Array(64))), "ERR_MODEL", "no past at all");
    same((await second.completions.create({ prompt: `${long}once`, ...more })).wasm_chord.logits_hash, wanted.wasm_chord.logits_hash, "the session answers still");
    engine.close();
    const later = await wc.load(source, options), third = await later.session();
    await third.load(saved);
    same((await third.completions.create({ prompt: `${long}once`, ...more })).wasm_chord.logits_hash, wanted.wasm_chord.logits_hash, "in another engine");
    later.close();
    const other = await wc.load(source, { ...options, kvType: "q8_0" }), fourth = await other.session();
    check((await code(fourth.load(saved))).startsWith("ERR_"), "not with another kvType");
    other.close();
  },
  async sessions({ wc, source, same, check }) {
    const engine = await wc.load(source, { memory: "64M", sessions: 3, context: 128 }), long = "a long beginning of a story, ";
    const first = await engine.session(), more = { max_tokens: 4, ...GREEDY };
    await first.completions.create({ prompt: long, ...more });
    const fork = await first.fork(), ends = await Promise.all([first, fork].map((session) => session.completions.create({ prompt: `${long}once`, ...more })));
    same(ends[0].wasm_chord.logits_hash, ends[1].wasm_chord.logits_hash, "a fork says the same");
    check(ends[1].usage.prompt_tokens_details.cached_tokens >= 10, "and has read the same");
    const busy = first.completions.create({ prompt: long, max_tokens: 60, ...GREEDY });
    same(await code(first.completions.create({ prompt: "x", ...more })), "ERR_BUSY", "one answer at a time");
    await fork.close();
    await first.close(); // while it answers
    same((await busy).usage.completion_tokens, 60, "what was begun ends");
    same(await code(first.completions.create({ prompt: "x", ...more })), "ERR_CLOSED", "a session that was closed");
    const all = [];
    for (let i = 0; i < 3; i++) all.push(await engine.session());
    same(await code(engine.session()), "ERR_BUSY", "no more than there is memory for");
    same(await code(engine.completions.create({ prompt: "x", ...more })), "ERR_BUSY", "nor for requests without one");
    await all[0].close();
    same(await code(engine.completions.create({ prompt: "x", ...more })), "no error", "one was given back");
    engine.close();
  },
  async fetch({ wc, source, same, check }) {
    const engine = await wc.load(source, { memory: "64M" }), post = (path, body) => engine.fetch(`http://any/v1/${path}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
    same((await (await engine.fetch("http://any/v1/models")).json()).data.length, 1, "one model");
    const made = await (await post("chat/completions", { model: "x", messages: USER, max_tokens: 5, ...GREEDY })).json();
    const response = await post("chat/completions", { model: "x", messages: USER, max_tokens: 5, ...GREEDY, stream: true }), events = (await response.text()).trim().split("\n\n").map((line) => line.slice(6));
    same([response.headers.get("content-type"), events.pop()], ["text/event-stream", "[DONE]"], "events and their end");
    same(events.map((event) => text(JSON.parse(event))).join(""), text(made), "a stream of events");
    for (const [path, body, status] of [["chat/completions", "no JSON", 400], ["chat/completions", {}, 400], ["completions", { prompt: "a", extra: 1 }, 400], ["embeddings", {}, 404]]) {
      const refused = await post(path, body);
      same([refused.status, typeof (await refused.json()).error.message], [status, "string"], `${path} ${JSON.stringify(body)}`);
    }
    check(true, "");
    engine.close();
  },
  async progress({ wc, source, same, check, isolated }) {
    const lines = [], engine = await wc.load(source, { memory: "64M", context: 512, onProgress: ({ phase, loaded, total, text: line }) => lines.push([phase, loaded <= total, typeof line]) });
    check(lines.length >= 2 && lines.every(([, inside, kind]) => inside && kind === "string"), "progress of loading");
    const seen = [];
    await engine.completions.create({ prompt: "word ".repeat(60), max_tokens: 2, ...GREEDY }, { onProgress: (at) => seen.push(at) });
    check(seen.every(({ phase, done, total }) => ["prefill", "decode"].includes(phase) && done <= total), "progress of a prompt");
    same(engine.info.threads >= 1 && (isolated || engine.info.threads === 1), true, `${engine.info.threads} threads`);
    engine.close();
  },
  async plan({ wc, source, same, check }) {
    const plan = await wc.plan(source, { memory: "64M", context: 64 });
    check(plan.fits && plan.budgetBytesMin > 0 && plan.streamedBytesPerPass === 0, `a plan: ${JSON.stringify(plan)}`);
    same(await code(wc.plan(source, { memory: "64M", extra: 1 })), "ERR_OPTION", "an option that is unknown");
  },
};

/** Runs these; gives the sentences that are not true, and how many were looked at. */
export async function runCases(wc, source, isolated, names = Object.keys(cases)) {
  const failures = [];
  let checks = 0;
  for (const name of names) {
    const check = (condition, sentence) => void (checks++, condition || failures.push(`${name}: ${sentence}`));
    const same = (found, wanted, what) => check(JSON.stringify(found) === JSON.stringify(wanted), `${what}: ${JSON.stringify(found)} is ${JSON.stringify(wanted)}`);
    await cases[name]({ wc, source, isolated, check, same }).catch((error) => check(false, `it threw ${error.stack}`));
  }
  return { failures, checks };
}
