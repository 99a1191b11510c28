// test_wasm.mjs NATIVE FOLDER MODEL: the modules that scripts/build-wasm left in FOLDER must give the bits that the native program
// NATIVE (selftest_native) prints: kernels, and a forward pass of MODEL through the host's reads.
import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MEMORY64_FLAG = "--experimental-wasm-memory64";
const PROMPT_TOKENS = 70, MAX_TOKENS = 24; // more than a block of 64 positions
const [native, folder, modelPath] = process.argv.slice(2);
let failed = 0;

/** A module at work. Pointers are numbers here; a wasm64 module takes and gives them as BigInt. */
class Guest {
  constructor(path, wide) {
    this.wide = wide;
    this.file = openSync(modelPath, "r");
    const env = {
      chord_clock_ns: () => process.hrtime.bigint(),
      chord_read: (offset, to, length) => this.read(offset, Number(to), Number(length)),
    };
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)), { env }).exports;
  }
  close() { closeSync(this.file); }
  modelBytes() { return BigInt(fstatSync(this.file).size); }
  read(offset, to, length) {
    const bytes = new Uint8Array(this.exports.memory.buffer, to, length);
    return readSync(this.file, bytes, 0, length, offset) === length ? 0 : 1;
  }
  text(pointer) {
    const bytes = new Uint8Array(this.exports.memory.buffer, Number(pointer));
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }
  check(status) {
    if (status !== 0) throw new Error(`status ${status}: ${this.text(this.exports.guest_error())}`);
  }
  tokens(count) { return new Int32Array(this.exports.memory.buffer, Number(this.exports.guest_tokens()), count); }
}

const hex = (value) => BigInt.asUintN(64, value).toString(16).padStart(16, "0");

function* kernelLines(guest) {
  for (let i = 0; Number(guest.exports.selftest_name(i)) !== 0; i++)
    for (const reference of [0, 1])
      yield `${hex(guest.exports.selftest_hash(i, reference))} ${guest.text(guest.exports.selftest_name(i))}`;
}

function forwardLine(guest, budget) {
  const e = guest.exports;
  guest.check(e.guest_open(guest.modelBytes(), budget, PROMPT_TOKENS + MAX_TOKENS));
  guest.tokens(PROMPT_TOKENS).set(Array.from({ length: PROMPT_TOKENS }, (_, i) => (i * 7) % 250));
  guest.check(e.guest_generate(PROMPT_TOKENS, MAX_TOKENS));
  const made = [...guest.tokens(e.guest_token_count()).slice(PROMPT_TOKENS)];
  const line = `${hex(e.guest_logits_hash())} forward pass ${made.join(" ")}`;
  e.guest_close();
  return line;
}

function expect(what, line, wanted) {
  if (wanted.includes(line)) return;
  failed++;
  console.error(`${what}: ${line}\nis not among the native results`);
}

function runModules(architecture, wanted) {
  const wide = architecture === "wasm64";
  const selftest = new Guest(`${folder}/chord-selftest-${architecture}.wasm`, wide);
  let count = 0;
  for (const line of kernelLines(selftest)) expect(architecture, line, wanted), count++;
  if (count !== 2 * (wanted.length - 1)) failed++, console.error(`${architecture}: ${count} results, not ${2 * (wanted.length - 1)}`);
  selftest.close();

  const core = new Guest(`${folder}/chord-core-${architecture}.wasm`, wide);
  expect(architecture, forwardLine(core, 0n), wanted);
  if (core.exports.guest_open(1000n, 0n, 64) === 0) failed++, console.error(`${architecture}: a cut file was opened`);
  console.log(`${architecture}: ${count} kernel results and a forward pass; a cut file says: ${core.text(core.exports.guest_error())}`);
  core.close();
}

const made = spawnSync(native, [modelPath, PROMPT_TOKENS, MAX_TOKENS], { encoding: "utf8" });
if (made.status !== 0) throw new Error(`${native}: ${made.stderr || made.error}`);
const wanted = made.stdout.trimEnd().split("\n");

// The smallest module with a 64-bit table and a 64-bit memory: older engines know the one without the other.
const memory64 = WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 4, 4, 1, 112, 4, 0, 5, 3, 1, 4, 1]));
const second = process.execArgv.includes(MEMORY64_FLAG);
if (!second) runModules("wasm32", wanted);
if (memory64) runModules("wasm64", wanted);
else if (second) console.log("wasm64: this Node cannot run it");
else failed += spawnSync(process.execPath, [MEMORY64_FLAG, fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" }).status;
process.exit(failed ? 1 : 0);
