// test_page.mjs CHORD [ONLY]: the chat page of `chord serve`, on real servers: asking, stopping, editing, asking again, what is kept; settings, keys, several
// models, reasoning; what servers do wrong; axe-core finds nothing; no request goes elsewhere. Makes docs/server.png anew where $PICTURE is set and SmolLM2 is there.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ask, axe, copied, idle, newPage, picture, quick, set, stop, texts, until } from "./chat_page.mjs";
import { atEnd, browse, check, realModels, ROOT, runTests, same, within } from "./harness.mjs";

const [chord, only] = process.argv.slice(2), smollm2 = realModels().find(({ name }) => name === "smollm2");
if (!existsSync(join(dirname(chord), "chord-serve"))) console.log("skipped: this build has no server (libmicrohttpd-dev)"), process.exit(77);
const folder = mkdtempSync(join(tmpdir(), "chord-page-"));
atEnd(() => rmSync(folder, { recursive: true, force: true }));
const TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
writeFileSync(join(folder, "template"), TEMPLATE);
writeFileSync(join(folder, "keys"), "open-sesame\n");

/** A copy of a model, with the template as its first key. Spaces after it keep the tensors' alignment. */
function withTemplate(model) {
  const file = readFileSync(model), name = Buffer.from("tokenizer.chat_template"), fixed = 8 + name.length + 4 + 8, STRING = 8, HEADER = 24;
  const text = Buffer.from(TEMPLATE.padEnd(Math.ceil((fixed + TEMPLATE.length) / 32) * 32 - fixed)), key = Buffer.alloc(fixed);
  key.writeBigUInt64LE(BigInt(name.length));
  name.copy(key, 8);
  key.writeUInt32LE(STRING, 8 + name.length);
  key.writeBigUInt64LE(BigInt(text.length), 8 + name.length + 4);
  file.writeBigUInt64LE(file.readBigUInt64LE(16) + 1n, 16); // one key more
  const path = join(folder, basename(model));
  writeFileSync(path, Buffer.concat([file.subarray(0, HEADER), key, text, file.subarray(HEADER)]));
  return path;
}

/** Where it answers. */
async function start(model, ...more) {
  const server = spawn(chord, ["serve", model, "--port", "0", "--threads", "2", ...more], { stdio: ["ignore", "ignore", "pipe"] });
  atEnd(() => new Promise((resolve) => (server.exitCode !== null ? resolve() : (server.once("exit", resolve), server.kill()))));
  let said = "";
  const opened = new Promise((resolve, reject) => {
    server.stderr.on("data", (data) => {
      said += data;
      const found = /serving .* at (http:\S+?),/.exec(said);
      if (found) resolve(found[1]);
    });
    server.once("exit", () => reject(new Error(`the server ended: ${said}`)));
  });
  return within(20, opened, "starting a server");
}
const noise = [join(ROOT, "tests/golden/tiny.gguf"), "--template-file", join(folder, "template"), "--memory", "96M", "--alias", "noise"];
const place = await start(...noise), locked = await start(...noise, "--api-key-file", join(folder, "keys"));
const context = await browse();
await context.grantPermissions(["clipboard-read", "clipboard-write"]);

/** The bodies of its questions are in page.asked. Noise does not end by itself. */
async function open(where = place, settings = { seed: 7, max_tokens: 200 }) {
  const page = await newPage(context);
  page.asked = [];
  page.on("request", (request) => check(request.url().startsWith(`${where}/`), `no request goes elsewhere: ${request.url()}`));
  await page.addInitScript((wanted) => localStorage.getItem("chord:settings") ?? localStorage.setItem("chord:settings", wanted), JSON.stringify(settings));
  await page.route("**/v1/chat/completions", (route) => {
    const body = route.request().postDataJSON();
    page.asked.push(body);
    return route.continue({ postData: { ...body, ignore_eos: true } });
  });
  await page.goto(`${where}/`);
  return page;
}
const ready = (page) => until(page, "document.querySelector('#model').textContent !== ''");
const close = async (page) => (await page.evaluate(() => localStorage.clear()), await page.close());
/** What a server says to the next question. */
const once = (page, answer) => page.route("**/v1/chat/completions", answer, { times: 1 });
const events = (...chunks) => ({ status: 200, contentType: "text/event-stream", body: `: a comment\n\n${chunks.map((chunk) => `data: ${typeof chunk === "string" ? chunk : JSON.stringify(chunk)}\n\n`).join("")}` });
const delta = (more) => ({ choices: [{ index: 0, delta: more, finish_reason: null }] });
const answered = async (page, text) => (await ask(page, text), await idle(page));
const status = (page) => page.textContent("#status");

