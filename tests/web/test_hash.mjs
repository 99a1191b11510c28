// test_hash.mjs CHORD [ONLY]: text and logits of a model in a tab are the bits of the native program CHORD, wherever its bytes come from, and however much
// memory and how many threads it has. The real models where CHORD_MODELS has them.
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { browse, makeSite, natively, openPage, realModels, ROOT, runTests, same, serve, check } from "./harness.mjs";

const [chord, only] = process.argv.slice(2);
const TINY = join(ROOT, "tests/golden/tiny.gguf"), PROMPT = "Once upon a time", TOKENS = 12;
const models = realModels();
const site = makeSite(Object.fromEntries(models.map(({ name, path }) => [`${name}.gguf`, path])));
const isolated = await serve(site), plain = await serve(site, "--plain");
const context = await browse();
const page = await openPage(context, isolated.url), plainPage = await openPage(context, plain.url);

/** In the page: one answer, and what is to be known of it. */
const answer = async ({ url, options, prompt, tokens, chat }) => {
  const source = url === "files" ? [...document.getElementById("file").files] : url === "file" ? document.getElementById("file").files[0] : url === "bytes" ? new Uint8Array(await (await fetch("tiny.gguf")).arrayBuffer())
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
  /** All parts of a split model: by the first one's URL, and as files. */
  async split() {
    const made = spawnSync(chord, ["pack", TINY, join(site, "split.gguf"), "--plain", "--split", "100K"], { encoding: "utf8" });
    check(made.status === 0, `chord pack --split: ${made.stderr}`);
    const parts = readdirSync(site).filter((name) => name.startsWith("split-")).sort(), wanted = natively(chord, TINY, PROMPT, TOKENS);
    check(parts.length > 1, `${parts.length} parts`);
    await page.setInputFiles("#file", parts.map((name) => join(site, name)));
    await compare(page, wanted, { url: parts[0], options: { memory: "64M" } }, "parts by URL");
    await compare(page, wanted, { url: "files", options: { memory: "64M" } }, "parts as files");
    same(await page.evaluate((url) => wc.load(url, { sha256: "0".repeat(64) }).then(() => "loaded", ({ code }) => code), parts[0]), "ERR_OPTION", "one sum for several parts");
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
/** Where memory is shared, a prompt is left in the middle of a pass. */
if (models[0]?.name === "smollm2")
  tests.mid_pass = async () => {
    const found = await page.evaluate(async () => {
      const engine = await wc.load("smollm2.gguf", { memory: "400M", context: 2048, threads: 1 }), controller = new AbortController(), seen = [];
      const onProgress = ({ phase, done, total }) => (seen.push([phase, done, total]), controller.abort());
      const code = await engine.completions.create({ prompt: "word ".repeat(1500), max_tokens: 4 }, { signal: controller.signal, onProgress }).then(() => "whole", ({ name }) => name);
      const after = await engine.completions.create({ prompt: "well", max_tokens: 2, temperature: 0, ignore_eos: true });
      engine.close();
      return [code, seen.length > 0, seen.every(([phase, done, total]) => phase === "prefill" && done < total), after.usage.completion_tokens];
    });
    same(found, ["AbortError", true, true, 2], "left in the middle of a prompt, and it answers still");
  };
for (const { name, path } of models)
  tests[name] = async () => {
    const small = name === "smollm2", tokens = small ? 8 : 3; // of the larger ones fewer tokens, and not every pair
    const { size } = statSync(path), wanted = natively(chord, path, "Why is the sky blue?", tokens);
    const asked = { url: `${name}.gguf`, prompt: "Why is the sky blue?", tokens, chat: true }, MIB = 2 ** 20;
    const least = (await page.evaluate(([url]) => wc.plan(url, { context: 64, threads: 1 }), [asked.url])).budgetBytesMin * 1.15;
    const budgets = { all: Math.min(2 * size + 256 * MIB, 3900 * MIB), half: size / 2 + 32 * MIB, least };
    for (const [budget, memory] of Object.entries(budgets))
      for (const [where, threads] of [[page, 1], [page, 2], [plainPage, 1]]) {
        if (!small && (where === page && threads === 1 || where === plainPage && budget !== "half")) continue;
        const { bytes } = await compare(where, wanted, { ...asked, options: { memory: Math.ceil(memory), threads } }, `${name}, ${budget}, ${threads} threads, ${where === page ? "isolated" : "plain"}`);
        if (budget !== "all") check(bytes > 0, `${name}, ${budget}: it is paged`);
      }
  };
await runTests(tests, only);
