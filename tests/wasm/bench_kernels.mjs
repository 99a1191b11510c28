// bench_kernels.mjs MODULE [FORMAT [COLUMNS [COLD_MIB]]]: the kernels of a bench module under Node, best of several passes. The columns are
// those of tests/quant/bench_quant.c; "act" is the preparation of one token's activations, GB/s of floats.
import { readFileSync } from "node:fs";

const [path, wanted = "all", columns = "2048", coldMib = "256"] = process.argv.slice(2);
const READ_COLD = 0, HOT = 1, COLD = 2, COLD_FILE = 3, PACK = 4, ACTIVATIONS = 5;
const module = new WebAssembly.Module(readFileSync(path));
const imports = {}; // the host's words, none of which the kernels need
let imported = null;
for (const i of WebAssembly.Module.imports(module)) {
  imports[i.module] ??= {};
  if (i.kind === "memory") imports[i.module][i.name] = imported = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
  else imports[i.module][i.name] = i.name.includes("clock") ? () => process.hrtime.bigint() : () => 0;
}
const e = new WebAssembly.Instance(module, imports).exports;
const memory = imported ?? e.memory;

function name(index, of = e.bench_name) {
  const p = Number(of(index));
  if (p === 0) return null;
  const bytes = new Uint8Array(memory.buffer, p, 32);
  return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
}

/** Bytes a second of the best of at least `passes` passes, and at least a tenth of a second. */
function rate(what, passes) {
  let best = 0;
  const end = process.hrtime.bigint() + 100_000_000n;
  for (let k = 0; k < passes || process.hrtime.bigint() < end; k++) {
    const start = process.hrtime.bigint();
    const bytes = Number(e.bench_run(what));
    best = Math.max(best, bytes / Number(process.hrtime.bigint() - start) * 1e9);
  }
  return best;
}

for (let index = 0, format; (format = name(index)) !== null; index++) {
  if (wanted !== "all" && !wanted.split(",").includes(format)) continue;
  const bytes = Number(e.bench_prepare(index, Number(columns), 4n << 20n, BigInt(coldMib) << 20n));
  if (bytes === 0) throw new Error(`${format}: memory was refused`);
  const gb = (what, tokens, passes) => { e.bench_tokens(tokens); return (rate(what, passes) / 1e9).toFixed(1).padStart(5); };
  e.bench_tokens(1);
  const weights = Number(e.bench_weights());
  const gop = (tokens) => { e.bench_tokens(tokens); return (rate(HOT, 3) / bytes * weights * tokens * 2e-9).toFixed(1).padStart(6); };
  for (let k = 0; k < 30; k++) e.bench_run(HOT); // the engine's better compiler takes over
  console.log(`${format.padEnd(5)} n=${columns} read ${gb(READ_COLD, 1, 3)} | gemv hot ${gb(HOT, 1, 20)} cold ${gb(COLD, 1, 3)} ` +
    `x4 ${gb(COLD, 4, 2)} file ${gb(COLD_FILE, 1, 2)} | gemm512 ${gop(512)} gemm32 ${gop(32)} | ` +
    `pack ${gb(PACK, 1, 5)} act ${gb(ACTIVATIONS, 1, 20)}`);
}

for (let index = 0, what; wanted === "all" && (what = name(index, e.bench_operation)) !== null; index++) {
  let best = 0;
  for (let k = 0; k < 30; k++) {
    const start = process.hrtime.bigint();
    const values = Number(e.bench_operate(index));
    best = Math.max(best, values / Number(process.hrtime.bigint() - start));
  }
  console.log(`${what.padEnd(16)} ${best.toFixed(2)} G values/s`);
}