await runTests({
  async chat() {
    const page = await open();
    await ready(page);
    same(await page.textContent("#model"), "noise", "the model's name");
    await answered(page, "**first** question");
    same(await texts(page, "user"), ["first question"], "what was asked, as markdown");
    const statistics = await page.textContent("#statistics"), [first] = await texts(page, "assistant");
    check(/^200 tokens, [\d.]+ a second · question: \d+ tokens.* read .* · [\d.]+ rows a pass · waited for storage \d+ % · memory \d+ MiB of 96 MiB · seed 7$/.test(statistics), statistics);
    check(first.length > 0 && (await status(page)).startsWith("It ends at the most tokens"), `an answer, and why it ends: ${await status(page)}`);
    await page.click("article.assistant button:has-text('Again')");
    await idle(page);
    check((await page.textContent("#statistics")).endsWith("seed 8"), "it is told");
    same(page.asked.map(({ seed, messages, stream, model }) => [seed, messages, stream, model]), [7, 8].map((seed) => [seed, [{ role: "user", content: "**first** question" }], true, "noise"]), "again: the same past, another seed");
    check((await texts(page, "assistant"))[0] !== first, "and another answer");
    await page.click("article.user button:has-text('Copy')");
    await copied(page, "**first** question"); // as it was written
    await answered(page, "more");
    same(page.asked.at(-1).messages.map(({ role }) => role), ["user", "assistant", "user"], "the past goes along");
    await page.click("article.user:first-child button:has-text('Edit')");
    await page.press("#question", "Escape");
    same((await texts(page, "user")).length, 2, "editing that is left changes nothing");
    await page.click("article.user:first-child button:has-text('Edit')");
    await answered(page, "another question");
    same([await texts(page, "user"), page.asked.at(-1).messages.length], [["another question"], 1], "editing takes the place of what followed");
    await page.reload();
    await page.waitForSelector("article.assistant");
    same([await texts(page, "user"), (await texts(page, "assistant")).length], [["another question"], 1], "kept");
    await page.click("#new");
    await until(page, "document.querySelector('article') === null");
    await page.click("#list li button:first-child");
    await until(page, "document.querySelector('article.user') !== null");
    await page.click("#list li button:last-child");
    await until(page, "document.querySelector('#list li') === null && document.querySelector('article') === null");
    await close(page);
  },
  /** Whatever happened, the question can be asked again, and no answer is lost. */
  async nothing_came() {
    const page = await open();
    await ready(page);
    await once(page, () => {}); // it never answers
    await ask(page, "anybody there?");
    await until(page, "/Reading the question, [1-9]/.test(document.querySelector('#status').textContent)");
    await stop(page);
    await idle(page);
    same([await status(page), await texts(page, "assistant")], ["Stopped", []], "stopped before the first token");
    await page.click("article.user .again");
    await until(page, "document.querySelector('article.assistant > div')?.textContent.length > 0");
    await idle(page);
    const [answer] = await texts(page, "assistant");
    for (const [what, reply, sentence] of [
      ["an error", { status: 503, contentType: "application/json", body: '{"error": {"message": "no room"}}' }, "no room"], ["no JSON", { status: 502, body: "<h1>Bad gateway" }, "The server says 502"],
      ["an empty answer", events(delta({ role: "assistant", content: "" }), delta({}), "[DONE]"), "The answer is empty."], ["half an answer", events(delta({ role: "assistant", content: "" })), "The server's answer broke off."],
      ["an error in mid-stream", events({ error: { message: "a read failed" } }), "a read failed"],
    ]) {
      await once(page, (route) => route.fulfill(reply));
      await page.click("article.assistant .again");
      await idle(page);
      check((await status(page)).startsWith(sentence), `${what}: ${await status(page)}`);
      same(await texts(page, "assistant"), [answer], `${what}: the answer there was is back`);
    }
    await once(page, (route) => route.abort());
    await answered(page, "one more");
    check((await status(page)).startsWith("The server does not answer") && (await page.isVisible("article.user:last-child .again")), `no server: ${await status(page)}`);
    await answered(page, "and another");
    same(page.asked.at(-1).messages.at(-1).content, "one more\n\nand another", "two questions in turn are one");
    await close(page);
  },
  async reasoning() {
    const page = await open();
    await ready(page);
    await once(page, (route) => route.fulfill(events(delta({ reasoning_content: "First *this*," }), delta({ reasoning_content: " then that." }), delta({ content: "So **it** is." }), "[DONE]")));
    await answered(page, "why?");
    const folded = page.locator("article.assistant details");
    same([await folded.evaluate(({ open: opened }) => opened), await texts(page, "assistant")], [false, ["So it is."]], "folded apart");
    await folded.locator("summary").click();
    same(await folded.locator("div").textContent(), "First this, then that.", "and there");
    await axe(page, "reasoning");
    await once(page, (route) => route.fulfill(events(delta({ content: "<think>\nhm" }), delta({ content: "m</think>\n\nYes" }), "[DONE]")));
    await answered(page, "sure?");
    same((await texts(page, "assistant"))[1], "Yes", "between marks, where the server does not tell it apart");
    same(page.asked.length, 0, "told by the test");
    await answered(page, "then?");
    same(page.asked[0].messages[1], { role: "assistant", content: "So **it** is." }, "what was thought is not sent");
    await close(page);
  },
  /** However the bytes are cut. */
  async events() {
    const page = await open();
    const found = await page.evaluate(async () => {
      const { eventsOf, figuresOf } = await import("/page/server.js");
      const bytes = new TextEncoder().encode(`: hm\r\n\r\ndata: {"a":"ä€😀"}\r\n\r\nevent: x\ndata:{"b":1}\n\ndata: [DONE]\n\ndata: {"c":1}\n\n`), all = [];
      for (let size = 1; size <= bytes.length; size++) {
        const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)), got = [];
        for await (const event of eventsOf(new ReadableStream({ pull: (to) => (parts.length > 0 ? to.enqueue(parts.shift()) : to.close()) }))) got.push(event);
        all.push(JSON.stringify(got));
      }
      const figures = figuresOf('# HELP chord_x y\nchord_x{model="a b"} 2\nchord_x{model="c"} 3.5\nchord_xy 7\n');
      return [[...new Set(all)], figures("x"), figures("xy"), figures("none")];
    });
    same(found, [['[{"a":"ä€😀"},{"b":1}]'], 5.5, 7, 0], "events and figures");
    await close(page);
  },
  async settings() {
    const page = await open(place, {});
    await ready(page);
    await page.click("#set");
    await until(page, "document.querySelector('#temperature').placeholder === '0.7'");
    await page.fill("#top_p", "7");
    await page.click("#settings [value=save]");
    check(await page.evaluate(() => document.querySelector("#settings").open), "what cannot be is not taken");
    await page.click("#settings [value=close]");
    await set(page, { system: "Be brief.", temperature: "0", top_p: "0.5", max_tokens: "5", seed: "" });
    await page.reload();
    await ready(page);
    await answered(page, "hello");
    const { messages, seed, ...rest } = page.asked[0];
    same([messages, rest], [[{ role: "system", content: "Be brief." }, { role: "user", content: "hello" }], { temperature: 0, top_p: 0.5, max_tokens: 5, model: "noise", stream: true }], "what is set is asked for");
    check(Number.isInteger(seed) && seed >= 0, `a seed of its own: ${seed}`);
    await close(page);
  },
  async storage() {
    const page = await open();
    await page.evaluate(() => {
      for (const [name, text] of Object.entries({ a: "{", b: "5", c: '{"messages": [null]}', d: '{"messages": [{"role": "king", "content": ""}]}', e: "null" })) localStorage.setItem(`chord:conversation:${name}`, text);
      localStorage.setItem("chord:settings", '{"seed": "x", "temperature": null, "max_tokens": 5}');
      const most = (length) => { for (let n = 0; n < 200; n++) try { localStorage.setItem(`${length}-${n}`, "x".repeat(length)); } catch { return; } };
      for (const length of [100_000, 5000, 100, 1]) most(length);
    });
    await page.reload();
    await ready(page);
    same(await page.$$eval("#list li", (items) => items.length), 0, "damaged conversations are none");
    await answered(page, "hello");
    check((await texts(page, "assistant"))[0].length > 0 && (await status(page)).includes("no room to keep"), `a full storage: ${await status(page)}`);
    same([page.asked[0].max_tokens, "temperature" in page.asked[0], Number.isInteger(page.asked[0].seed)], [5, false, true], "damaged settings");
    await close(page);
  },
  async key() {
    const page = await open(locked);
    await page.waitForSelector("#settings[open]");
    check((await page.textContent("#settings-said")).includes("API key") && (await page.evaluate(() => document.activeElement.id)) === "key", "it asks for a key");
    await axe(page, "asking for a key");
    await page.fill("#key", "wrong");
    await page.press("#key", "Enter");
    await page.waitForSelector("#settings[open]");
    await until(page, "document.activeElement.id === 'key'");
    await page.fill("#key", "open-sesame");
    await page.press("#key", "Enter");
    await ready(page);
    await page.reload();
    await ready(page);
    await answered(page, "hello");
    check((await texts(page, "assistant"))[0].length > 0, "with the key it answers, also after a reload");
    await close(page);
  },
  async models() {
    const page = await open();
    await ready(page);
    await page.route("**/v1/models", (route) => route.fulfill({ status: 503, contentType: "application/json", body: '{"error": {"message": "the model is being opened"}}' }));
    await page.reload();
    await until(page, "document.querySelector('#status').textContent === 'the model is being opened'");
    await ask(page, "hello?");
    same([await texts(page, "user"), await page.inputValue("#question")], [[], "hello?"], "what is asked too early is not lost");
    await page.fill("#question", "");
    await page.unroute("**/v1/models");
    await ready(page); // it tries again
    await close(page);
    const two = await open(await start(...["tiny", "tiny_qwen3"].map((name) => withTemplate(join(ROOT, `tests/golden/${name}.gguf`))), "--memory", "150M", "--ctx", "256"));
    await two.selectOption("#model select", "tiny_qwen3");
    await axe(two, "several models");
    await two.reload();
    await two.waitForSelector("#model select");
    await answered(two, "hello");
    same([await two.inputValue("#model select"), two.asked[0].model, (await texts(two, "assistant"))[0].length > 0], ["tiny_qwen3", "tiny_qwen3", true], "the model that was chosen answers, also after a reload");
    await close(two);
  },
  /** A page without TLS that is not of this machine has neither. */
  async insecure() {
    const page = await open();
    await page.addInitScript(() => {
      delete Crypto.prototype.randomUUID;
      delete Navigator.prototype.clipboard;
    });
    await page.reload();
    await ready(page);
    await answered(page, "hello");
    await page.click("article.user button:has-text('Copy')");
    await page.focus("#question");
    await page.keyboard.press("Control+V");
    same(await page.inputValue("#question"), "hello", "copied");
    await close(page);
  },
  async accessible() {
    const page = await open();
    await ready(page);
    await answered(page, "# a\n\n```\ncode\n```");
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await axe(page, `${scheme}, a conversation`);
      await page.click("#set");
      await page.waitForTimeout(300);
      await axe(page, `${scheme}, settings`);
      await page.keyboard.press("Escape");
    }
    await page.setViewportSize({ width: 360, height: 640 });
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "a phone's width");
    await page.click("#menu");
    await axe(page, "a phone");
    const order = [];
    await page.focus(".skip");
    for (let n = 0; n < 4; n++) await page.keyboard.press("Tab"), order.push(await page.evaluate(() => document.activeElement.id));
    same(order, ["menu", "set", "theme", "new"], "keys go through the page in its order");
    await close(page);
  },
  async quick() {
    const page = await open(smollm2 ? await start(smollm2.path, "--memory", "100M", "--ctx", "1024") : place, { seed: 1 });
    await ready(page);
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    quick(paint < 1000, `first paint after ${paint?.toFixed(0)} ms`);
    if (smollm2 === undefined) return page.close();
    await page.unroute("**/v1/chat/completions");
    // It is stopped by the page alone: the model may not end before.
    await page.route("**/v1/chat/completions", (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true }) }));
    await page.evaluate(() => { window.long = []; new PerformanceObserver((list) => window.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" }); });
    await ask(page, "Write all the numbers from one to a thousand, each on a line of its own.");
    await until(page, "document.querySelector('article.assistant > div').textContent.length > 20");
    const [early] = await texts(page, "assistant");
    await until(page, "/tokens, .* a second · the first after .* s · .* rows a pass .* memory/.test(document.querySelector('#statistics').textContent)");
    await until(page, `document.querySelector('article.assistant > div').textContent.length > ${early.length}`);
    await stop(page);
    await idle(page);
    const [late] = await texts(page, "assistant");
    check(late.length > early.length && late.startsWith(early.slice(0, 10)) && (await status(page)) === "Stopped", `it grows until it is stopped, and stays: ${await status(page)}, ${JSON.stringify(late.slice(0, 40))}, ${early.length} and ${late.length}`);
    const long = await page.evaluate(() => window.long);
    quick(long.length === 0, `tasks of over 50 ms while it answers: ${JSON.stringify(long)}`);
    if (process.env.PICTURE) {
      await page.click("article.assistant .again");
      await until(page, "document.querySelector('article.assistant > div').textContent.length > 500 && document.querySelector('#statistics').textContent.includes('memory')");
      await picture(page, "server.png");
      await stop(page);
      await idle(page);
    }
    await close(page);
  },
}, only);
