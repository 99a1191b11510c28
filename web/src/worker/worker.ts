// worker.ts - the one module all workers run. The first message says what a worker is.
import { answer } from "../rpc.js";
import type { Here } from "./here.js";

export type Role = { role: "engine" } | { role: "thread"; start: unknown } | { role: "download" };

export function begin(here: Here): void {
  let roleKnown = false;
  const later: unknown[] = [];
  let deliver = (message: unknown): void => void later.push(message);
  const listen = (listener: (message: unknown) => void): void => {
    deliver = listener;
    later.splice(0).forEach(listener);
  };
  here.onMessage((message) => {
    if (roleKnown) return deliver(message);
    roleKnown = true;
    void take(here, message as Role, listen);
  });
}

async function take(here: Here, role: Role, listen: (listener: (message: unknown) => void) => void): Promise<void> {
  if (role.role === "thread") {
    const { runThread } = await import("./thread.js");
    await runThread(here, role.start as Parameters<typeof runThread>[1]);
  } else if (role.role === "engine") {
    const { engineHandlers } = await import("./engine.js");
    answer(here.post, listen, engineHandlers(here));
  } else {
    const { downloadHandlers } = await import("./download.js");
    answer(here.post, listen, downloadHandlers());
  }
}
