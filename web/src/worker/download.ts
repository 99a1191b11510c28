// download.ts - the worker that brings a model into the browser's storage.
import type { Handler } from "../rpc.js";
import type { Here } from "./here.js";

export function downloadHandlers(here: Here): Record<string, Handler> {
  void here;
  return {};
}
