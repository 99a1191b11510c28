// host.mjs - chord_host_v1 for one thread in Node, and chord.h over a guest's exports. Names, signatures and layouts are those of
// web/chord_host_v1.ts, which scripts/make-constants writes from the header.
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";

// The generated file is JavaScript but for its `as const`, which the oldest Node here does not strip by itself.
const constants = readFileSync(new URL("../../web/chord_host_v1.ts", import.meta.url), "utf8").replaceAll(" as const;", ";");
export const C = await import(`data:text/javascript,${encodeURIComponent(constants)}`);

const PAGE_BYTES = 65536;
const codeName = (codes, value) => Object.keys(codes).find((name) => codes[name] === value) ?? String(value);

/** What an import throws to answer a code and leave a sentence. */
export class HostFailure extends Error {
  constructor(code, sentence) {
    super(sentence);
    this.code = code;
  }
}

/** A call of the guest that gave a status: its name, and the guest's sentence. */
export class GuestFailure extends Error {
  constructor(status, sentence) {
    super(sentence || C.STATUS_TEXTS[status]);
    this.status = codeName(C.Status, status);
  }
}

// ---- memory -------------------------------------------------------------------------------------------------------

/** The limits of the memory a module imports. WebAssembly.Module.imports names it, but not its size. */
export function importedMemory(module) {
  let at = 8;
  const number = () => { // LEB128
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = module[at++];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  const skip = () => {
    const bytes = number(); // moves `at` itself
    at += bytes;
  };
  const limits = () => {
    const flags = module[at++];
    return { minimum: number(), maximum: flags & 1 ? number() : undefined, shared: (flags & 2) !== 0, wide: (flags & 4) !== 0 };
  };
  while (module[at++] !== 2) skip(); // sections up to that of imports
  number();
  for (let count = number(); count > 0; count--) {
    skip(), skip();
    const kind = module[at++];
    if (kind === 2) return limits();
    if (kind === 0) number(); // a function's type
    else if (kind === 1) at++, limits(); // a table
    else at += 2; // a global
  }
  throw new Error("the module imports no memory");
}

/** Linear memory. Growing gives it a new buffer, so that views are made when they are needed. */
export class Memory {
  constructor(limits, bytesMax) {
    const pages = Math.min(limits.maximum, Math.floor(bytesMax / PAGE_BYTES));
    if (pages < limits.minimum) throw new RangeError(`the module starts with ${limits.minimum} pages of memory, ${pages} are allowed`);
    const size = (n) => (limits.wide ? BigInt(n) : n);
    const address = limits.wide ? { address: "i64" } : {};
    this.bytesMax = pages * PAGE_BYTES;
    this.wide = limits.wide;
    this.object = new WebAssembly.Memory({ initial: size(limits.minimum), maximum: size(pages), shared: limits.shared, ...address });
  }
  get buffer() { return this.object.buffer; }
  bytes(at, length) {
    const { buffer } = this;
    if (at > buffer.byteLength || length > buffer.byteLength - at)
      throw new HostFailure(C.HostCode.RANGE, `${length} bytes at ${at} are not in memory`);
    return new Uint8Array(buffer, at, length);
  }
  /** Decoders take no shared memory: a copy. */
  text(at, length) { return new TextDecoder().decode(this.bytes(at, length).slice()); }
  cstring(at, lengthMax = 4096) {
    const bytes = this.bytes(at, Math.min(lengthMax, this.buffer.byteLength - at)).slice();
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
  }
}

const ELEMENTS = {
  u32: [4, "Uint32"], i32: [4, "Int32"], f32: [4, "Float32"], u64: [8, "BigUint64"],
};

/** A structure as an object; 64-bit fields are bigints. */
export function readStruct(memory, at, layout) {
  const view = new DataView(memory.bytes(at, layout.bytes).slice().buffer);
  const field = (base, { offset, type, count }) => {
    const where = base + offset;
    if (type === "text") {
      const text = new Uint8Array(view.buffer, where, count), end = text.indexOf(0);
      return new TextDecoder().decode(text.subarray(0, end < 0 ? count : end));
    }
    if (type === "bool") return view.getUint8(where) !== 0;
    if (type in C.STRUCTS) return struct(where, C.STRUCTS[type]);
    const [bytes, name] = ELEMENTS[type];
    const values = Array.from({ length: count }, (_, i) => view[`get${name}`](where + i * bytes, true));
    return count === 1 ? values[0] : values;
  };
  const struct = (base, of) => Object.fromEntries(Object.entries(of.fields).map(([name, f]) => [name, field(base, f)]));
  return struct(0, layout);
}

/** The bytes of a structure; fields that are not given are zero. */
export function structBytes(layout, values) {
  const bytes = new Uint8Array(layout.bytes), view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const field = layout.fields[name];
    if (field === undefined) throw new TypeError(`there is no field ${name}`);
    const { offset, type, count } = field;
    if (type === "text") {
      if (new TextEncoder().encodeInto(value, bytes.subarray(offset, offset + count - 1)).read !== value.length)
        throw new RangeError(`${name} takes at most ${count - 1} bytes`);
    } else if (type === "bool") view.setUint8(offset, value ? 1 : 0);
    else if (type in C.STRUCTS) bytes.set(structBytes(C.STRUCTS[type], value), offset);
    else view[`set${ELEMENTS[type][1]}`](offset, type === "u64" ? BigInt(value) : Number(value), true);
  }
  return bytes;
}

