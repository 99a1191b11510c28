// plain.ts - structures of the headers as users of the package see them: camel case, and numbers instead of bigints (sizes stay below 2^53).

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Name;
type PlainValue<V> = V extends bigint ? number : V extends readonly (infer E)[] ? PlainValue<E>[] : V extends object ? Plain<V> : V;
export type Plain<S extends object> = { [Name in keyof S & string as Camel<Name>]: PlainValue<S[Name]> };

const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function plainValue(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plainValue);
  return typeof value === "object" && value !== null ? plain(value) : value;
}

export function plain<S extends object>(struct: S): Plain<S> {
  return Object.fromEntries(Object.entries(struct).map(([name, value]) => [camel(name), plainValue(value)])) as Plain<S>;
}
