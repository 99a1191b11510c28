// test_package.mjs CHORD [ONLY]: what `npm pack` makes, installed in a fresh Vite project (built, and by its development server) and laid beside a static page: the lines of
// docs/BROWSER.md answer in each.
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { browse, check, makeSite, ROOT, runTests, same, serve, within } from "./harness.mjs";

const [, only] = process.argv.slice(2), VITE = "vite@8.3.8";
const npm = (folder, ...words) => execFileSync(process.execPath, [join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js"), ...words], { cwd: folder, encoding: "utf8", timeout: 1_000_000, env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` } });
const site = makeSite(), server = await serve(site), context = await browse();
const packed = join(site, npm(join(ROOT, "build/web"), "pack", "--silent", "--ignore-scripts", "--pack-destination", site).trim().split("\n").at(-1));

const program = (from, options) => `import { load } from "${from}";
const engine = await load("/chat.gguf", { memory: "64M", ${options} });
const stream = await engine.chat.completions.create({ messages: [{ role: "user", content: "tell me" }], max_tokens: 4, stream: true });
let text = "";
for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
document.body.append(text);
window.answered = [text.length > 0, engine.info.threads];`;
const html = (script) => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>fresh</title><body>${script}</body>`;

async function answers(url, what) {
  const page = await context.newPage();
  page.on("pageerror", (error) => check(false, `${what}: ${error.message}`));
  await page.goto(url);
  await page.waitForFunction("window.answered");
  same(await page.evaluate("window.answered[0]"), true, what);
  check((await page.evaluate("window.answered[1]")) >= 1, `${what}: threads`);
  await page.close();
}

await runTests({
  async static_page() {
    const folder = join(site, "static");
    mkdirSync(folder);
    execFileSync("tar", ["-xzf", packed, "-C", folder]);
    same(readdirSync(join(folder, "package")).sort(), ["dist", "package.json"], "what is in the package");
    const modules = join(folder, "package/dist/wasm"), names = readdirSync(modules);
    same(names.length, 4, "modules of the package");
    for (const name of names) check(statSync(join(modules, name)).size < 400_000, `${name} has ${statSync(join(modules, name)).size} bytes, less than 400 KB`);
    writeFileSync(join(folder, "index.html"), html(`<script type="module">${program("./package/dist/index.js", "")}</script>`));
    await answers(`${server.url}/static/index.html`, "unbundled");
  },
  async vite() {
    const folder = join(site, "vite");
    mkdirSync(join(folder, "public"), { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "fresh", private: true, type: "module" }));
    npm(folder, "install", "--silent", "--no-audit", "--no-fund", packed, VITE);
    cpSync(join(site, "chat.gguf"), join(folder, "public/chat.gguf"));
    writeFileSync(join(folder, "index.html"), html(`<script type="module" src="/main.js"></script>`));
    writeFileSync(join(folder, "main.js"), program("wasm-chord", ""));
    writeFileSync(join(folder, "vite.config.js"), `const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
export default { optimizeDeps: { exclude: ["wasm-chord"] }, worker: { format: "es" }, build: { target: "es2022" }, server: { headers }, preview: { headers } };`);
    const vite = join(folder, "node_modules/vite/bin/vite.js");
    execFileSync(process.execPath, [vite, "build"], { cwd: folder, timeout: 600_000, stdio: "pipe" });
    for (const [mode, what] of [["preview", "built by Vite"], ["dev", "Vite's development server"]]) {
      const serving = spawn(process.execPath, [vite, mode, "--host", "127.0.0.1", "--port", "0", "--strictPort", "false"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NO_COLOR: "1" } });
      try {
        const url = await within(30, new Promise((resolve) => { let text = ""; serving.stdout.on("data", (data) => { const found = /http:\/\/127\.0\.0\.1:\d+\//.exec((text += data)); if (found) resolve(found[0]); }); }), what);
        await answers(url, what);
      } finally {
        serving.kill();
      }
    }
  },
}, only);
