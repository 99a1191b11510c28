// markdown.ts - the markdown that models write, as elements. No text of a model is ever read as HTML, and links lead to the web only.

type Tag = keyof HTMLElementTagNameMap;

function make(tag: Tag, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

// ---- inside a line ----

// `code`, **bold**, *italic*, [text](address)
const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|\*([^*\s](?:[^*]*[^*\s])?)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/;

function link(text: string, address: string): HTMLElement {
  const element = make("a", ...inline(text)) as HTMLAnchorElement;
  element.href = address;
  element.rel = "noopener noreferrer";
  element.target = "_blank";
  return element;
}

function inline(text: string): (Node | string)[] {
  const nodes: (Node | string)[] = [];
  for (let rest = text; rest !== ""; ) {
    const match = INLINE.exec(rest);
    if (match === null) return [...nodes, rest];
    const [whole, code, bold, italic, label, address] = match;
    nodes.push(rest.slice(0, match.index));
    if (code !== undefined) nodes.push(make("code", code));
    else if (bold !== undefined) nodes.push(make("strong", ...inline(bold)));
    else if (italic !== undefined) nodes.push(make("em", ...inline(italic)));
    else nodes.push(link(label!, address!));
    rest = rest.slice(match.index + whole.length);
  }
  return nodes;
}

// ---- blocks ----

/** Cut at empty lines, but not inside code. A block's text never changes when more comes behind the next one. */
export function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let lines: string[] = [], fenced = false;
  const end = (): void => {
    if (lines.length > 0) blocks.push(lines.join("\n"));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const fence = line.trimStart().startsWith("```");
    if (fence && !fenced) end();
    if (line.trim() === "" && !fenced) end();
    else lines.push(line);
    if (fence && fenced) end();
    if (fence) fenced = !fenced;
  }
  end();
  return blocks;
}

const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;

function list(lines: readonly string[]): HTMLElement {
  const number = ITEM.exec(lines[0]!)![1], element = make(number === undefined ? "ul" : "ol");
  if (number !== undefined) (element as HTMLOListElement).start = Number(number);
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item !== null) element.append(make("li", ...inline(item[2]!)));
    else element.lastElementChild!.append("\n", ...inline(line.trim()));
  }
  return element;
}

const cellsOf = (line: string): string[] => line.replace(/^\s*\||\|\s*$/g, "").split("|").map((cell) => cell.trim());

function table(lines: readonly string[]): HTMLElement {
  const row = (line: string, tag: "th" | "td"): HTMLElement => make("tr", ...cellsOf(line).map((cell) => make(tag, ...inline(cell))));
  return make("table", make("thead", row(lines[0]!, "th")), make("tbody", ...lines.slice(2).map((line) => row(line, "td"))));
}

function paragraph(lines: readonly string[]): HTMLElement {
  const nodes = lines.flatMap((line, i) => (i === 0 ? inline(line) : ["\n", ...inline(line)]));
  return make("p", ...nodes);
}

export function elementOf(block: string): HTMLElement {
  const lines = block.split("\n"), first = lines[0]!;
  const heading = /^(#{1,6})\s+(.*)$/.exec(first);
  if (first.trimStart().startsWith("```")) {
    const code = make("pre", make("code", lines.slice(1, lines.length > 1 && lines.at(-1)!.trim() === "```" ? -1 : undefined).join("\n")));
    code.tabIndex = 0; // it may be wider than the page
    return code;
  }
  // Inside a message, whose own heading is an h2.
  if (heading !== null) {
    const title = make(`h${Math.min(heading[1]!.length + 2, 6)}` as Tag, ...inline(heading[2]!));
    return lines.length === 1 ? title : make("div", title, elementOf(lines.slice(1).join("\n")));
  }
  if (/^\s*(?:---+|\*\*\*+)\s*$/.test(first) && lines.length === 1) return make("hr");
  if (lines.every((line) => line.startsWith(">"))) return make("blockquote", ...blocksOf(lines.map((line) => line.replace(/^>\s?/, "")).join("\n")).map(elementOf));
  if (ITEM.test(first)) return list(lines);
  if (lines.length > 1 && first.includes("|") && /^[\s|:-]+$/.test(lines[1]!)) return table(lines);
  return paragraph(lines);
}

/** A text that grows: only its last blocks are made anew. */
export class Rendering {
  private blocks: string[] = [];
  constructor(private readonly into: HTMLElement) {}
  show(text: string): void {
    const blocks = blocksOf(text);
    let same = 0;
    while (same < blocks.length && blocks[same] === this.blocks[same]) same++;
    while (this.into.childElementCount > same) this.into.lastElementChild!.remove();
    this.into.append(...blocks.slice(same).map(elementOf));
    this.blocks = blocks;
  }
}
