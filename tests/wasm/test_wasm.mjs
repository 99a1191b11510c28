// test_wasm.mjs NATIVE FOLDER MODEL: the modules that scripts/build-wasm left in FOLDER must give the bits that the native program NATIVE
// (selftest_native) prints: kernels, and a forward pass of MODEL; and what goes wrong must end in a status and a sentence, no worse.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { C, createThreadTable, GuestEnded, GuestFailure, Host, PathFile, hex, openGuest, relaxedProducts, ThreadTable } from "./guest.mjs";

const PROMPT_TOKENS = 70, MAX_TOKENS = 24; // more than a block of 64 positions
const PROMPT = Array.from({ length: PROMPT_TOKENS }, (_, i) => (i * 7) % 250);
const CONTEXT = { context_tokens: PROMPT_TOKENS + MAX_TOKENS };
const [native, folder, modelPath, only] = process.argv.slice(2);
let failed = 0, checks = 0;

function check(condition, sentence) {
  checks++;
  if (condition) return;
  failed++;
  console.error("not true:", sentence);
}

// ---- the native bits ------------------------------------------------------------------------------------------------

function kernels(spelling, wanted) {
  const guest = openGuest(readFileSync(`${folder}/chord-selftest-${spelling}.wasm`), new Host());
  const { selftest_name, selftest_hash } = guest.exports;
  const name = (i) => Number(selftest_name(i));
  let count = 0;
  for (; name(count) !== 0; count++)
    for (const reference of [0, 1]) {
      const line = `${hex(selftest_hash(count, reference))} ${guest.memory.cstring(name(count))}`;
      check(wanted.includes(line), `${spelling}: ${line}${reference ? " (reference)" : ""} is among the native results`);
    }
  check(count === wanted.length, `${spelling}: ${count} results, natively ${wanted.length}`);
}

/** The lines `tokens ...` and `HASH logits`, as the native program prints them. */
function forward(guest, runtimeOptions = {}, modelOptions = {}) {
  const runtime = guest.runtimeOpen(runtimeOptions);
  const model = guest.modelOpen(runtime, { ...CONTEXT, ...modelOptions });
  const session = guest.sessionOpen(model);
  check(guest.sessionSync(session, PROMPT) === 0, "nothing was kept of an empty past");
  const made = guest.generate(session, { max_tokens: MAX_TOKENS, ignore_end: 1 });
  const stats = guest.sessionStats(session);
  const { plan } = guest.modelDescribe(model);
  guest.sessionClose(session), guest.modelClose(model), guest.runtimeClose(runtime);
  return { lines: [`tokens ${made.ids.join(" ")}`, `${hex(made.logits_hash)} logits`].join("\n"), stats, plan };
}

function passes(spelling, guest, wanted) {
  const all = forward(guest);
  check(all.lines === wanted, `${spelling}: ${all.lines} is not the native ${wanted}`);
  check(all.plan.streamed_bytes_per_pass === 0n, `${spelling}: all of the model stays`);
  check(all.stats.output_tokens === BigInt(MAX_TOKENS) && all.stats.prompt_tokens === BigInt(PROMPT_TOKENS), `${spelling}: its statistics count tokens`);
  check(forward(guest, {}, { chunk_tokens: 7 }).lines === wanted, `${spelling}: chunks of 7 tokens change nothing`);
  check(forward(guest, { cpu: "ref" }).lines === wanted, `${spelling}: nor do the reference kernels`);
  return all.stats.bytes_read;
}

/** A model that guesses for another: the host has its files too, and the text stays the same. */
function drafts(spelling, guest, wanted) {
  const runtime = guest.runtimeOpen();
  const draft = guest.modelOpen(runtime, { ...CONTEXT, drafts: 1, no_vocabulary: 1, share_bytes: 64 << 20 });
  const model = guest.modelOpen(runtime, { ...CONTEXT, draft }), session = guest.sessionOpen(model);
  guest.sessionSync(session, PROMPT);
  const made = guest.generate(session, { max_tokens: MAX_TOKENS, ignore_end: 1, draft_tokens: 16 }), stats = guest.sessionStats(session);
  const lines = [`tokens ${made.ids.join(" ")}`, `${hex(made.logits_hash)} logits`].join("\n");
  check(lines === wanted, `${spelling}: with a draft model ${lines} is not the native ${wanted}`);
  check(stats.accepted_tokens <= stats.drafted_tokens, `${spelling}: ${stats.accepted_tokens} of ${stats.drafted_tokens} guesses were right`);
  endAll(guest);
}

