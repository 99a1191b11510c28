// test_bytes.mjs CHORD [ONLY]: the bytes of a model on their way into the browser's storage: every fault that serve.py can make, each an error with its code after which
// the page still works; what is there is never fetched twice; two tabs; no room; no network; hubs; what people do with the cache.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browse, check, DIST, makeSite, openPage, realModels, ROOT, runTests, same, serve, tinyLarge, within } from "./harness.mjs";

const [, only] = process.argv.slice(2), MIB = 2 ** 20, PART = 4 * MIB;
const tiny = readFileSync(join(ROOT, "tests/golden/tiny.gguf"));
const large = tinyLarge(24), sha256 = createHash("sha256").update(large).digest("hex");
const smollm2 = realModels().find(({ name }) => name === "smollm2");
const site = makeSite({ ...(smollm2 && { "smollm2.gguf": smollm2.path }), "cut.gguf": tiny.subarray(0, tiny.length - 5000), "dies.js": "onmessage = () => setTimeout(() => { throw new Error('it dies'); });", "bad/chord-guest-wasm32.wasm": "no module", "text.gguf": "no model at all", "empty.gguf": "" });
const server = await serve(site), other = await serve(site);
const context = await browse();
const page = await openPage(context, server.url);

/** In the page: loads, lets it answer, waits for all bytes; or the error's code. */
const attempt = async ({ url, options, wait = true }) => {
  try {
    const engine = await wc.load(url, { memory: "64M", context: 64, ...options });
    try {
      const made = await engine.completions.create({ prompt: "once", max_tokens: 4, temperature: 0, ignore_eos: true });
      if (wait) await engine.downloaded;
      return made.wasm_chord.logits_hash;
    } finally {
      engine.close();
    }
  } catch (error) {
    return [typeof error.code === "string" ? error.code : error.name, error.message, error.status];
  }
};
const tryIt = (url, options, where = page) => where.evaluate(attempt, { url, options });
const hash = await tryIt("chat.gguf");
/** When tabs and workers that were ended have let go of it. */
const clear = () => page.evaluate(async () => {
  while ((await navigator.locks.query()).held.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  for (const { url } of await wc.cache.list()) await wc.cache.delete(url);
});
const list = (where = page) => where.evaluate(async () => (await wc.cache.list()).map(({ url, size, loaded, complete, sha256 }) => ({ name: decodeURIComponent(new URL(url).pathname.split("/").pop()), size, loaded, complete, sha256 })));
/** Bytes of this file that were sent since `from` entries of the log, without the question of how long it is. */
const sent = async (name, from = 0) => (await server.log()).slice(from).filter(([path, , bytes]) => path === name && bytes > 1).map(([, first, bytes]) => [first, bytes]);
const sum = (pieces) => pieces.reduce((bytes, [, count]) => bytes + count, 0);

async function refused(url, code, options) {
  const found = await tryIt(url, options);
  check(Array.isArray(found) && found[0] === code && found[1].length > 20, `${url}: ${JSON.stringify(found)} is ${code}`);
  same(await tryIt("chat.gguf"), hash, `the page works after ${code}`);
  return found;
}

await runTests({
  async faults() {
    await refused("nothing.gguf", "ERR_HTTP");
    same((await refused("large.gguf?status=403&times=99", "ERR_HTTP"))[2], 403, "its status");
    await refused(`large.gguf?status=403&from=${PART}&times=99`, "ERR_HTTP");
    await refused(`large.gguf?change=${PART}`, "ERR_CHANGED");
    await refused("text.gguf", "ERR_MODEL");
    await refused("cut.gguf", "ERR_MODEL");
    await refused("empty.gguf", "ERR_RANGE");
    await refused("ftp://host/none.gguf", "ERR_OPTION");
    await refused("large.gguf", "ERR_HASH", { sha256: "0".repeat(64) });
    await refused(`large.gguf?norange&drop=${PART}&times=99`, "ERR_NETWORK");
    // What is tried again and again, all at once.
    const lost = [`${other.url}/large.gguf`, "http://127.0.0.1:9/none.gguf", "large.gguf?lie=4096", `large.gguf?drop=${PART}&times=99`];
    await Promise.all(lost.map((url) => refused(url, "ERR_NETWORK")));
    await clear();
  },
  /** What passes by itself. */
  async patience() {
    for (const url of ["large.gguf?status=429", `large.gguf?status=503&from=${PART}&times=2`, `large.gguf?drop=${3 * PART + 5}`, "large.gguf?norange", "large.gguf?etag=", 'large.gguf?etag=W/"weak"', `${other.url}/large.gguf?cors`])
      same(await tryIt(url, { sha256 }), hash, url);
    same((await list()).filter(({ name }) => name.startsWith("large")).map((model) => [model.complete, model.sha256 === sha256]), Array(7).fill([true, true]), "all are there, and known by their sums");
    await clear();
    await page.evaluate(() => caches.delete("wasm-chord"));
    for (const cache of ["memory", "cache-api"]) same(await tryIt(`large.gguf?${cache}`, { cache }), hash, `cache: ${cache}`);
    same(await list(), [], "nothing of these is in storage");
    for (const cache of ["memory", "cache-api"]) {
      same(await tryIt(`large.gguf?${cache}`, { cache, sha256 }), hash, `its sum, in ${cache}`);
      await page.evaluate(() => caches.delete("wasm-chord"));
      await refused(`large.gguf?${cache}`, "ERR_HASH", { cache, sha256: "0".repeat(64) });
    }
    await clear();
  },
  /** A stream that the browser forgets to answer: what it has given counts, the rest is read another way. */
  async forgotten() {
    const { BlobOrigin } = await import(join(DIST, "bytes/origin.js")), bytes = large.subarray(0, 6 * MIB), blob = new Blob([bytes]), given = 1000;
    blob.slice = (from, end) => {
      const part = Blob.prototype.slice.call(blob, from, end), whole = bytes.subarray(from, end);
      let first = true;
      const pull = (controller) => (first ? (controller.enqueue(new Uint8Array(whole.subarray(0, given))), (first = false)) : new Promise(() => {}));
      if (from < PART) part.stream = () => new ReadableStream({ type: "bytes", pull });
      return part;
    };
    const found = [];
    for await (const piece of new BlobOrigin(blob, "a file").read(10, bytes.length, new AbortController().signal)) found.push(Buffer.from(piece));
    same([found[0].length, Buffer.concat(found).equals(bytes.subarray(10))], [given, true], "all of the file, in its order");
  },
  /** A tab that is closed in the middle: the next one brings what is missing, and nothing twice. */
  async resumed() {
    await clear();
    const url = `large.gguf?hold=${3 * PART}`, from = (await server.log()).length, closing = await openPage(context, server.url);
    await closing.evaluate((url) => void wc.load(url, { memory: "64M", context: 64 }).catch(() => {}), url);
    for (; ((await list())[0]?.loaded ?? 0) < 3 * PART; ) await page.waitForTimeout(50);
    await closing.close();
    await server.go(`/${url}`);
    const kept = (await list())[0];
    check(kept !== undefined && !kept.complete && kept.loaded === 3 * PART, `a part of it is there: ${JSON.stringify(kept)}`);
    const between = (await server.log()).length;
    same(await tryIt(url, { sha256 }), hash, "loaded again");
    const again = await sent("/large.gguf", between);
    same(sum(again), large.length - kept.loaded, `only what was missing was asked for: ${JSON.stringify(again)}`);
    check(sum(await sent("/large.gguf", from)) < large.length + 4 * PART, "no more was thrown away than was on its way");
    const then = (await server.log()).length;
    same(await tryIt(url), hash, "from the cache");
    same(await sent("/large.gguf", then), [], "nothing is asked for again");
  },
  /** The answer comes before the last byte; a download that is aborted or closed can go on. */
  async while_it_comes() {
    await clear();
    const url = `large.gguf?hold=${5 * PART}`; // the rest never comes
    const early = await page.evaluate(async (url) => {
      let loaded = 0, total = 1;
      const engine = await wc.load(url, { memory: "64M", context: 64, onProgress: (at) => at.phase === "download" && ({ loaded, total } = at) });
      await engine.completions.create({ prompt: "once", max_tokens: 2 });
      const found = [loaded, total];
      engine.close();
      return [...found, await engine.downloaded.then(() => "all", ({ code }) => code)];
    }, url);
    check(early[0] < early[1], `an answer with ${early[0]} of ${early[1]} bytes`);
    same(early[2], "ERR_CLOSED", "closed before all had come");
    const aborted = await page.evaluate(async (url) => {
      const controller = new AbortController();
      const progress = ({ phase, loaded }) => phase === "download" && loaded > 0 && controller.abort();
      try {
        const engine = await wc.load(url, { memory: "64M", context: 64, signal: controller.signal, onProgress: progress });
        return await engine.downloaded.then(() => "all", ({ name }) => name);
      } catch ({ name }) {
        return name;
      }
    }, url);
    same(aborted, "AbortError", "aborted while it comes");
    if (smollm2 !== undefined) {
      const opened = await page.evaluate(async (url) => {
        let loaded = 0, total = 1;
        const engine = await wc.load(url, { memory: "200M", context: 64, onProgress: (at) => at.phase === "download" && ({ loaded, total } = at) });
        const found = loaded / total;
        engine.close();
        await engine.downloaded.catch(() => {});
        return found;
      }, `smollm2.gguf?rate=${2 * MIB}`); // slow enough for slow machines: all of it takes 47 s
      check(opened < 0.9, `a real model is open with ${(opened * 100).toFixed(0)} % of its bytes`);
    }
    same(await tryIt("large.gguf?rate=99999999"), hash, "the page works");
  },
  async two_tabs() {
    await clear();
    const second = await openPage(context, server.url), from = (await server.log()).length, url = `large.gguf?rate=${20 * MIB}`;
    same(await Promise.all([tryIt(url), tryIt(url, {}, second)]), [hash, hash], "both answer");
    same(sum(await sent("/large.gguf", from)), large.length, "one download for both");
    await second.evaluate(async (url) => (window.engine = await wc.load(url, { memory: "64M", context: 64 })), url);
    const held = await page.evaluate((url) => wc.cache.delete(new URL(url, location.href).href).catch(({ code }) => code), url);
    same(held, "ERR_STORAGE", "what a tab has open cannot be deleted");
    await second.close();
    await clear();
    same(await list(), [], "closed, it can");
  },
  async no_room() {
    await clear();
    const devtools = await context.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 10 * MIB });
    const full = await tryIt("large.gguf");
    same(Array.isArray(full) && full[0], "ERR_QUOTA", `no room: ${JSON.stringify(full)}`);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url });
    same(await tryIt("large.gguf"), hash, "room again");
  },
  /** The network is gone: what is there answers (a whole page without a network: test_demo.mjs). */
  async lost() {
    await clear();
    same(await tryIt("large.gguf"), hash, "once with a network");
    await context.route("**/*.gguf*", (route) => route.abort("internetdisconnected"));
    same([await tryIt("large.gguf"), (await tryIt("chat.gguf?new"))[0]], [hash, "ERR_NETWORK"], "what is there, and what is not");
    await context.unroute("**/*.gguf*");
  },
  async cache() {
    await clear();
    same(await tryIt("large.gguf", { sha256 }), hash, "loaded");
    same(await list(), [{ name: "large.gguf", size: large.length, loaded: large.length, complete: true, sha256 }], "in the list");
    const found = await page.evaluate(async () => {
      const [{ url }] = await wc.cache.list(), file = await wc.cache.export(url), usage = await wc.cache.usage();
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
      return [file.name, [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join(""), usage.used > file.size, usage.quota > usage.used, (await wc.support()).reasons];
    });
    same(found, ["large.gguf", sha256, true, true, []], "exported");
    await clear();
    await page.evaluate((sum) => wc.cache.import("large.gguf", { sha256: sum }), sha256);
    same(await list(), [{ name: "large.gguf", size: large.length, loaded: large.length, complete: true, sha256 }], "imported, and not loaded");
    const imported = (await server.log()).length;
    same([await tryIt("large.gguf", { sha256 }), await sent("/large.gguf", imported)], [hash, []], "then nothing is fetched");
    same(await page.evaluate(() => wc.cache.import(new File([new Uint8Array(9)], "x.gguf")).then(() => wc.cache.list()).then((all) => all.some(({ name, complete }) => name === "x.gguf" && complete))), true, "a file of the user's");
    const refused = await page.evaluate(() => Promise.all([wc.cache.import("large.gguf", { memory: "1G" }), wc.cache.import("large.gguf", { cache: "memory" }), wc.cache.import(new Uint8Array(9)), wc.cache.import("large.gguf", { sha256: "abc" })].map((made) => made.then(() => "taken", ({ code }) => code))));
    same(refused, ["ERR_OPTION", "ERR_OPTION", "ERR_OPTION", "ERR_OPTION"], "what an import has no use for");
    same(await page.evaluate(() => wc.cache.export("http://none/x").catch(({ code }) => code)), "ERR_STORAGE", "what is not there");
    same(await page.evaluate(() => wc.plan("large.gguf", { memory: "64M" }).then(({ fits }) => fits)), true, "a plan from the cache");
    await clear();
    const from = (await server.log()).length;
    same(await page.evaluate(() => wc.plan("large.gguf", { memory: "64M" }).then(({ fits }) => fits)), true, "a plan from the server");
    check(sum(await sent("/large.gguf", from)) <= 2 * MIB, "takes the header only");
  },
  async sources() {
    const slow = await page.evaluate(async () => {
      const reads = [], read = async (offset, length) => (reads.push(offset), offset > 8 << 20 ? new Uint8Array(1) : new Uint8Array(length));
      const failing = await wc.load({ name: "short", size: 20 << 20, read }, { memory: "64M" }).catch(({ code }) => code);
      const throwing = await wc.load({ name: "thrown", size: 20 << 20, read: async () => { throw new Error("no"); } }, { memory: "64M" }).catch(({ code }) => code);
      return [failing, throwing, await wc.load({}, { memory: "64M" }).catch(({ code }) => code), await wc.load([], { memory: "64M" }).catch(({ code }) => code)];
    });
    check(["ERR_READ", "ERR_MODEL"].includes(slow[0]), `a source that gives too little: ${slow[0]}`);
    same(slow.slice(1), ["ERR_READ", "ERR_OPTION", "ERR_OPTION"], "sources that are none");
  },
  /** The hub, as it answers. */
  async hub() {
    const tree = ["Q8_0", "Q4_K_M"].map((tag) => ({ type: "file", path: `model-${tag}.gguf`, lfs: { oid: tag === "Q4_K_M" ? sha256 : "0".repeat(64) } }));
    const cors = { "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Content-Range, Content-Length" };
    await context.route("https://huggingface.co/**", async (route) => {
      const url = new URL(route.request().url());
      if (route.request().method() === "OPTIONS") return route.fulfill({ headers: { ...cors, "Access-Control-Allow-Headers": "*" } });
      if (url.pathname === "/api/models/owner/repo/tree/main") return route.fulfill({ json: tree, headers: cors });
      if (url.pathname.startsWith("/api")) return route.fulfill({ status: url.pathname.includes("gated") ? 401 : 404, headers: cors, body: "" });
      const [first, last] = /(\d+)-(\d+)/.exec(route.request().headers()["range"]).slice(1).map(Number), end = Math.min(last + 1, large.length);
      await route.fulfill({ status: 206, headers: { ...cors, ETag: '"1"', "Content-Range": `bytes ${first}-${end - 1}/${large.length}` }, body: large.subarray(first, end) });
    });
    for (const name of ["hf:owner/repo", "hf:owner/repo:Q4_K_M", "hf:owner/repo/model-Q4_K_M.gguf"]) same(await tryIt(name), hash, name);
    same((await tryIt("hf:owner/repo:Q8_0"))[0], "ERR_HASH", "the hub's own sum is checked");
    for (const [name, code] of [["hf:owner/repo:Q9", "ERR_OPTION"], ["hf:owner/gated", "ERR_HTTP"], ["hf:nothing", "ERR_OPTION"], ["hf:owner/none", "ERR_HTTP"]]) same((await tryIt(name))[0], code, name);
    await context.unroute("https://huggingface.co/**");
  },
  /** A script that cannot be had; a worker whose module ends. */
  async workers() {
    const found = await within(30, page.evaluate(async () => {
      const codes = [];
      for (const options of [{ workerUrl: "/none.js" }, { workerUrl: "/dies.js" }, { wasmUrl: "/none/" }, { wasmUrl: "/bad/" }]) codes.push(await wc.load("chat.gguf", { memory: "64M", ...options }).then(() => "none", ({ code }) => code));
      return codes;
    }), "a worker that is not there");
    same(found, ["ERR_WORKER", "ERR_WORKER", "ERR_HTTP", "ERR_WORKER"], "no worker, one that dies, no module, one that is none");
    same(await tryIt("chat.gguf"), hash, "the page works");
  },
}, only);
