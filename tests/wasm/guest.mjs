// guest.mjs - a guest of the npm package's own host (build/web/dist/guest), with one thread and nothing around it.
import * as C from "../../build/web/dist/guest/chord_host_v1.js";
import { Guest, GuestFailure, hex } from "../../build/web/dist/guest/guest.js";
import { Host } from "../../build/web/dist/guest/host.js";
import { createMemory, GuestEnded, importedMemory, Memory } from "../../build/web/dist/guest/memory.js";
import { createThreadTable, ThreadTable } from "../../build/web/dist/guest/threads.js";
import { PathFile } from "../../build/web/dist/worker_node.js";

export { C, createThreadTable, Guest, GuestEnded, GuestFailure, hex, Host, PathFile, ThreadTable };

/** An instance of this module, given as bytes, over a memory of its own. */
export function openGuest(module, host, { memoryBytes = 0xffff0000 } = {}) {
  const limits = importedMemory(module), bytes = Math.min(memoryBytes, limits.wide ? memoryBytes : 0xffff0000);
  return new Guest(new WebAssembly.Module(module), new Memory(createMemory(limits, bytes), bytes, limits.wide), host);
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
