// fetching.mjs MODEL [ROUNDS]: a download into the browser's storage beside curl's to a file, from one server on loopback, in turn: MB/s, and how much memory the
// browser has at most meanwhile, less what it has a second after the begin. Medians.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { tmpdir } from "node:os";
import { browse, check, makeSite, openPage, runTests, serve } from "./harness.mjs";
import { pssMiB } from "./memory.mjs";

const [model, rounds = "3"] = process.argv.slice(2), bytes = statSync(model).size;

async function inTab(url) {
  const context = await browse(), page = await openPage(context, url), seen = [];
  const watch = setInterval(() => seen.push(pssMiB("chord-profile-")), 500);
  const ms = await page.evaluate(async ([name]) => {
    const began = performance.now();
    await wc.cache.import(name);
    return performance.now() - began;
  }, [basename(model)]);
  clearInterval(watch);
  await context.close();
  return { rate: bytes / ms / 1000, grown_mib: Math.max(...seen) - seen[Math.min(2, seen.length - 1)] };
}

function byCurl(url) {
  const file = join(tmpdir(), `fetching-${process.pid}`), began = performance.now();
  const made = spawnSync("curl", ["-s", "-o", file, `${url}/${basename(model)}`]), ms = performance.now() - began;
  check(made.status === 0 && statSync(file).size === bytes, "curl");
  spawnSync("rm", [file]);
  return { rate: bytes / ms / 1000 };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
await runTests({
  fetching: async () => {
    const { url } = await serve(makeSite({ [basename(model)]: resolve(model) })), tab = [], curl = [];
    for (let i = 0; i < Number(rounds); i++) {
      tab.push(await inTab(url));
      curl.push(byCurl(url));
      console.error(JSON.stringify(tab[i]), JSON.stringify(curl[i]));
    }
    const [a, b] = [tab, curl].map((runs) => median(runs.map(({ rate }) => rate)));
    console.log(`${a.toFixed(0)} MB/s into storage, curl ${b.toFixed(0)}, ratio ${(a / b).toFixed(2)}; memory moves by ${Math.max(...tab.map((run) => run.grown_mib)).toFixed(0)} MiB`);
  },
});
