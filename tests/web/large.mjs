// large.mjs CHORD MODEL MEMORY [TOKENS [ROUNDS]]: a model larger than a tab has memory, in Chromium from a file, and in Wasmtime with as much memory
// (`CHORD wasm run --no-rows`), in turn: tokens/s, hash, and the memory of the page's process. Medians.
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { browse, check, makeSite, openPage, ROOT, runTests, same, serve } from "./harness.mjs";
import { pssMiB } from "./memory.mjs";

const [chord, model, memory, tokens = "6", rounds = "3"] = process.argv.slice(2);
const PROMPT = "The capital of France is", GUEST = join(ROOT, "build/wasm/chord-guest-wasm32.wasm");

async function inTab(site) {
  const context = await browse(), page = await openPage(context, site.url);
  await page.setInputFiles("#file", resolve(model));
  const idle = pssMiB("chord-profile-", "renderer");
  let most = idle;
  const watch = setInterval(() => (most = Math.max(most, pssMiB("chord-profile-", "renderer"))), 250);
  const made = await page.evaluate(async ([memory, prompt, tokens]) => {
    const began = performance.now(), engine = await wc.load(document.getElementById("file").files[0], { memory, context: 256, threads: 2 }), opened = performance.now();
    const answer = await engine.completions.create({ prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, draft_max: 0 });
    engine.close();
    return { load_ms: opened - began, text: answer.choices[0].text, ...answer.wasm_chord };
  }, [memory, PROMPT, Number(tokens)]);
  clearInterval(watch);
  await context.close();
  return { hash: made.logits_hash, rate: (Number(tokens) - 1) * 1000 / made.decode_ms, load_ms: made.load_ms, renderer_mib: most, idle_mib: idle };
}

function inWasmtime() {
  const made = spawnSync(chord, ["wasm", "run", GUEST, model, "--no-rows", "--raw", "-p", PROMPT, "-n", tokens, "--ignore-eos", "--json", "--memory", memory, "-c", "256", "-t", "2", "--draft-max", "0"], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.stderr);
  const { logits_hash, stats } = JSON.parse(made.stdout);
  return { hash: logits_hash, rate: stats.decode_tokens_per_second, peak_mib: stats.peak_bytes / 2 ** 20 };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
await runTests({
  large: async () => {
    const site = await serve(makeSite()), tab = [], host = [];
    for (let i = 0; i < Number(rounds); i++) {
      tab.push(await inTab(site));
      host.push(inWasmtime());
      same(tab[i].hash, host[i].hash, "one hash");
      console.error(JSON.stringify(tab[i]), JSON.stringify(host[i]));
    }
    const [a, b] = [tab, host].map((runs) => median(runs.map(({ rate }) => rate)));
    console.log(`${memory}: ${a.toFixed(2)} tokens/s in a tab, ${b.toFixed(2)} in Wasmtime, ratio ${(a / b).toFixed(2)}; renderer ${Math.max(...tab.map((run) => run.renderer_mib)).toFixed(0)} MiB at most, ` +
      `${median(tab.map((run) => run.idle_mib)).toFixed(0)} before; load ${median(tab.map((run) => run.load_ms)).toFixed(0)} ms`);
    check(tab.length > 0, "a round");
  },
});
