// test_hash.mjs CHORD [ONLY]: text and logits of a model in a tab are the bits of the native program CHORD, wherever its bytes come from, and however much
// memory and how many threads it has. The real models where CHORD_MODELS has them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browse, makeSite, natively, openPage, realModels, ROOT, runTests, same, serve, check } from "./harness.mjs";

const [chord, only] = process.argv.slice(2);
const TINY = join(ROOT, "tests/golden/tiny.gguf"), PROMPT = "Once upon a time", TOKENS = 12;
const models = realModels();
const tiny = readFileSync(TINY), third = Math.floor(tiny.length / 3);
const site = makeSite(Object.fromEntries(models.map(({ name, path }) => [`${name}.gguf`, path])));
const isolated = await serve(site), plain = await serve(site, "--plain");
const context = await browse();
const page = await openPage(context, isolated.url), plainPage = await openPage(context, plain.url);

/** In the page: one answer, and what is to be known of it. */
const answer = async ({ url, options, prompt, tokens, chat }) => {
  const source = url === "file" ? document.getElementById("file").files[0] : url === "bytes" ? new Uint8Array(await (await fetch("tiny.gguf")).arrayBuffer())
    : url === "own" ? await (async () => { const bytes = new Uint8Array(await (await fetch("tiny.gguf")).arrayBuffer()); return { name: "own", size: bytes.length, read: async (at, n) => bytes.slice(at, at + n) }; })() : url;
  const engine = await wc.load(source, { context: 64, ...options });
  try {
    const common = { max_tokens: tokens, temperature: 0, ignore_eos: true };
    const made = chat && engine.info.hasChatTemplate ? await engine.chat.completions.create({ messages: [{ role: "user", content: prompt }], ...common }) : await engine.completions.create({ prompt, ...common });
    const text = made.choices[0].message?.content ?? made.choices[0].text;
    return { text, hash: made.wasm_chord.logits_hash, threads: engine.info.threads, bytes: made.wasm_chord.bytes_read, isolated: crossOriginIsolated };
  } finally {
    engine.close();
  }
};

async function compare(where, wanted, asked, what) {
  const { text, hash, ...more } = await where.evaluate(answer, { prompt: PROMPT, tokens: TOKENS, chat: false, ...asked });
  same({ text, hash }, wanted, what);
  return more;
}

const tests = {
  async sources() {
    const wanted = natively(chord, TINY, PROMPT, TOKENS);
    await page.setInputFiles("#file", TINY);
    await plainPage.setInputFiles("#file", TINY);
    for (const [name, where] of [["isolated", page], ["plain", plainPage]])
      for (const url of ["file", "bytes", "own", "tiny.gguf"]) await compare(where, wanted, { url, options: { memory: "64M" } }, `${name}, ${url}`);
    for (const cache of ["memory", "cache-api"]) await compare(page, wanted, { url: "tiny.gguf", options: { cache, memory: "64M" } }, `cache ${cache}`);
  },
  async modules() {
    const wanted = natively(chord, TINY, PROMPT, TOKENS);
    for (const module of ["wasm32", "wasm32-simd128", "wasm64"])
      for (const threads of [1, 2]) {
        const { threads: taken } = await compare(page, wanted, { url: "tiny.gguf", options: { module, threads, memory: "64M" } }, `${module}, ${threads} threads`);
        check(taken === threads, `${module}: ${taken} threads of ${threads}`);
      }
  },
};
for (const { name, path } of models)
  tests[name] = async () => {
    const [{ size }, wanted] = [await import("node:fs").then((fs) => fs.statSync(path)), natively(chord, path, "Why is the sky blue?", 8)];
    const asked = { url: `${name}.gguf`, prompt: "Why is the sky blue?", tokens: 8, chat: true }, MIB = 2 ** 20;
    const least = (await page.evaluate(([url]) => wc.plan(url, { context: 64, threads: 1 }), [asked.url])).budgetBytesMin * 1.15;
    const budgets = { all: Math.min(2 * size + 256 * MIB, 3900 * MIB), half: size / 2 + 32 * MIB, least };
    for (const [budget, memory] of Object.entries(budgets))
      for (const [where, threads] of [[page, 1], [page, 2], [plainPage, 1]]) {
        if (budget !== "all" && where === plainPage && name !== "smollm2") continue;
        const { bytes } = await compare(where, wanted, { ...asked, options: { memory: Math.ceil(memory), threads } }, `${name}, ${budget}, ${threads} threads, ${where === page ? "isolated" : "plain"}`);
        if (budget !== "all") check(bytes > 0, `${name}, ${budget}: it is paged`);
      }
  };
await runTests(tests, only);
