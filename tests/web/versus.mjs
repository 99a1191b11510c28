// versus.mjs MODEL [ROUNDS [MEMORY [PROMPT TOKENS]]]: the same model in a tab by us and by wllama, in turn, in Chromium: loading, reading a prompt, making tokens, and the
// memory that each adds to an idle browser (sum of PSS of its processes). Medians. Both read the model from one server on loopback, we into
// the browser's storage ("ours"; "stored": it lies there already), wllama as a Blob (loading from a URL it asks for more than this server knows); each round has a
// browser and a profile of its own. Needs @wllama/wllama and playwright-core: `npm install` them in the folder that
// $VERSUS names (default: build/versus), and Debian's chromium.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { pssMiB } from "./memory.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const [model, rounds = "3", memory = "1500M", PROMPT_TOKENS = 500, MADE = 64] = process.argv.slice(2);
if (model === undefined) throw new Error("versus.mjs MODEL [ROUNDS [MEMORY [PROMPT TOKENS]]]");
const modules = resolve(process.env.VERSUS ?? join(ROOT, "build/versus"), "node_modules");
const { chromium } = createRequire(join(modules, "x.js"))("playwright-core");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const PAGE = `<!doctype html><meta charset="utf-8"><title>versus</title><script type="module">
const text = "Once upon a time there was a small town by the sea where people told each other stories about the weather and the ships. ".repeat(40);
window.ours = async (url, threads, memory) => {
  const { load } = await import("./ours/index.js"), t0 = performance.now();
  const engine = await load(url, { memory, context: 1024, threads });
  const t1 = performance.now(), ids = (await engine.tokenize(text)).slice(0, ${PROMPT_TOKENS});
  const read = (await engine.completions.create({ prompt: ids, max_tokens: 1, temperature: 0 })).wasm_chord;
  const made = (await engine.completions.create({ prompt: "Once upon a time", max_tokens: ${MADE}, temperature: 0, ignore_eos: true, draft_max: 0 })).wasm_chord;
  return { load_ms: t1 - t0, prompt: ids.length * 1000 / read.prefill_ms, decode: ${MADE - 1} * 1000 / made.decode_ms };
};
window.stored = window.ours;
window.bring = async (url) => (await import("./ours/index.js")).cache.import(url);
window.wllama = async (url, threads) => {
  const { Wllama } = await import("./wllama/index.js"), t0 = performance.now();
  const w = new Wllama({ default: "./wllama/wasm/wllama.wasm" }, { logger: { debug() {}, log() {}, warn() {}, error() {} } });
  await w.loadModel([await (await fetch(url)).blob()], { n_ctx: 1024, n_threads: threads, n_gpu_layers: 0 });
  const t1 = performance.now(), words = text.split(" ").slice(0, ${Math.round(PROMPT_TOKENS * 0.95)}).join(" ");
  const read = (await w.createCompletion({ prompt: words, max_tokens: 1, temperature: 0 })).timings;
  const made = (await w.createCompletion({ prompt: "Once upon a time", max_tokens: ${MADE}, temperature: 0 })).timings;
  return { load_ms: t1 - t0, prompt: read.prompt_per_second, decode: made.predicted_per_second };
};
window.ready = true;
</script>`;

async function openPage(site, profile) {
  const context = await chromium.launchPersistentContext(profile, { executablePath: "/usr/bin/chromium", headless: true, args: FLAGS }), page = await context.newPage();
  await page.goto(`${site}/page.html`);
  await page.waitForFunction("window.ready");
  return { context, page };
}

/** In a browser that ends before the one that is measured begins. */
async function bring(site, profile) {
  const { context, page } = await openPage(site, profile);
  await page.evaluate((url) => window.bring(url), `${site}/${basename(model)}`);
  await context.close();
}

async function round(site, who, threads) {
  const profile = mkdtempSync(join(tmpdir(), "versus-"));
  let context;
  try {
    if (who === "stored") await bring(site, profile);
    const opened = await openPage(site, profile), { page } = opened;
    context = opened.context;
    await new Promise((done) => setTimeout(done, 1500));
    const idle = pssMiB(profile);
    let peak = idle;
    const watch = setInterval(() => (peak = Math.max(peak, pssMiB(profile))), 250);
    const made = await Promise.race([new Promise((_, fail) => setTimeout(fail, 240_000, new Error("took more than four minutes")).unref()), page.evaluate(([which, url, count, budget]) => window[which](url, count, budget), [who, `${site}/${basename(model)}`, threads, memory])]);
    clearInterval(watch);
    return { ...made, added_mib: Math.max(peak, pssMiB(profile)) - idle };
  } finally {
    await context?.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const folder = mkdtempSync(join(tmpdir(), "versus-site-"));
writeFileSync(join(folder, "page.html"), PAGE);
mkdirSync(join(folder, "ours"));
execFileSync("cp", ["-r", `${ROOT}/build/web/dist/.`, join(folder, "ours")]);
execFileSync("cp", ["-r", join(modules, "@wllama/wllama/esm"), join(folder, "wllama")]);
execFileSync("ln", [resolve(model), join(folder, basename(model))]);
const server = spawn("python3", [join(ROOT, "tests/web/serve.py"), folder], { stdio: ["pipe", "pipe", "inherit"] });
const port = await new Promise((done) => server.stdout.once("data", (data) => done(Number(String(data)))));
try {
  for (const threads of [1, 2]) {
    const runs = { ours: [], stored: [], wllama: [] };
    for (let i = 0; i < Number(rounds); i++)
      for (const who of Object.keys(runs)) {
        try {
          runs[who].push(await round(`http://127.0.0.1:${port}`, who, threads));
          console.error(threads, who, JSON.stringify(runs[who].at(-1)));
        } catch (error) {
          console.error(threads, who, error.message.split("\n")[0]);
        }
      }
    for (const what of ["load_ms", "prompt", "decode", "added_mib"]) {
      const [a, stored, b] = Object.values(runs).map((of) => (of.length > 0 ? median(of.map((run) => run[what])) : NaN));
      console.log(`${threads} thread${threads > 1 ? "s" : ""} | ${what} | ${a.toFixed(1)}, stored ${stored.toFixed(1)} | ${b.toFixed(1)} | ratio ${(a / b).toFixed(2)}, ${(stored / b).toFixed(2)}`);
    }
  }
} finally {
  server.stdin.end();
  rmSync(folder, { recursive: true, force: true });
}
