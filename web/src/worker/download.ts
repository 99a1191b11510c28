// download.ts - what a page may ask of the worker that brings models into storage.
import { download } from "../bytes/download.js";
import { AskedOrigin, BlobOrigin, HttpOrigin, type Origin } from "../bytes/origin.js";
import { lockName } from "../bytes/storage.js";
import type { Asked, Handler } from "../rpc.js";

export type OriginSpec =
  | { kind: "http"; url: string; name: string; headers: Record<string, string> }
  | { kind: "blob"; blob: Blob; name: string }
  | { kind: "asked"; name: string; size: number };

export interface DownloadArguments {
  key: string;
  origin: OriginSpec;
  sha256: string;
}
export type DownloadEvent =
  | { type: "waiting" } // another tab downloads it
  | { type: "bytes"; loaded: number; size: number }
  | { type: "start"; size: number; table: SharedArrayBuffer | null }
  | { type: "read"; number: number; offset: number; length: number };

class Downloader {
  private readonly asked = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>();
  private next = 1;

  async download({ key, origin, sha256 }: DownloadArguments, { signal, event }: Asked): Promise<void> {
    const say = (e: DownloadEvent): void => event(e);
    const run = (): Promise<void> =>
      download(this.originOf(origin, say), {
        key, sha256, signal, onBytes: (loaded, size) => say({ type: "bytes", loaded, size }), onStart: (started) => say({ type: "start", ...started }),
      });
    const free = await navigator.locks.request(lockName(key), { ifAvailable: true }, async (lock) => lock !== null && (await run(), true));
    if (free) return;
    say({ type: "waiting" });
    await navigator.locks.request(lockName(key), { signal }, run);
  }
  private originOf(spec: OriginSpec, say: (e: DownloadEvent) => void): Origin {
    if (spec.kind === "http") return new HttpOrigin(spec.url, spec.headers, spec.name);
    if (spec.kind === "blob") return new BlobOrigin(spec.blob, spec.name);
    return new AskedOrigin(spec.name, spec.size, (offset, length) =>
      new Promise((resolve, reject) => {
        const number = this.next++;
        this.asked.set(number, { resolve, reject });
        say({ type: "read", number, offset, length });
      }));
  }
  /** The page's answer to a `read`. */
  give({ number, bytes, error }: { number: number; bytes?: Uint8Array; error?: string }): void {
    const waiting = this.asked.get(number);
    this.asked.delete(number);
    if (bytes !== undefined) waiting?.resolve(bytes);
    else waiting?.reject(new Error(error ?? "the source failed"));
  }
}

export function downloadHandlers(): Record<string, Handler> {
  const downloader = new Downloader();
  return { download: (args, asked) => downloader.download(args, asked), give: (args) => downloader.give(args) };
}