// ---- the host -----------------------------------------------------------------------------------------------------

/** A file of the model. `read` fills all of `to`, or throws. */
export class NodeFile {
  constructor(path) {
    this.path = path;
    this.descriptor = openSync(path, "r");
    this.size = fstatSync(this.descriptor, { bigint: true }).size;
  }
  read(offset, to) {
    for (let done = 0; done < to.length; ) {
      const got = readSync(this.descriptor, to, done, to.length - done, offset + BigInt(done));
      if (got === 0) throw new Error(`${this.path}: the file ends at ${offset + BigInt(done)}`);
      done += got;
    }
  }
  close() { closeSync(this.descriptor); }
}

/** What one guest is offered. files: those of its model, the first part first; others are found by their names. draft: those of the model
 * that guesses for it. */
export class Host {
  constructor({ files = [], draft = [], onLog, onEmit, onProgress, isCancelled } = {}) {
    Object.assign(this, { files, draft, onLog, onEmit, onProgress, isCancelled });
    this.sentence = "";
    this.counts = { reads: 0, bytesRead: 0 };
  }

  /** The object chord_host_v1 for a guest over this memory. A call that throws answers a code. */
  imports(memory) {
    const calls = this.calls(memory), object = {};
    for (const [name, { parameters, result }] of Object.entries(C.IMPORTS)) {
      const call = calls[name] ?? (() => this.fail(C.HostCode.UNSUPPORTED, `this host does not offer ${name}`));
      const bigint = result === "l" || (result === "p" && memory.wide);
      const number = (value, i) => (parameters[i] === "p" ? (memory.wide ? Number(BigInt.asUintN(64, value)) : value >>> 0) : value);
      object[name] = (...values) => {
        const answer = this.answer(() => call(...values.map(number)));
        return result === "-" ? undefined : bigint ? BigInt(answer) : answer;
      };
    }
    return object;
  }
  answer(call) {
    try {
      return call() ?? C.HostCode.OK;
    } catch (error) {
      this.sentence = error.message;
      return error instanceof HostFailure ? error.code : C.HostCode.IO;
    }
  }
  fail(code, sentence) { throw new HostFailure(code, sentence); }

