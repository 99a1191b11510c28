// harness.mjs - what the browser tests share: a folder that is served, a browser with a profile of its own, models, checks. Everything has a time limit,
// and what was started ends with the test.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const DIST = join(ROOT, "build/web/dist");
export const require = createRequire(join(ROOT, "build/web/package.json"));
const { chromium } = require("playwright-core");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];
const endings = [];
/** Called when the tests end, the last one first. */
export const atEnd = (end) => endings.push(end);

// ---- checks ----

let failed = 0, checks = 0;
export function check(condition, sentence) {
  checks++;
  if (condition) return;
  failed++;
  console.error("not true:", sentence);
}
export const same = (found, wanted, what) => check(JSON.stringify(found) === JSON.stringify(wanted), `${what}: ${JSON.stringify(found)} is ${JSON.stringify(wanted)}`);

/** Limits end what would never end; no test fails for being slow. */
const PATIENCE = 10;

/** Throws when the promise takes so many times as long. */
export function within(seconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(reject, seconds * PATIENCE * 1000, new Error(`${what} took longer than ${seconds * PATIENCE} s`))));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs each of {name: test} whose name contains the first argument after the program's; then ends the process. */
export async function runTests(tests, only = "") {
  const hang = setTimeout(() => (console.error("the tests took longer than 50 minutes"), process.exit(1)), 3_000_000);
  try {
    for (const [name, test] of Object.entries(tests)) {
      if (!name.includes(only)) continue;
      const began = Date.now();
      await within(120, test(), name).catch((error) => check(false, `${name}: ${error.message}`));
      console.log(`${name}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
    }
  } finally {
    for (const end of endings.reverse()) await within(10, Promise.resolve(end()), "ending").catch(() => {});
    clearTimeout(hang);
  }
  console.log(failed === 0 ? `${checks} checks passed` : `${failed} of ${checks} checks failed`);
  process.exit(failed === 0 && checks > 0 ? 0 : 1);
}

// ---- models ----

const TEMPLATE = "{% for m in messages %}{% if m.role == 'bad' %}{{ raise_exception('no such role') }}{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
const TINY = readFileSync(join(ROOT, "tests/golden/tiny.gguf"));

/** tiny.gguf with one more key, a text; its length is such that all that follows stays aligned. */
function withText(gguf, key, text) {
  const head = 8 + key.length + 4 + 8, bytes = Buffer.from(text.padEnd(text.length + ((32 - ((head + text.length) % 32)) % 32))), entry = Buffer.alloc(head);
  entry.writeBigUInt64LE(BigInt(key.length), 0);
  entry.write(key, 8);
  entry.writeUInt32LE(8, 8 + key.length); // a string
  entry.writeBigUInt64LE(BigInt(bytes.length), 12 + key.length);
  const made = Buffer.concat([gguf.subarray(0, 24), entry, bytes, gguf.subarray(24)]);
  made.writeBigUInt64LE(gguf.readBigUInt64LE(16) + 1n, 16);
  return made;
}
export const tinyChat = () => withText(TINY, "tokenizer.chat_template", TEMPLATE);
/** So many parts of a download: the file goes on behind its last tensor. */
export const tinyLarge = (mib) => Buffer.concat([tinyChat(), Buffer.alloc(mib << 20, 7)]);

/** By name, where they are there. */
export function realModels() {
  const folder = process.env.CHORD_MODELS ?? join(ROOT, "models");
  return ["smollm2", "gemma3", "qwen"].map((name) => ({ name, path: join(folder, `${name}.gguf`) })).filter(({ path }) => existsSync(path));
}

/** What the native program says: text and hash. */
export function natively(chord, model, prompt, tokens) {
  const made = spawnSync(chord, ["run", model, "-p", prompt, "-n", String(tokens), "--ignore-eos", "--json"], { encoding: "utf8", timeout: 1_200_000 });
  if (made.status !== 0) throw new Error(`${chord} run ${model}: ${made.stderr}`);
  const { text, logits_hash } = JSON.parse(made.stdout);
  return { text, hash: logits_hash };
}

// ---- a site, and a browser ----

const INDEX = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tests</title><link rel="icon" href="data:,"></head><body><input type="file" id="file" multiple>
<script type="module">window.wc = await import("./ours/index.js"); window.ready = true;</script></body></html>`;

/** A folder with the package in ours/, and these files: bytes, or paths they are links to. */
export function makeSite(files = {}) {
  const folder = mkdtempSync(join(tmpdir(), "chord-web-"));
  endings.push(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(DIST, join(folder, "ours"));
  const all = { "index.html": INDEX, "tiny.gguf": TINY, "chat.gguf": tinyChat(), "large.gguf": tinyLarge(24), ...files };
  for (const [name, content] of Object.entries(all)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    if (typeof content === "string" && content.startsWith("/")) symlinkSync(content, join(folder, name));
    else writeFileSync(join(folder, name), content);
  }
  return folder;
}

export async function serve(folder, ...more) {
  const server = spawn("python3", [join(ROOT, "tests/web/serve.py"), folder, ...more], { stdio: ["pipe", "pipe", "inherit"] });
  const end = () => new Promise((resolve) => (server.exitCode !== null || server.signalCode !== null ? resolve() : (server.once("exit", resolve), server.stdin.end(), server.kill())));
  endings.push(end);
  const port = await within(20, new Promise((resolve) => server.stdout.once("data", (data) => resolve(Number(String(data))))), "starting the server");
  const url = `http://127.0.0.1:${port}`;
  return { url, end, log: async () => (await fetch(`${url}/log`)).json(), go: (path) => fetch(`${url}/go?${encodeURIComponent(path)}`) };
}

export async function browse() {
  const profile = mkdtempSync(join(tmpdir(), "chord-profile-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS, timeout: 600_000 });
  endings.push(() => rmSync(profile, { recursive: true, force: true }), () => context.close());
  context.setDefaultTimeout(600_000);
  return context;
}

/** A page with the package as window.wc. */
export async function openPage(context, url) {
  const page = await context.newPage();
  page.on("pageerror", (error) => check(false, `nothing is thrown in the page: ${error.message}`));
  await page.goto(url);
  await page.waitForFunction("window.ready === true");
  return page;
}
