// plan.ts - what a budget buys, from the header of a model alone: the guest reads, and what is not there is fetched before it reads again.
import { KvType } from "../guest/chord_host_v1.js";
import { ChordError } from "../errors.js";
import { AskedOrigin, BlobOrigin, HttpOrigin, type Origin } from "../bytes/origin.js";
import type { ModelFile } from "../guest/files.js";
import type { Plan } from "../guest/guest.js";
import type { Asked } from "../rpc.js";
import type { OriginSpec } from "./download.js";
import type { FileSpec, Here } from "./here.js";
import { OpenGuest, owned, type OpenArguments } from "./open.js";

export type PlanSource = FileSpec | OriginSpec;
export type PlanArguments = Omit<OpenArguments, "files"> & { sources: readonly PlanSource[] };

const STEP_BYTES = 1 << 20;

/** A file of which pieces are there. */
class HeaderFile implements ModelFile {
  private readonly pieces: { offset: number; bytes: Uint8Array }[] = [];
  private step = STEP_BYTES;
  missing: { offset: number; length: number } | null = null;
  constructor(private readonly origin: Origin, readonly size: number) {}
  get name(): string {
    return this.origin.name;
  }
  read(offset: number, to: Uint8Array): void {
    const piece = this.pieces.find(({ offset: first, bytes }) => first <= offset && offset + to.length <= first + bytes.length);
    if (piece !== undefined) return to.set(piece.bytes.subarray(offset - piece.offset, offset - piece.offset + to.length));
    this.missing = { offset, length: to.length };
    throw new Error(`byte ${offset} is not there yet`);
  }
  async fetchMissing(signal: AbortSignal): Promise<void> {
    const { offset, length } = this.missing!, end = Math.min(this.size, offset + Math.max(length, this.step)), bytes = new Uint8Array(end - offset);
    let at = 0;
    for await (const piece of this.origin.read(offset, end, signal)) bytes.set(piece, at), (at += piece.length);
    this.pieces.push({ offset, bytes });
    this.missing = null;
    this.step *= 2;
  }
  close(): void {}
}

function originOf(spec: OriginSpec): Origin {
  if (spec.kind === "http") return new HttpOrigin(spec.url, spec.headers, spec.name);
  if (spec.kind === "blob") return new BlobOrigin(spec.blob, spec.name);
  return new AskedOrigin(spec.name, spec.size, () => Promise.reject(new ChordError("ERR_OPTION", "plan() takes no source of your own: give a Blob of its first bytes")));
}

async function open(here: Here, source: PlanSource, signal: AbortSignal): Promise<ModelFile> {
  if ("from" in source) return here.openFile(source);
  const origin = originOf(source);
  return new HeaderFile(origin, (await origin.describe(signal)).size);
}

export async function planModel(here: Here, args: PlanArguments, { signal }: Asked): Promise<Plan> {
  const files = await Promise.all(args.sources.map((source) => open(here, source, signal)));
  const opened = await OpenGuest.open(here, { ...args, threads: 1 }, [], files), { guest } = opened;
  const options = { context_tokens: args.contextTokens, sessions_max: args.sessions, kv_type: args.kvType === "q8_0" ? KvType.Q8_0 : KvType.F16 };
  const runtime = owned(() => guest.runtimeOpen({ threads: 1 }));
  try {
    for (;;)
      try {
        return owned(() => guest.modelPlan(runtime, options));
      } catch (error) {
        const lacking = files.find((file): file is HeaderFile => file instanceof HeaderFile && file.missing !== null);
        if (lacking === undefined) throw error;
        await lacking.fetchMissing(signal);
      }
  } finally {
    for (const file of files) file.close();
  }
}
