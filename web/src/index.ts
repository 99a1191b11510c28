// index.ts - wasm-chord in a browser.
import { stored } from "./bytes/cache.js";
import { locateInBrowser, peekInBrowser } from "./bytes/locate.js";
import { loadOn, planOn, importOptions, type ImportOptions, type LoadOptions, type Plan, type Platform, type Source } from "./load.js";
import type { Engine } from "./engine.js";
import { ChordError } from "./errors.js";
import type { Peer } from "./rpc.js";
import { webPeer } from "./web_peer.js";

export * from "./types.js";
export { support, type Support } from "./support.js";
export type { CachedModel, CacheUsage } from "./bytes/cache.js";

const GIB = 2 ** 30;

function startWorker(url: string | URL | undefined): Peer {
  const options = { type: "module", name: "wasm-chord" } as const;
  return webPeer(url === undefined ? new Worker(new URL("./worker_web.js", import.meta.url), { type: "module", name: "wasm-chord" }) : new Worker(url, options));
}

const browser: Platform = {
  startWorker,
  wasmUrls: () => ({ // one by one: bundlers look for them
    "wasm32": new URL("./wasm/chord-guest-wasm32.wasm", import.meta.url).href,
    "wasm32-simd128": new URL("./wasm/chord-guest-wasm32-simd128.wasm", import.meta.url).href,
    "wasm64": new URL("./wasm/chord-guest-wasm64.wasm", import.meta.url).href,
    "template": new URL("./wasm/chord-template.wasm", import.meta.url).href,
  }),
  locate: (source, options, memoryBytes) => locateInBrowser(source, options, () => startWorker(options.workerUrl), memoryBytes / 2),
  peek: peekInBrowser,
  memoryDefault: () => Math.min(Math.max(((navigator as { deviceMemory?: number }).deviceMemory ?? 4) / 4, 0.5), 2) * GIB,
  threadsDefault: () => Math.min(navigator.hardwareConcurrency || 1, 8),
};

/** Loads a model; what is not in `memory` is paged from the browser's storage. */
export function load(source: Source, options: LoadOptions = {}): Promise<Engine> {
  return loadOn(browser, source, options);
}

/** What would be: from the first megabytes of the file, before anything is downloaded. */
export function plan(source: Source, options: LoadOptions = {}): Promise<Plan> {
  return planOn(browser, source, options);
}

/** The models in the browser's storage. */
export const cache = {
  ...stored,
  /** Brings all of a model there, without loading it: from a URL, a hub, or a file of the user's. load() of the same source then fetches nothing. */
  async import(source: Source, options: ImportOptions = {}): Promise<void> {
    const located = await locateInBrowser(source, importOptions(options), () => startWorker(options.workerUrl), 0);
    if (located.files.some(({ from }) => from !== "storage")) throw new ChordError(source instanceof Uint8Array ? "ERR_OPTION" : "ERR_STORAGE", "this source is not kept: bytes have no name, or there is no storage for this page");
    await located.done;
    located.close?.();
  },
};
