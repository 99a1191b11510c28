// structs.ts - structures of the headers as objects, and back. Their layouts are in chord_host_v1.ts.
import * as C from "./chord_host_v1.js";

interface Field {
  readonly offset: number;
  readonly type: string;
  readonly count: number;
}
export interface Layout {
  readonly bytes: number;
  readonly fields: Readonly<Record<string, Field>>;
}
type Structs = typeof C.STRUCTS;
type One<Type extends string> = Type extends "text" ? string
  : Type extends "bool" ? boolean
  : Type extends "u64" ? bigint
  : Type extends keyof Structs ? Struct<Structs[Type]>
  : number;
type Value<F extends Field> = F["type"] extends "text" ? string : F["count"] extends 1 ? One<F["type"]> : One<F["type"]>[];
/** A structure as it is read: 64-bit fields are bigints. */
export type Struct<L extends Layout> = { -readonly [Name in keyof L["fields"]]: Value<L["fields"][Name]> };
type Given<V> = V extends bigint ? bigint | number : V extends boolean ? boolean | 0 | 1 : V extends object ? { [Name in keyof V]?: Given<V[Name]> } : V;
/** A structure as it is given: what is left out is zero. */
export type StructGiven<L extends Layout> = { [Name in keyof L["fields"]]?: Given<Value<L["fields"][Name]>> };

const NUMBERS: Record<string, { bytes: number; get: (view: DataView, at: number) => number | bigint; set: (view: DataView, at: number, value: number | bigint) => void }> = {
  u32: { bytes: 4, get: (v, at) => v.getUint32(at, true), set: (v, at, x) => v.setUint32(at, Number(x), true) },
  i32: { bytes: 4, get: (v, at) => v.getInt32(at, true), set: (v, at, x) => v.setInt32(at, Number(x), true) },
  f32: { bytes: 4, get: (v, at) => v.getFloat32(at, true), set: (v, at, x) => v.setFloat32(at, Number(x), true) },
  u64: { bytes: 8, get: (v, at) => v.getBigUint64(at, true), set: (v, at, x) => v.setBigUint64(at, BigInt(x), true) },
};

function layoutOf(type: string): Layout | undefined {
  return (C.STRUCTS as Record<string, Layout>)[type];
}

function readField(view: DataView, at: number, { type, count }: Field): unknown {
  if (type === "text") {
    const text = new Uint8Array(view.buffer, view.byteOffset + at, count), end = text.indexOf(0);
    return new TextDecoder().decode(text.subarray(0, end < 0 ? count : end));
  }
  if (type === "bool") return view.getUint8(at) !== 0;
  const inner = layoutOf(type);
  if (inner !== undefined) return readFields(view, at, inner);
  const number = NUMBERS[type]!;
  const values = Array.from({ length: count }, (_, i) => number.get(view, at + i * number.bytes));
  return count === 1 ? values[0] : values;
}

function readFields(view: DataView, base: number, layout: Layout): Record<string, unknown> {
  return Object.fromEntries(Object.entries(layout.fields).map(([name, field]) => [name, readField(view, base + field.offset, field)]));
}

/** The structure that these bytes, which are not shared, hold. */
export function readStruct<L extends Layout>(bytes: Uint8Array, layout: L): Struct<L> {
  return readFields(new DataView(bytes.buffer, bytes.byteOffset, layout.bytes), 0, layout) as Struct<L>;
}

function writeText(bytes: Uint8Array, name: string, text: string): void {
  const room = bytes.subarray(0, bytes.length - 1); // the last byte stays zero
  if (new TextEncoder().encodeInto(text, room).read !== text.length) throw new RangeError(`${name} takes at most ${room.length} bytes`);
}

/** The bytes of a structure. */
export function structBytes<L extends Layout>(layout: L, values: StructGiven<L>): Uint8Array {
  const bytes = new Uint8Array(layout.bytes), view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const field = layout.fields[name];
    if (field === undefined) throw new TypeError(`there is no field ${name}`);
    const { offset, type, count } = field, inner = layoutOf(type);
    if (value === undefined) continue;
    if (type === "text") writeText(bytes.subarray(offset, offset + count), name, value as string);
    else if (type === "bool") view.setUint8(offset, value ? 1 : 0);
    else if (inner !== undefined) bytes.set(structBytes(inner, value as StructGiven<Layout>), offset);
    else NUMBERS[type]!.set(view, offset, typeof value === "boolean" ? Number(value) : (value as number | bigint));
  }
  return bytes;
}