  calls(memory) {
    return {
      version: () => C.HOST_VERSION,
      clock_ns: () => process.hrtime.bigint(),
      clock_unix_s: () => Math.floor(Date.now() / 1000),
      log: (level, text, length) => { this.onLog?.(level, memory.text(text, Math.min(length, 1024))); },
      error_text: (to, cap) => this.errorText(memory, to, cap),
      cancelled: () => Number(this.isCancelled?.() ?? false),
      emit: (text, length) => Number(this.onEmit?.(memory.text(text, length)) === false),
      progress: (at) => { this.onProgress?.(readStruct(memory, at, C.chord_host_progress)); },
      memory_limit: () => memory.bytesMax,
      file_open: (name, length) => this.fileOpen(memory.text(name, Math.min(length, 4096))),
      file_size: (file) => this.file(file).size,
      file_align: (file) => (this.file(file), 1),
      file_read: (file, offset, to, length) => this.fileRead(file, offset, memory.bytes(to, length)),
      file_prefetch: () => this.fail(C.HostCode.UNSUPPORTED, "this host reads nothing ahead"),
      window_skew: () => 0,
      bank_limit: () => 0,
      thread_limit: () => 1,
      wait: (at, expected, timeout_ns) => this.wait(memory, at, expected, timeout_ns),
      wake: (at, count) => Atomics.notify(new Int32Array(memory.buffer), at / 4, count >>> 0),
      rows_offered: () => 0,
    };
  }
  errorText(memory, to, cap) {
    const text = new TextEncoder().encode(this.sentence), room = Math.min(cap, text.length + 1);
    if (room > 0) {
      memory.bytes(to, room).set(text.subarray(0, room - 1));
      memory.bytes(to + room - 1, 1)[0] = 0;
    }
    return text.length;
  }
  file(handle) {
    return [...this.files, ...this.draft][handle] ?? this.fail(C.HostCode.INVALID, `file ${handle} is not open: the model has ${this.files.length}`);
  }
  fileOpen(name) {
    const ofDraft = name.startsWith(C.DRAFT_FOLDER), path = ofDraft ? name.slice(C.DRAFT_FOLDER.length) : name;
    const index = (ofDraft ? this.draft : this.files).findIndex((file) => path === "" || file.path === path);
    if (index < 0) this.fail(C.HostCode.INVALID, "the guest asked for a file that is not its model");
    return ofDraft ? this.files.length + index : index;
  }
  fileRead(handle, position, to) {
    const file = this.file(handle), offset = BigInt.asUintN(64, position);
    if (offset + BigInt(to.length) > file.size)
      this.fail(C.HostCode.RANGE, `${to.length} bytes at ${offset} wanted, the file has ${file.size}`);
    file.read(offset, to);
    this.counts.reads++;
    this.counts.bytesRead += to.length;
  }
  wait(memory, at, expected, timeout_ns) {
    const how = Atomics.wait(new Int32Array(memory.buffer), at / 4, expected, timeout_ns < 0n ? Infinity : Number(timeout_ns) / 1e6);
    return how === "ok" ? C.Wake.OK : how === "not-equal" ? C.Wake.CHANGED : C.Wake.TIMEOUT;
  }
}

// ---- the guest ----------------------------------------------------------------------------------------------------

