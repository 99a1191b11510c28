// test_demo.mjs CHORD [ONLY]: the demo page: chatting, editing, stopping, what is kept; a model's text is text and nothing else; axe-core finds nothing; first
// paint under a second and no task over 50 ms while a model answers; without a network. Makes docs/demo.png anew where $PICTURE is set and SmolLM2 is there.
import { join } from "node:path";
import { ask, axe, copied, idle, newPage, picture, quick, set, stop, texts, until } from "./chat_page.mjs";
import { browse, check, makeSite, realModels, ROOT, runTests, same, serve } from "./harness.mjs";

const [, only] = process.argv.slice(2), smollm2 = realModels().find(({ name }) => name === "smollm2");
const DEMO = join(ROOT, "build/web/demo");
const site = makeSite({ "demo": DEMO, ...(smollm2 && { "smollm2.gguf": smollm2.path }) });
const server = await serve(site), plain = await serve(site, "--plain");
const context = await browse();
await context.grantPermissions(["clipboard-read", "clipboard-write"]);

/** Each answer has the same seed. */
async function open(where = server, settings = { seed: 7 }) {
  const page = await newPage(context);
  await page.addInitScript((wanted) => localStorage.getItem("chord:settings") ?? localStorage.setItem("chord:settings", wanted), JSON.stringify(settings));
  await page.goto(`${where.url}/demo/index.html`);
  await until(page, "crossOriginIsolated && document.querySelector('#choose') !== null");
  return page;
}
async function loadModel(page, url) {
  await page.click("#choose");
  await page.fill("#source", url);
  await page.click("#load");
  await until(page, "!document.querySelector('#picker').open");
}
/** Of the first question of the one conversation there is. */
const seedOf = (page) => page.evaluate(() => JSON.parse(Object.entries(localStorage).find(([key]) => key.startsWith("chord:conversation:"))[1]).messages[0].seed);

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
    same(await seedOf(page), 7, "the seed that is set");
    await page.click("article.assistant button:has-text('Again')");
    await stop(page);
    await idle(page);
    same([await seedOf(page), (await texts(page, "assistant")).length], [8, 1], "again: another seed, the same past");
    await page.click("article.user button:has-text('Copy')");
    await copied(page, "**first** question"); // as it was written
    await page.click("article.user button:has-text('Edit')");
    await page.press("#question", "Escape");
    same([await page.inputValue("#question"), await texts(page, "user")], ["", ["first question"]], "editing that is left changes nothing");
    await page.click("article.user button:has-text('Edit')");
    same([await page.inputValue("#question"), (await texts(page, "assistant")).length], ["**first** question", 1], "editing");
    await ask(page, "another question");
    await stop(page);
    await idle(page);
    await page.reload();
    await page.waitForSelector("article.user");
    same(await texts(page, "user"), ["another question"], "kept");
    await page.click("#new");
    same(await texts(page, "user"), [], "a new chat");
    await loadModel(page, `${server.url}/chat.gguf`);
    await set(page, { max_tokens: "3", system: "Be brief." });
    await page.evaluate(() => {
      document.getElementById("question").value = "nothing will come";
      document.getElementById("send").click();
      document.getElementById("stop").click();
    });
    await idle(page);
    same([await texts(page, "user"), await texts(page, "assistant")], [["nothing will come"], []], "stopped before the first token");
    await page.click("article.user .again");
    await until(page, "/^[1-3] tokens?.* read /.test(document.querySelector('#statistics').textContent)");
    check((await page.textContent("#status")).startsWith("It ends at the most tokens"), `asked again, to the most tokens that are set: ${await page.textContent("#status")}`);
    await page.click("#list li:first-child button:last-child");
    await page.click("#list li button:first-child");
    await until(page, "document.querySelector('article.user')?.textContent.includes('another question')");
    await page.click("#list li button:last-child");
    await until(page, "document.querySelector('#list li') === null");
    await page.close();
  },
  /** A model's text is never HTML. */
  async markdown() {
    const page = await open();
    const found = await page.evaluate(async () => {
      const { Rendering } = await import("./page/markdown.js"), into = document.createElement("div"), rendering = new Rendering(into);
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
      await page.evaluate(() => { document.querySelector("#picker").close(); });
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
      if (process.env.PICTURE) await picture(page, "demo.png");
    }
    await page.close();
  },
  /** A server without headers; then no server at all. */
  async offline() {
    const page = await open(plain);
    await loadModel(page, `${plain.url}/chat.gguf`);
    await until(page, "navigator.serviceWorker.controller !== null && document.querySelector('#progress').textContent === ''"); // all of it has come
    await plain.end();
    await page.reload();
    await until(page, "crossOriginIsolated && document.querySelector('#choose') !== null");
    await page.click("#choose");
    await page.click("#cached li button:first-child");
    await page.click("#load");
    await until(page, "!document.querySelector('#picker').open");
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
