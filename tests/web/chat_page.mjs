// chat_page.mjs - the chat page as people use it: what the tests of the demo and of the server's page share.
import { statSync } from "node:fs";
import { join } from "node:path";
import { check, require, ROOT, same } from "./harness.mjs";

/** A page on which nothing is thrown and no error is logged. */
export async function newPage(context) {
  const page = await context.newPage();
  page.on("pageerror", (error) => check(false, `nothing is thrown in the page: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && !/Failed to load resource/.test(message.text()) && check(false, `no error is logged: ${message.text()}`));
  return page;
}
/** page.waitForFunction() is forbidden by the page's policy; this is as patient. */
export async function until(page, expression) {
  for (const end = Date.now() + 600_000; !(await page.evaluate(expression).catch(() => false)); ) {
    if (Date.now() > end) throw new Error(`never true: ${expression}; the page says: ${await page.textContent("#status")} ${await page.textContent("#statistics")}`);
    await page.waitForTimeout(50);
  }
}
export async function ask(page, text) {
  await page.fill("#question", text);
  await page.press("#question", "Enter");
}
/** The answer may have ended by itself. */
export const stop = (page) => page.evaluate(() => document.getElementById("stop").click());
export const idle = (page) => page.waitForSelector("#send:not([hidden])");
/** Writing to it takes the browser a moment. */
export const copied = (page, text) => until(page, `navigator.clipboard.readText().then((text) => text === ${JSON.stringify(text)})`);
export const texts = (page, role) => page.$$eval(`article.${role} > div:nth-of-type(1)`, (bodies) => bodies.map((body) => body.textContent));
export async function set(page, values) {
  await page.click("#set");
  for (const [id, value] of Object.entries(values)) await page.fill(`#${id}`, value);
  await page.click("#settings [value=save]");
}
export async function axe(page, what) {
  await page.evaluate(require("axe-core").source.replace(/^\uFEFF/, ""));
  const { violations } = await page.evaluate(() => axe.run());
  same(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target.join(" "))]), [], `axe: ${what}`);
}
/** A figure that a slow machine may miss: asked for with $QUICK, else told. */
export function quick(reached, sentence) {
  if (process.env.QUICK) check(reached, sentence);
  else console.log(`${reached ? "reached" : "missed"}: ${sentence}`);
}
export async function picture(page, name) {
  await page.setViewportSize({ width: 960, height: 600 });
  await page.emulateMedia({ colorScheme: "light" });
  const path = join(ROOT, "docs", name);
  await page.screenshot({ path });
  check(statSync(path).size < 120_000, `${path}: ${statSync(path).size} bytes`);
}
