// test_demo.mjs CHORD [ONLY]: the demo page: chatting, editing, stopping, what is kept; a model's text is text and nothing else; axe-core finds nothing; first
// paint under a second and no task over 50 ms while a model answers; without a network. Makes docs/demo.png anew where $PICTURE is set and SmolLM2 is there.
import { statSync } from "node:fs";
import { join } from "node:path";
import { browse, check, makeSite, openPage, realModels, require, ROOT, runTests, same, serve, tinyChat } from "./harness.mjs";

const [, only] = process.argv.slice(2), smollm2 = realModels().find(({ name }) => name === "smollm2");
const DEMO = join(ROOT, "build/web/demo");
const site = makeSite({ "demo": DEMO, ...(smollm2 && { "smollm2.gguf": smollm2.path }) });
const server = await serve(site), plain = await serve(site, "--plain");
const context = await browse();
await context.grantPermissions(["clipboard-read", "clipboard-write"]);

async function open(where = server, more = "") {
  const page = await context.newPage();
  page.on("pageerror", (error) => check(false, `nothing is thrown in the page: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && !/Failed to load resource/.test(message.text()) && check(false, `no error is logged: ${message.text()}`));
  await page.addInitScript(() => (crypto.getRandomValues = (numbers) => numbers.fill(typeof numbers[0] === "bigint" ? 7n : 7))); // the seed of each answer
  await page.goto(`${where.url}/demo/index.html${more}`);
  await until(page, "crossOriginIsolated && document.querySelector('#list') !== null");
  return page;
}
/** page.waitForFunction() is forbidden by the page's policy. */
async function until(page, expression) {
  for (const end = Date.now() + 20_000; !(await page.evaluate(expression).catch(() => false)); ) {
    if (Date.now() > end) throw new Error(`never true: ${expression}`);
    await page.waitForTimeout(50);
  }
}
async function loadModel(page, url) {
  await page.click("#choose");
  await page.fill("#source", url);
  await page.click("#load");
  await until(page, "!document.querySelector('dialog').open");
}
async function ask(page, text) {
  await page.fill("#question", text);
  await page.press("#question", "Enter");
}
/** The answer may have ended by itself. */
const stop = (page) => page.evaluate(() => document.getElementById("stop").click());
const idle = (page) => page.waitForSelector("#send:not([hidden])");
const texts = (page, role) => page.$$eval(`article.${role} > div:nth-of-type(1)`, (bodies) => bodies.map((body) => body.textContent));
async function axe(page, what) {
  await page.evaluate(require("axe-core").source.replace(/^\uFEFF/, ""));
  const { violations } = await page.evaluate(() => axe.run());
  same(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target.join(" "))]), [], `axe: ${what}`);
}

/** A figure that a slow machine may miss: asked for with $QUICK, else told. */
function quick(reached, sentence) {
  if (process.env.QUICK) check(reached, sentence);
  else console.log(`${reached ? "reached" : "missed"}: ${sentence}`);
}

await runTests({
  async chat() {
    const page = await open();
    await page.fill("#question", "x");
    await page.press("#question", "Enter");
    check((await page.textContent("#status")).includes("Choose a model"), "without a model it says so");
    await page.fill("#question", "");
    await page.click("#choose");
    await page.fill("#source", `${server.url}/chat.gguf`);
    await until(page, "document.querySelector('#plan').textContent.includes('stays in memory')");
    await page.evaluate(() => { memory.value = "6"; memory.dispatchEvent(new Event("input", { bubbles: true })); });
    await until(page, "document.querySelector('#memory-text').textContent === '64 MiB'");
    await page.fill("#source", "http://127.0.0.1:9/none.gguf?x");
    await page.click("#load");
    await until(page, "/no answer/.test(document.querySelector('#progress').textContent)");
    await page.click("#close");
    await loadModel(page, `${server.url}/chat.gguf`);
    await ask(page, "**first** question");
    await page.waitForSelector("article.assistant");
    await until(page, "document.querySelector('article.assistant > div').textContent.length > 0");
    await page.press("#question", "Escape");
    await idle(page);
    same(await texts(page, "user"), ["first question"], "what was asked, as markdown");
    check((await texts(page, "assistant"))[0].length > 0, "what came before it was stopped stays");
    await page.click("article.assistant button:has-text('Again')");
    await stop(page);
    await idle(page);
    await page.click("article.user button:has-text('Copy')");
    same(await page.evaluate(() => navigator.clipboard.readText()), "**first** question", "copied as it was written");
    await page.click("article.user button:has-text('Edit')");
    same([await page.inputValue("#question"), (await texts(page, "user")).length], ["**first** question", 0], "editing");
    await ask(page, "another question");
    await stop(page);
    await idle(page);
    await page.reload();
    await page.waitForSelector("article.user");
    same(await texts(page, "user"), ["another question"], "kept");
    await page.click("#new");
    same(await texts(page, "user"), [], "a new chat");
    await page.click("#list li button:first-child");
    same(await texts(page, "user"), ["another question"], "and back");
    await page.click("#list li button:last-child");
    same(await page.$$eval("#list li", (items) => items.length), 0, "deleted");
    await page.close();
  },
  /** A model's text is never HTML. */
  async markdown() {
    const page = await open();
    const found = await page.evaluate(async () => {
      const { Rendering } = await import("./markdown.js"), into = document.createElement("div"), rendering = new Rendering(into);
      const text = "# Title\n\nA *b* **c** `d <e>`\n\n- one\n- two\n\n3. three\n\n```js\n<script>x</script>\n\n# no title\n```\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<img src=x onerror=window.bad=1> [l](https://a.b/) [j](javascript:alert(1))\n\n---";
      for (let n = 1; n <= text.length; n++) rendering.show(text.slice(0, n)); // as it comes
      const grown = into.innerHTML;
      new Rendering(into).show(text);
      return [grown, [...into.querySelectorAll("*")].map(({ tagName }) => tagName.toLowerCase()).join(" "), window.bad, into.querySelectorAll("a").length, into.querySelector("ol").start, into.querySelector("pre").textContent];
    });
    same(found.slice(1), ["h3 p em strong code ul li li ol li pre code blockquote p table thead tr th th tbody tr td td p a hr", undefined, 1, 3, "<script>x</script>\n\n# no title"].map((x) => x ?? null), "elements");
    check(!found[0].includes("<img"), "no element of the model's own");
    await page.close();
  },
  async accessible() {
    const page = await open();
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.evaluate(() => { document.querySelector("dialog").close(); });
      await axe(page, `${scheme}, the page`);
      await page.click("#choose");
      await page.waitForTimeout(500);
      await axe(page, `${scheme}, the picker`);
      await page.keyboard.press("Escape");
    }
    await loadModel(page, `${server.url}/chat.gguf`);
    await ask(page, "# a\n\n```\ncode\n```");
    await until(page, "document.querySelector('article.assistant') !== null");
    await stop(page);
    await idle(page);
    await axe(page, "a conversation");
    await page.setViewportSize({ width: 360, height: 640 });
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "a phone's width");
    await page.click("#menu");
    same([await page.getAttribute("#menu", "aria-expanded"), await page.isVisible("#new")], ["true", true], "its menu");
    await axe(page, "a phone");
    await page.click("#theme");
    check(["dark", "light"].includes(await page.getAttribute("html", "data-theme")), "the other theme");
    await axe(page, "the other theme");
    await page.close();
  },
  async quick() {
    const page = await open();
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    quick(paint < 1000, `first paint after ${paint?.toFixed(0)} ms`);
    if (smollm2 !== undefined) {
      await page.evaluate(() => void (memory.value = "9.5"));
      await loadModel(page, `${server.url}/smollm2.gguf`);
      await page.evaluate(() => { window.long = []; new PerformanceObserver((list) => window.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" }); });
      await ask(page, "Write a list of five colours, and say of each in one sentence where it is seen.");
      await idle(page).catch(() => stop(page));
      const long = await page.evaluate(() => window.long);
      quick(long.length === 0, `tasks of over 50 ms while it answers: ${JSON.stringify(long)}`);
      check(/a second · read .* · memory/.test(await page.textContent("#statistics")), `statistics: ${await page.textContent("#statistics")}`);
      if (process.env.PICTURE) await picture(page);
    }
    await page.close();
  },
  /** A server without headers; then no server at all. */
  async offline() {
    const page = await open(plain);
    await loadModel(page, `${plain.url}/chat.gguf`);
    await until(page, "navigator.serviceWorker.controller !== null");
    await plain.end();
    await page.reload();
    await until(page, "crossOriginIsolated && document.querySelector('#choose') !== null");
    await page.click("#choose");
    await page.click("#cached li button:first-child");
    await page.click("#load");
    await until(page, "!document.querySelector('dialog').open");
    await ask(page, "still there?");
    await until(page, "document.querySelector('article.assistant > div')?.textContent.length > 0");
    await stop(page);
    await idle(page);
    check(true, "it answers without a network");
    const manifest = await page.evaluate(async () => (await fetch(document.querySelector("link[rel=manifest]").href)).json());
    check(manifest.icons.length > 0 && manifest.display === "standalone" && manifest.start_url === "./", "installable");
    await page.close();
  },
}, only);

async function picture(page) {
  await page.setViewportSize({ width: 960, height: 600 });
  await page.emulateMedia({ colorScheme: "light" });
  const path = join(ROOT, "docs/demo.png");
  await page.screenshot({ path });
  check(statSync(path).size < 120_000, `${path}: ${statSync(path).size} bytes`);
}
