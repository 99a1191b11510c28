// test_runtimes.mjs CHORD [ONLY]: the package's interface in Node 26, Deno and Bun, and the native bits with one thread and with two. Their programs are packages of npm's
// registry; where these cannot be installed, or are not made for this machine, nothing is tested.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { check, DIST, makeSite, natively, ROOT, runTests, same } from "./harness.mjs";

const [chord, only] = process.argv.slice(2), HERE = fileURLToPath(new URL(".", import.meta.url));
const FOLDER = join(ROOT, "build/web/runtimes"), TINY = join(ROOT, "tests/golden/tiny.gguf"), PROMPT = "Once upon a time", TOKENS = 12;
const machine = { x64: ["x64", "x64", "x64-glibc"], arm64: ["aarch64", "arm64", "arm64-glibc"] }[process.arch] ?? [];
const RUNTIMES = {
  node26: { what: `node-linux-${machine[1]}@26.10.0`, program: "bin/node", words: [] },
  bun: { what: `@oven/bun-linux-${machine[0]}@1.4.4`, program: "bin/bun", words: [] },
  deno: { what: `@deno/linux-${machine[2]}@2.9.5`, program: "deno", words: ["run", "--no-prompt", "--allow-read", "--allow-sys", "--allow-env"] },
};

/** Its program; null: it cannot be had. */
function installed({ what, program }) {
  const path = join(FOLDER, "node_modules", what.slice(0, what.lastIndexOf("@")), program);
  if (existsSync(path)) return path;
  mkdirSync(FOLDER, { recursive: true });
  if (!existsSync(join(FOLDER, "package.json"))) writeFileSync(join(FOLDER, "package.json"), '{ "private": true }');
  const npm = join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js");
  const made = spawnSync(process.execPath, [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", what], { cwd: FOLDER, encoding: "utf8", timeout: 600_000 });
  return made.status === 0 && existsSync(path) ? path : null;
}

const site = makeSite(), program = join(site, "program.mjs");
writeFileSync(program, `import * as wc from ${JSON.stringify(join(DIST, "node.js"))};
import { runCases } from ${JSON.stringify(join(HERE, "api_cases.mjs"))};
const found = { made: [], cases: await runCases(wc, ${JSON.stringify(join(site, "chat.gguf"))}, true) };
for (const threads of [1, 2]) {
  const engine = await wc.load(${JSON.stringify(TINY)}, { memory: "64M", context: 64, threads });
  const made = await engine.completions.create({ prompt: ${JSON.stringify(PROMPT)}, max_tokens: ${TOKENS}, temperature: 0, ignore_eos: true });
  found.made.push({ text: made.choices[0].text, hash: made.wasm_chord.logits_hash });
  engine.close();
}
console.log(JSON.stringify(found));`);

const wanted = natively(chord, TINY, PROMPT, TOKENS);
const testOf = ([name, runtime]) => [name, async () => {
  const path = installed(runtime);
  if (path === null) return console.log(`${name}: skipped: ${runtime.what} cannot be installed here`);
  const { status, stdout, stderr } = spawnSync(path, [...runtime.words, program], { encoding: "utf8", timeout: 600_000 });
  check(status === 0, `${name}: it ends by itself, with 0: ${status} ${stderr}`);
  if (status !== 0) return;
  const { cases, made } = JSON.parse(stdout.trim().split("\n").at(-1));
  for (const failure of cases.failures) check(false, `${name}: ${failure}`);
  check(cases.checks > 10, `${name}: ${cases.checks} checks`);
  same(made, [wanted, wanted], `${name}: the native bits`);
}];
await runTests(Object.fromEntries(Object.entries(RUNTIMES).map(testOf)), only);