/** The least budget of a new guest, to 64 KiB: what a plan says is rounded to 1 MiB, which is more than this model. */
function leastBudget(open) {
  const fits = (budget_bytes) => {
    const guest = open();
    try {
      return guest.modelPlan(guest.runtimeOpen({ budget_bytes }), CONTEXT).fits;
    } catch (error) {
      if (error.status !== "BUDGET") throw error;
      return false;
    }
  };
  let little = 0, enough = 64 << 20;
  while (enough - little > 65536) {
    const middle = (little + enough) / 2;
    if (fits(middle)) enough = middle;
    else little = middle;
  }
  return enough + 65536;
}

/** Each budget in a guest of its own: memory that grew before counts as used. */
function littleMemory(spelling, open, wanted, bytesReadByAll) {
  const budget_bytes = leastBudget(open);
  const little = forward(open(), { budget_bytes });
  check(little.lines === wanted, `${spelling}, ${budget_bytes} bytes: ${little.lines} is not the native ${wanted}`);
  check(little.plan.streamed_bytes_per_pass > 0n && little.stats.bytes_read > bytesReadByAll, `${spelling}: with little memory weights stream`);
  refused(`${spelling}: too small a budget for the model`, "BUDGET", /MiB/, () => forward(open(), { budget_bytes: budget_bytes - 4 * 65536 }));
  refused(`${spelling}: too small a budget for anything`, "BUDGET", /MiB/, () => forward(open(), { budget_bytes: 1000 }));

  // A read that fails among the weights, in the first pass and while tokens are made.
  const whole = readFileSync(modelPath);
  for (const [when, bytes] of [["the first pass", whole.length / 2], ["a later pass", 4 * whole.length]]) {
    const guest = open(brokenFile(whole, bytes));
    refused(`${spelling}: a read that fails in ${when}`, "IO", /the cable was pulled at \d+/, () => forward(guest, { budget_bytes }));
    endAll(guest);
    guest.host.options.files = [new Bytes(whole)];
    check(forward(guest).lines === wanted, `${spelling}: after a read that failed in ${when} the guest works`);
  }
}

function text(spelling, guest) {
  const runtime = guest.runtimeOpen();
  const model = guest.modelOpen(runtime, CONTEXT);
  const info = guest.modelDescribe(model);
  check(info.architecture.length > 0 && info.vocabulary > 0 && info.context_tokens === CONTEXT.context_tokens, `${spelling}: ${info.architecture} is described`);
  const words = "Once upon a time, ein Schloß";
  const ids = guest.tokenize(model, words, C.TokenizeMode.PLAIN);
  check(guest.detokenize(model, ids).trim() === words, `${spelling}: ${JSON.stringify(guest.detokenize(model, ids))} comes back from its tokens`);
  const template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<reply>{% endif %}";
  const rendered = guest.chatRender(model, [{ role: "user", content: "x".repeat(2000) }, { role: "user", content: "ß" }], { template });
  check(rendered === `<user>${"x".repeat(2000)}<user>ß<reply>`, `${spelling}: a template was rendered as ${rendered.slice(-20)}`);

  const session = guest.sessionOpen(model);
  guest.sessionSync(session, PROMPT);
  check(guest.sessionSync(session, [...PROMPT, 5]) === PROMPT_TOKENS, `${spelling}: a prompt that begins as before is kept`);
  const whole = guest.generate(session, { max_tokens: 8, ignore_end: 1, want_logprobs: 1 });
  const stop = whole.text.slice(3, 5);
  guest.sessionReset(session);
  guest.sessionSync(session, [...PROMPT, 5]);
  const cut = guest.generate(session, { max_tokens: 8, ignore_end: 1 }, ["never seen", stop]);
  check(cut.text === whole.text.slice(0, whole.text.indexOf(stop)) && cut.stop_reason === C.StopReason.TEXT, `${spelling}: a stop string ended ${cut.text}`);
  guest.sessionReset(session);
  const logprobs = guest.sessionScore(session, PROMPT, 0);
  check(logprobs.slice(0, -1).every((p) => p < 0 && p > -100), `${spelling}: ${logprobs} are logarithms of probabilities`);
  guest.sessionClose(session), guest.modelClose(model), guest.runtimeClose(runtime);
}

// ---- what goes wrong ------------------------------------------------------------------------------------------------

/** Bytes in place of a file. */
class Bytes {
  constructor(bytes, name = "bytes") {
    Object.assign(this, { bytes, name, size: bytes.length });
  }
  read(offset, to) { to.set(this.bytes.subarray(offset, offset + to.length)); }
}

function refused(what, status, sentence, call) {
  try {
    call();
    check(false, `${what}: it was refused`);
  } catch (error) {
    const right = error instanceof GuestFailure && error.status === status && sentence.test(error.message);
    check(right, `${what}: ${error.status ?? error.stack}: ${error.message}, not ${status}: ${sentence}`);
  }
}

