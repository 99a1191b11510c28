// here.ts - where the package runs, as its workers see it: a browser, or Node and its kin.
import type { ModelFile } from "../guest/files.js";
import type { Peer } from "../rpc.js";

/** Where a file of the model lies. Can be sent to workers. */
export type FileSpec = { name: string } & (
  | { from: "storage"; path: readonly string[]; growing?: { table: SharedArrayBuffer; size: number } }
  | { from: "blob"; blob: Blob }
  | { from: "memory"; bytes: Uint8Array }
  | { from: "path"; path: string }
);

export interface Here {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Another worker with this same code. */
  startWorker(name: string): Peer;
  openFile(spec: FileSpec): Promise<ModelFile>;
  fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Memory can be shared with workers. */
  readonly isolated: boolean;
  /** Of the machine. */
  readonly cores: number;
}
