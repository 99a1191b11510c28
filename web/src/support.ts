// support.ts - what this browser has for a model, and why not more.
import { hasStorage } from "./bytes/storage.js";
import { chooseModule, hasMemory64, hasRelaxedSimd, hasSimd, type ModuleName } from "./guest/modules.js";

export interface Support {
  /** Without it nothing runs. */
  simd: boolean;
  relaxedSimd: boolean;
  /** Memory beyond 4 GiB. */
  memory64: boolean;
  /** The page is isolated, so a model may have several threads. */
  threads: boolean;
  /** The site's own file system: where models are kept, and paged from. */
  storage: boolean;
  /** About how many bytes it may hold, and holds. */
  quota: number;
  used: number;
  /** The module that load() takes by itself; null: none runs. */
  module: ModuleName | null;
  /** A sentence for each thing that is missing, and what would change it. */
  reasons: string[];
}

export async function support(): Promise<Support> {
  const storage = await hasStorage(), { quota = 0, usage = 0 } = storage ? await navigator.storage.estimate() : {};
  const found = { simd: hasSimd(), relaxedSimd: hasRelaxedSimd(), memory64: hasMemory64(), threads: globalThis.crossOriginIsolated === true, storage };
  const reasons: Record<keyof typeof found, string> = {
    simd: "no WebAssembly SIMD: no model runs; a newer browser has it (Chrome 91, Firefox 89, Safari 16.4)",
    relaxedSimd: "no relaxed SIMD: slower; Chrome 114, Firefox 145 and Safari 27.3 have it",
    memory64: "no 64-bit memory: a model in memory may take up to 4 GiB, larger ones are paged; Chrome 133, Firefox 134 and Safari 27.3 have it",
    threads: "the page is not isolated: one thread; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or use wasm-chord/isolate.js",
    storage: "no storage for this site (a private window?): models are kept in memory, and downloaded each time",
  };
  const missing = (Object.keys(reasons) as (keyof typeof found)[]).filter((name) => !found[name]);
  return { ...found, quota, used: usage, module: chooseModule(0), reasons: missing.map((name) => reasons[name]) };
}