/** A module over its own memory. Handles are numbers; options and results are the structures of the header, field by field. */
export class Guest {
  constructor(module, host, { memoryBytes = 2 ** 32 } = {}) {
    this.host = host;
    this.memory = new Memory(importedMemory(module), memoryBytes);
    const imports = { [C.HOST_MODULE]: host.imports(this.memory), env: { memory: this.memory.object } };
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(module), imports).exports;
    this.trap = null;
  }
  get wide() { return this.memory.wide; }

  call(name, ...values) {
    const { parameters, result } = C.EXPORTS[name];
    if (this.trap !== null) throw new Error(`this guest has ended: ${this.trap.message}`);
    try {
      const answer = this.exports[name](...values.map((value, i) => (this.wide && parameters[i] === "p" ? BigInt(value) : value)));
      return result === "p" ? (this.wide ? Number(BigInt.asUintN(64, answer)) : answer >>> 0) : answer;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) this.trap = error;
      throw error;
    }
  }
  /** A call whose result is a status. */
  ask(name, ...values) {
    const status = this.call(name, ...values);
    if (status !== C.Status.OK) throw new GuestFailure(status, this.error().text);
  }
  /** Memory of the guest while `use` runs: copies of bytes, or so many zero bytes. */
  lend(wanted, use) {
    const loans = [];
    try {
      for (const bytes of wanted.map((w) => (typeof w === "number" ? new Uint8Array(w) : w))) {
        const at = this.call("guest_alloc", Math.max(bytes.length, 1));
        if (at === 0) throw new GuestFailure(C.Status.NO_MEMORY, `the guest has no memory for ${bytes.length} bytes`);
        loans.push(at);
        this.memory.bytes(at, bytes.length).set(bytes);
      }
      return use(...loans);
    } finally {
      for (const at of loans) if (this.trap === null) this.call("guest_free", at);
    }
  }
  error() { return this.askStruct(C.chord_error, (at) => this.call("guest_error", at)); }
  askStruct(layout, ask) { return this.lend([layout.bytes], (at) => (ask(at), readStruct(this.memory, at, layout))); }
  pointerAt(at) {
    const view = new DataView(this.memory.buffer, at, 8);
    return this.wide ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true);
  }
  askNumber(ask) { return this.lend([8], (at) => (ask(at), this.pointerAt(at))); }
  /** (out, cap, need): as many items as there are, in bytes of their own. */
  askItems(itemBytes, capFirst, ask) {
    for (let cap = capFirst; ; ) {
      let need = 0;
      try {
        return this.lend([cap * itemBytes, 8], (out, needed) => {
          try {
            ask(out, cap, needed);
          } finally {
            need = this.pointerAt(needed);
          }
          return this.memory.bytes(out, need * itemBytes).slice();
        });
      } catch (error) {
        if (!(error instanceof GuestFailure) || error.status !== "SHORT" || need <= cap) throw error;
        cap = need;
      }
    }
  }

  version() { return this.call("guest_version"); }
  runtimeOpen(options = {}) {
    return this.lend([structBytes(C.chord_guest_runtime_options, options)], (at) => this.askNumber((out) => this.ask("guest_runtime_open", at, out)));
  }
  runtimeClose(runtime) { this.call("guest_runtime_close", runtime); }
  runtimeThreads(runtime) { return this.call("guest_runtime_threads", runtime); }
  modelPlan(runtime, options = {}) {
    return this.lend([structBytes(C.chord_guest_model_options, options)], (at) =>
      this.askStruct(C.chord_plan, (out) => this.ask("guest_model_plan", runtime, at, out)));
  }
  modelOpen(runtime, options = {}) {
    return this.lend([structBytes(C.chord_guest_model_options, options)], (at) => this.askNumber((out) => this.ask("guest_model_open", runtime, at, out)));
  }
  modelClose(model) { this.call("guest_model_close", model); }
  modelDescribe(model) { return this.askStruct(C.chord_guest_model_info, (at) => this.call("guest_model_describe", model, at)); }
  tokenize(model, text, mode = C.TokenizeMode.RAW) {
    const bytes = new TextEncoder().encode(text);
    const made = this.lend([bytes], (at) =>
      this.askItems(4, bytes.length + 8, (out, cap, need) => this.ask("guest_tokenize", model, at, bytes.length, mode, out, cap, need)));
    return [...new Int32Array(made.buffer)];
  }
  detokenize(model, tokens, special = false) {
    const made = this.lend([tokenBytes(tokens)], (at) =>
      this.askItems(1, tokens.length * 8, (out, cap, need) => this.ask("guest_detokenize", model, at, tokens.length, Number(special), out, cap, need)));
    return new TextDecoder().decode(made);
  }
  /** messages: what chord_chat_render takes as JSON. template: null for the model's own. */
  chatRender(model, messages, { template = null, openReply = true } = {}) {
    const json = new TextEncoder().encode(JSON.stringify(messages));
    const made = this.lend([json, new TextEncoder().encode(`${template ?? ""}\0`)], (at, templateAt) =>
      this.askItems(1, json.length * 2 + 256, (out, cap, need) =>
        this.ask("guest_chat_render", model, template === null ? 0 : templateAt, at, json.length, Number(openReply), out, cap, need)));
    return new TextDecoder().decode(made);
  }
  sessionOpen(model) { return this.askNumber((out) => this.ask("guest_session_open", model, out)); }
  sessionClose(session) { this.call("guest_session_close", session); }
  sessionReset(session) { this.call("guest_session_reset", session); }
  /** How many tokens were kept. */
  sessionSync(session, tokens) {
    return this.lend([tokenBytes(tokens)], (at) => this.askNumber((reused) => this.ask("guest_session_sync", session, at, tokens.length, reused)));
  }
  sessionScore(session, tokens, first = 0) {
    return this.lend([tokenBytes(tokens), tokens.length * 8], (at, out) => {
      this.ask("guest_session_score", session, at, tokens.length, first, out);
      return [...new Float64Array(this.memory.bytes(out, tokens.length * 8).slice().buffer)];
    });
  }
  sessionStats(session) { return this.askStruct(C.chord_stats, (at) => this.call("guest_session_stats", session, at)); }
  sessionStatsReset(session) { this.call("guest_session_stats_reset", session); }
  generateStart(session, options = {}, stops = []) {
    const text = new TextEncoder().encode(stops.map((stop) => `${stop}\0`).join(""));
    const bytes = structBytes(C.chord_guest_generate_options, { ...options, stops_bytes: text.length });
    this.lend([bytes, text], (at, stopsAt) => this.ask("guest_generate_start", session, at, stopsAt));
  }
  /** { token, text, logprob }, or null after the last one. */
  generateNext(session) {
    const piece = this.askStruct(C.chord_guest_piece, (at) => this.ask("guest_generate_next", session, at));
    if (piece.more === 0) return null;
    return { token: piece.token, text: this.memory.text(Number(piece.text), Number(piece.len)), logprob: piece.logprob };
  }
  generateResult(session) { return this.askStruct(C.chord_generate_result, (at) => this.call("guest_generate_result", session, at)); }
  cancel(session) { this.call("guest_cancel", session); }

  /** Text, tokens and result of a whole generation. */
  generate(session, options = {}, stops = []) {
    const tokens = [];
    let text = "";
    this.generateStart(session, options, stops);
    for (let piece; (piece = this.generateNext(session)) !== null; text += piece.text) if (piece.token >= 0) tokens.push(piece.token);
    return { ...this.generateResult(session), text, tokens };
  }
}

// (c) => lane 0 of i32x4.relaxed_dot_i8x16_i7x16_add_s(splat 100, splat 127, splat c)
const RELAXED_PROBE = "AGFzbQEAAAABBgFgAX8BfwMCAQAFAwEAAQYIAX8BQYCABAsHEgIGbWVtb3J5AgAFcHJvYmUAAAoYARYAQeQA/Q9B/wD9DyAA/RH9kwL9GwAL";

/** "missing", "right", or "wrong": V8 before 12 computes this instruction wrongly until its optimising compiler has the code (Chrome
 * 114 on, Node 20 and 21), which a first call shows. */
export function relaxedProducts() {
  const module = Buffer.from(RELAXED_PROBE, "base64");
  if (!WebAssembly.validate(module)) return "missing";
  return new WebAssembly.Instance(new WebAssembly.Module(module)).exports.probe(7) === 100 * 127 * 4 + 7 ? "right" : "wrong";
}

const tokenBytes = (tokens) => new Uint8Array(Int32Array.from(tokens).buffer);
export const hex = (value) => BigInt.asUintN(64, value).toString(16).padStart(16, "0");
