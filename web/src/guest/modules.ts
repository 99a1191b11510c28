// modules.ts - which of the modules this engine can run.

export type ModuleName = "wasm32" | "wasm32-simd128" | "wasm64";

/** What the package has of WebAssembly: a guest of each kind, and what runs their chat templates. */
export const MODULE_FILES = {
  "wasm32": "chord-guest-wasm32.wasm", "wasm32-simd128": "chord-guest-wasm32-simd128.wasm", "wasm64": "chord-guest-wasm64.wasm", "template": "chord-template.wasm",
} as const satisfies Record<ModuleName | "template", string>;
export type ModuleUrls = Readonly<Record<keyof typeof MODULE_FILES, string>>;

export function modulesIn(folder: string | URL, base?: string): ModuleUrls {
  const urls = Object.entries(MODULE_FILES).map(([name, file]) => [name, new URL(`${String(folder).replace(/\/?$/, "/")}${file}`, base).href]);
  return Object.fromEntries(urls) as ModuleUrls;
}

// A function with i32x4.relaxed_dot_i8x16_i7x16_add_s.
const RELAXED = "AGFzbQEAAAABBgFgAX8BfwMCAQAFAwEAAQYIAX8BQYCABAsHEgIGbWVtb3J5AgAFcHJvYmUAAAoYARYAQeQA/Q9B/wD9DyAA/RH9kwL9GwAL";

const decode = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** Of relaxed SIMD the guests use only what is exact everywhere. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(decode(RELAXED));
export const hasSimd = (): boolean => WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]));

export function hasMemory64(): boolean {
  try {
    new WebAssembly.Memory({ address: "i64", initial: 1n, maximum: 2n } as unknown as WebAssembly.MemoryDescriptor);
    return true;
  } catch {
    return false;
  }
}

/** The module for so much memory; null: the engine has no SIMD, and runs none of them. wasm64 only where 4 GiB of addresses are too few: it is
 * slower. */
export function chooseModule(memoryBytes: number): ModuleName | null {
  if (!hasSimd()) return null;
  if (memoryBytes > 0xffff0000 && hasMemory64() && hasRelaxedSimd()) return "wasm64";
  return hasRelaxedSimd() ? "wasm32" : "wasm32-simd128";
}