/** A file whose reads fail when so many bytes were read. */
function brokenFile(whole, good_bytes) {
  const file = new Bytes(whole);
  file.read = (offset, to) => {
    if ((good_bytes -= to.length) < 0) throw new Error(`the cable was pulled at ${offset}`);
    Bytes.prototype.read.call(file, offset, to);
  };
  return file;
}

function refusals(spelling, guest, host) {
  const good = host.options.files, whole = readFileSync(modelPath);
  const withFiles = (...files) => (host.options.files = files, () => forward(guest));
  refused(`${spelling}: a cut directory`, "CORRUPT", /310 bytes are left/, withFiles(new Bytes(whole.subarray(0, 1000))));
  refused(`${spelling}: cut data`, "CORRUPT", /\d+ bytes/, withFiles(new Bytes(whole.subarray(0, whole.length - 1000))));
  refused(`${spelling}: no GGUF`, "CORRUPT", /GGUF/, withFiles(new Bytes(Buffer.alloc(4096, "not a model "))));
  refused(`${spelling}: an empty file`, "IO", /does not know its size/, withFiles(new Bytes(whole.subarray(0, 0))));
  refused(`${spelling}: no model`, "IO", /no model/, withFiles());

  refused(`${spelling}: a read that fails at once`, "IO", /the cable was pulled at 0/, withFiles(brokenFile(whole, 0)));
  host.options.files = good;

  refused(`${spelling}: unknown kernels`, "INVALID", /'fast'/, () => guest.runtimeOpen({ cpu: "fast" }));
  endAll(guest);
  for (const handle of [0, 1, 32, 33, 0xffffffff]) {
    refused(`${spelling}: handle ${handle}`, "INVALID", /handle/, () => guest.sessionOpen(handle));
    refused(`${spelling}: handle ${handle}`, "INVALID", /handle/, () => guest.sessionSync(handle, PROMPT));
    refused(`${spelling}: handle ${handle}`, "INVALID", /handle/, () => guest.generateNext(handle));
    guest.sessionClose(handle), guest.modelClose(handle), guest.runtimeClose(handle), guest.sessionReset(handle);
    check(guest.modelDescribe(handle).vocabulary === 0 && guest.sessionStats(handle).passes === 0n, `${spelling}: nothing is told of handle ${handle}`);
  }

  const runtime = guest.runtimeOpen();
  refused(`${spelling}: a runtime as a session`, "INVALID", /handle/, () => guest.sessionSync(runtime, PROMPT));
  const model = guest.modelOpen(runtime, CONTEXT), session = guest.sessionOpen(model);
  refused(`${spelling}: a token that is none`, "INVALID", /999999/, () => guest.sessionSync(session, [1, 999999]));
  refused(`${spelling}: too long a prompt`, "FULL", /94/, () => guest.sessionSync(session, [...PROMPT, ...PROMPT]));
  refused(`${spelling}: too many stop strings`, "INVALID", /stop strings/, () => guest.generateStart(session, {}, Array(40).fill("a")));
  guest.sessionSync(session, PROMPT);
  guest.cancel(session);
  refused(`${spelling}: cancelled`, "CANCELLED", /cancel/, () => guest.generate(session, { max_tokens: 4 }));
  check(guest.generate(session, { max_tokens: 4, ignore_end: 1 }).ids.length === 4, `${spelling}: after a cancelled call the next one works`);
  endAll(guest);
}

/** A host that wants the guest to end says so when progress is told, at most every 100 ms: reads of weights take as long here. */
function cancelledByHost(spelling, guest, host) {
  const { files } = host.options, started = Date.now();
  const slow = new Bytes(readFileSync(modelPath));
  slow.read = (offset, to) => {
    if (offset > slow.size / 2) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    Bytes.prototype.read.call(slow, offset, to);
  };
  host.options.files = [slow];
  let told = 0;
  host.options.onProgress = (progress) => { told += progress.total > 0n ? 1 : 0; };
  host.options.isCancelled = () => told > 0;
  refused(`${spelling}: the host wants it to end`, "CANCELLED", /cancel/, () => forward(guest));
  check(told > 0, `${spelling}: progress was told within ${Date.now() - started} ms`);
  Object.assign(host.options, { files, onProgress: undefined, isCancelled: undefined });
  endAll(guest);
}

/** Who waits for a thread that ended in an error is not left waiting. */
function deadThread(spelling, guest) {
  const threads = new ThreadTable(createThreadTable(), 2), imports = new Host({ threads }).imports(guest.memory)[C.HOST_MODULE], wide = guest.memory.wide;
  const at = guest.call("guest_alloc", 8), word = wide ? BigInt(at) : at;
  check(imports.wait(word, 0, 1_000_000n) === C.Wake.TIMEOUT, `${spelling}: a wait of a millisecond ends`);
  threads.fail();
  try {
    imports.wait(word, 0, -1n);
    check(false, `${spelling}: a wait for a thread that died ended`);
  } catch (error) {
    check(error instanceof GuestEnded && /thread/.test(error.message), `${spelling}: ${error.stack}`);
  }
  guest.call("guest_free", at);
}

