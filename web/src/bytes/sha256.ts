// sha256.ts - SHA-256 (FIPS 180-4) of bytes that come piece by piece, which the browser's own digest does not take.
import { ChordError } from "../errors.js";

const K = new Int32Array(64), FIRST = new Int32Array(8);

/** The first 32 bits of the fractions of the square and cube roots of the first primes. */
function fillConstants(): void {
  const fraction = (x: number): number => ((x - Math.floor(x)) * 2 ** 32) | 0;
  for (let n = 2, count = 0; count < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n && prime; d++) prime = n % d !== 0;
    if (!prime) continue;
    if (count < 8) FIRST[count] = fraction(Math.sqrt(n));
    K[count++] = fraction(Math.cbrt(n));
  }
}
fillConstants();

const BLOCK_BYTES = 64;

export class Sha256 {
  private readonly state = FIRST.slice();
  private readonly w = new Int32Array(64);
  private readonly rest = new Uint8Array(BLOCK_BYTES);
  private restBytes = 0;
  private bytes = 0;

  update(data: Uint8Array): void {
    let at = 0;
    this.bytes += data.length;
    if (this.restBytes > 0) {
      at = Math.min(data.length, BLOCK_BYTES - this.restBytes);
      this.rest.set(data.subarray(0, at), this.restBytes);
      this.restBytes += at;
      if (this.restBytes < BLOCK_BYTES) return;
      this.block(new DataView(this.rest.buffer), 0);
    }
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (; at + BLOCK_BYTES <= data.length; at += BLOCK_BYTES) this.block(view, at);
    this.rest.set(data.subarray(at));
    this.restBytes = data.length - at;
  }
  /** As 64 hexadecimal digits. Nothing may come after it. */
  digest(): string {
    const { bytes } = this, over = bytes % BLOCK_BYTES, tail = new Uint8Array((over < 56 ? 64 : 128) - over);
    tail[0] = 0x80;
    new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(bytes) * 8n);
    this.update(tail);
    return [...this.state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  private block(view: DataView, at: number): void {
    const { w, state } = this;
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + i * 4);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!, y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!, e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g, g = f, f = e, e = (d + t1) | 0;
      d = c, c = b, b = a, a = (t1 + t2) | 0;
    }
    state[0]! += a, state[1]! += b, state[2]! += c, state[3]! += d, state[4]! += e, state[5]! += f, state[6]! += g, state[7]! += h;
  }
}

/** Throws where what was found is not what was wanted. */
export function compareSha256(name: string, found: string, wanted: string): void {
  if (found !== wanted) throw new ChordError("ERR_HASH", `${name}: its SHA-256 is ${found}, it must be ${wanted}: it is another file, or was damaged on its way. Nothing of it is kept`);
}

/** Bytes in memory, as pieces. */
export async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 4 << 20) yield bytes.subarray(at, at + (4 << 20));
}

/** Of bytes that are there already. wanted: "" for none. */
export async function checkSha256(name: string, pieces: AsyncIterable<Uint8Array>, wanted: string): Promise<void> {
  if (wanted === "") return;
  const hash = new Sha256();
  for await (const piece of pieces) hash.update(piece);
  compareSha256(name, hash.digest(), wanted);
}
