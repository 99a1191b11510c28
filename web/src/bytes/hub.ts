// hub.ts - models by name: hf:OWNER/REPO[:TAG], and hf:OWNER/REPO/FILE.gguf.
import { ChordError } from "../errors.js";

export const HUB_URL = "https://huggingface.co";
const TAG_DEFAULT = "Q4_K_M";

export interface RemoteFile {
  url: string;
  name: string;
  /** 64 digits, or "". */
  sha256: string;
}
interface HubEntry {
  type: string;
  path: string;
  lfs?: { oid: string };
}

const PARTS = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

async function list(hub: string, repo: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<HubEntry[]> {
  const url = `${hub}/api/models/${repo}/tree/main?recursive=true`;
  let response: Response;
  try {
    response = await fetch(url, { headers, ...(signal && { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ChordError("ERR_NETWORK", `${url}: no answer: is there a connection?`, { cause });
  }
  if (response.ok) return (await response.json()) as HubEntry[];
  const why = response.status === 401 || response.status === 403 ? ": the model may be gated or private: give `headers` with an Authorization" : ": there is no such model";
  throw new ChordError("ERR_HTTP", `${repo}: the hub answers ${response.status}${why}`, { status: response.status });
}

/** The files for this tag: one, or all parts of a split one. */
function choose(repo: string, entries: readonly HubEntry[], tag: string | undefined): HubEntry[] {
  const models = entries.filter(({ type, path }) => type === "file" && /\.gguf$/i.test(path) && !/mmproj|imatrix/i.test(path));
  if (models.length === 0) throw new ChordError("ERR_MODEL", `${repo} has no GGUF files: look for a repository whose name ends in -GGUF`);
  const exact = models.filter(({ path }) => path === tag);
  const tagged = (wanted: string): HubEntry[] => models.filter(({ path }) => new RegExp(`(^|[^a-z0-9])${wanted.replace(/\W/g, "\\$&")}([^a-z0-9]|$)`, "i").test(path));
  const fitting = tag === undefined ? [...tagged(TAG_DEFAULT), ...models] : exact.length > 0 ? exact : tagged(tag);
  const first = fitting[0];
  if (first === undefined) throw new ChordError("ERR_OPTION", `${repo} has nothing for '${tag}'; it has ${models.map(({ path }) => path).join(", ")}`);
  const split = PARTS.exec(first.path);
  if (split === null) return [first];
  return models.filter(({ path }) => PARTS.exec(path)?.[1] === split[1]).sort((a, b) => a.path.localeCompare(b.path));
}

/** The parts of the model that `hf:...` names. */
export async function resolveHub(source: string, hub: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<RemoteFile[]> {
  const match = /^hf:([^/:]+\/[^/:]+)(?:\/([^:]+)|:(.+))?$/.exec(source);
  if (match === null) throw new ChordError("ERR_OPTION", `'${source}' is no name of a model: write hf:OWNER/REPO, hf:OWNER/REPO:TAG or hf:OWNER/REPO/FILE.gguf`);
  const repo = match[1]!, files = choose(repo, await list(hub, repo, headers, signal), match[2] ?? match[3]);
  return files.map(({ path, lfs }) => ({ url: `${hub}/${repo}/resolve/main/${path.split("/").map(encodeURIComponent).join("/")}`, name: path.split("/").at(-1)!, sha256: lfs?.oid ?? "" }));
}

/** A URL, and the URLs of the other parts where its name says that there are more. */
export function resolveUrl(url: string): RemoteFile[] {
  const { pathname } = new URL(url), split = PARTS.exec(decodeURIComponent(pathname.split("/").at(-1)!));
  if (split === null) return [{ url, name: decodeURIComponent(pathname.split("/").at(-1)!) || "model.gguf", sha256: "" }];
  const count = Number(split[3]);
  if (count > 1000) throw new ChordError("ERR_OPTION", `${url}: a model of ${count} parts`);
  return Array.from({ length: count }, (_, i) => {
    const part = url.replace(/-\d{5}-of-(\d{5}\.gguf)/i, `-${String(i + 1).padStart(5, "0")}-of-$1`);
    return { url: part, name: decodeURIComponent(new URL(part).pathname.split("/").at(-1)!), sha256: "" };
  });
}