/** Memory that a model reserves costs nothing before it is used: what is new is zero, and need not be written. Linux tells what there is. */
function untouched(spelling, guest) {
  const options = { ...CONTEXT, sessions_max: 512 }, runtime = guest.runtimeOpen(), reserved = Number(guest.modelPlan(runtime, options).kv_bytes);
  check(reserved > 32 << 20, `${spelling}: ${reserved} bytes are reserved for sessions`);
  const before = process.memoryUsage.rss();
  guest.modelOpen(runtime, options);
  const grown = process.memoryUsage.rss() - before;
  check(grown < reserved / 2, `${spelling}: ${grown} bytes more are there, of ${reserved} that were reserved`);
  endAll(guest);
}

/** Whatever a refused call left open: sessions first, runtimes last. */
function endAll(guest) {
  for (const close of ["sessionClose", "modelClose", "runtimeClose"]) for (let handle = 1; handle <= 32; handle++) guest[close](handle);
}

// ---- which modules this Node runs -----------------------------------------------------------------------------------

function run(spelling, wanted) {
  const module = readFileSync(`${folder}/chord-guest-${spelling}.wasm`), model = new PathFile(modelPath);
  const open = (file = model) => openGuest(module, new Host({ files: [file] }), { memoryBytes: 256 << 20 });
  kernels(spelling, wanted.kernels);
  const guest = open(), { host } = guest;
  check(guest.version() === C.HOST_VERSION, `${spelling}: its version is ${guest.version()}`);
  const bytesRead = passes(spelling, guest, wanted.forward);
  littleMemory(spelling, open, wanted.forward, bytesRead);
  text(spelling, guest);
  untouched(spelling, open());
  const draft = new PathFile(modelPath);
  draft.name = `${C.DRAFT_FOLDER}x.gguf`;
  drafts(spelling, openGuest(module, new Host({ files: [model, draft] }), { memoryBytes: 256 << 20 }), wanted.forward);
  refused(`${spelling}: no draft model`, "IO", /no draft\/ among/, () => guest.modelOpen(guest.runtimeOpen(), { ...CONTEXT, drafts: 1 }));
  refusals(spelling, guest, host);
  cancelledByHost(spelling, guest, host);
  deadThread(spelling, guest);
  const linear = guest.memory.buffer.byteLength;
  check(forward(guest).lines === wanted.forward, `${spelling}: after all that the module gives the native bits again`);
  check(guest.memory.buffer.byteLength === linear, `${spelling}: and no more memory than before`);
}

const memory64 = WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 5, 4, 1, 7, 1, 1])); // shared, 64-bit, 1 to 1 pages
const NEEDS = {
  "wasm32-simd128": () => true,
  "wasm32": () => relaxedProducts() === "right",
  "wasm64": () => memory64 && relaxedProducts() === "right",
};
/** Before V8 12 relaxed SIMD is behind a flag or wrong in the baseline compiler (guest.mjs, relaxedProducts). */
const flagsOf = { missing: ["--experimental-wasm-relaxed-simd", "--no-liftoff"], wrong: ["--no-liftoff"], right: [] }[relaxedProducts()];

const made = spawnSync(native, [modelPath, PROMPT_TOKENS, MAX_TOKENS], { encoding: "utf8" });
if (made.status !== 0) throw new Error(`${native}: ${made.stderr || made.error}`);
const lines = made.stdout.trimEnd().split("\n");
const wanted = { kernels: lines.slice(0, -2), forward: lines.slice(-2).join("\n") };
for (const spelling of only !== undefined ? [only] : Object.keys(NEEDS)) {
  const before = checks;
  if (NEEDS[spelling]()) {
    run(spelling, wanted);
    console.log(`Node ${process.versions.node}: ${spelling}: ${checks - before} checks${only ? ` with ${process.execArgv.join(" ")}` : ""}`);
  } else if (only === undefined && spelling === "wasm32") {
    const again = [...flagsOf, fileURLToPath(import.meta.url), native, folder, modelPath, spelling];
    failed += spawnSync(process.execPath, again, { stdio: "inherit" }).status === 0 ? 0 : 1;
  } else {
    console.log(`Node ${process.versions.node}: ${spelling}: not tested, this engine cannot run it`);
    if (only !== undefined) failed++;
  }
}
process.exit(failed || checks === 0 ? 1 : 0);
