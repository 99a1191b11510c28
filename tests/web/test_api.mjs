// test_api.mjs CHORD [ONLY]: the package's interface in a browser (isolated, not, and made so by isolate.js), in Node 24 and in Node 20 ($NODE20); the openai
// package as its client; and types: the AI SDK's model.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { browse, check, DIST, makeSite, openPage, require, ROOT, runTests, same, serve } from "./harness.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url)), [, only] = process.argv.slice(2);
const site = makeSite({ "cases.mjs": join(HERE, "api_cases.mjs"), "made/index.html": readFileSync(join(HERE, "isolated.html")), "made/ours": DIST, "made/isolate.js": join(DIST, "isolate.js") });
const isolated = await serve(site), plain = await serve(site, "--plain");
const context = await browse();

function report({ failures, checks }, where) {
  for (const failure of failures) check(false, `${where}: ${failure}`);
  check(checks > 10, `${where}: ${checks} checks`);
}
const inPage = async (site, where) => {
  const page = await openPage(context, site.url);
  report(await page.evaluate(async (isolated) => (await import("./cases.mjs")).runCases(wc, "chat.gguf", isolated), site === isolated), where);
  await page.close();
};
function inNode(node, where) {
  const program = `import * as wc from ${JSON.stringify(join(DIST, "node.js"))}; import { runCases } from ${JSON.stringify(join(HERE, "api_cases.mjs"))};
    const found = await runCases(wc, ${JSON.stringify(join(site, "chat.gguf"))}, true); console.log(JSON.stringify(found));`;
  const made = spawnSync(node, ["--input-type=module", "-e", program], { encoding: "utf8", timeout: 1_000_000 });
  check(made.status === 0, `${where}: it ends by itself, with 0: ${made.status} ${made.stderr}`);
  if (made.status === 0) report(JSON.parse(made.stdout), where);
}

await runTests({
  isolated: () => inPage(isolated, "isolated"),
  plain: () => inPage(plain, "plain"),
  node24: async () => inNode(process.execPath, "Node 24"),
  async node20() {
    if (process.env.NODE20) inNode(process.env.NODE20, "Node 20");
  },

  /** Isolation on a server that sends no headers: the page is loaded again by a service worker. */
  async isolate_js() {
    const page = await context.newPage();
    await page.goto(`${plain.url}/made/index.html`);
    await page.waitForFunction("window.ready === true && crossOriginIsolated");
    same(await page.evaluate(async () => {
      const engine = await wc.load("../chat.gguf", { memory: "64M", threads: 2 }), { threads } = engine.info;
      engine.close();
      return threads;
    }), 2, "two threads on a plain server");
    await page.close();
  },

  /** The client that most programs use, with the engine in place of the network. */
  async openai() {
    const { OpenAI } = require("openai"), wc = await import(join(DIST, "node.js"));
    const engine = await wc.load(join(site, "chat.gguf"), { memory: "64M" });
    const client = new OpenAI({ apiKey: "none", baseURL: "http://chord/v1", fetch: engine.fetch, maxRetries: 0 });
    const asked = { model: "tiny", messages: [{ role: "user", content: "well" }], max_tokens: 5, temperature: 0 };
    const made = await client.chat.completions.create(asked);
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
    same(text, made.choices[0].message.content, "streamed and whole");
    same((await client.models.list()).data.length, 1, "models");
    const refused = await client.chat.completions.create({ ...asked, n: 3 }).catch((error) => error);
    same([refused.status, refused.code], [400, "ERR_OPTION"], "a refusal");
    engine.close();
  },

  /** A provider of the AI SDK: its types, and what it gives. */
  async ai_sdk() {
    const file = join(ROOT, "build/web/ai_sdk_types.ts");
    writeFileSync(file, readFileSync(join(HERE, "ai_sdk_types.ts")));
    const tsc = spawnSync(process.execPath, [require.resolve("typescript/bin/tsc"), "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,esnext.disposable,dom,dom.iterable,dom.asynciterable", file], { encoding: "utf8", timeout: 1_000_000 });
    check(tsc.status === 0, `the types: ${tsc.stdout}${tsc.stderr}`);
    const wc = await import(join(DIST, "node.js")), { chord } = await import(join(DIST, "ai_sdk.js"));
    const engine = await wc.load(join(site, "chat.gguf"), { memory: "64M" }), model = chord(engine);
    const options = { prompt: [{ role: "system", content: "be brief" }, { role: "user", content: [{ type: "text", text: "well" }] }], maxOutputTokens: 5, temperature: 0 };
    const made = await model.doGenerate(options), parts = [];
    for await (const part of (await model.doStream(options)).stream) parts.push(part);
    same(parts.filter(({ type }) => type === "text-delta").map(({ delta }) => delta).join(""), made.content[0].text, "streamed and whole");
    same([parts[0].type, parts.at(-1).type, parts.at(-1).finishReason.unified], ["stream-start", "finish", "length"], "beginning and end");
    const file_part = { prompt: [{ role: "user", content: [{ type: "file", data: "", mediaType: "image/png" }] }] };
    same(await model.doGenerate(file_part).catch(({ code }) => code), "ERR_OPTION", "pictures are refused");
    engine.close();
  },
}, only);
