// markdown.js - the markdown that models write, as elements. No text of a model is ever read as HTML, and links lead to the web only.
import { make } from "./page.js";

// ---- inside a line ----

// `code`, **bold**, *italic*, [text](address)
const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|\*([^*\s](?:[^*]*[^*\s])?)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/;

/** @param {string} text @param {string} address */
function link(text, address) {
  const element = make("a", ...inline(text));
  element.href = address;
  element.rel = "noopener noreferrer";
  element.target = "_blank";
  return element;
}

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  for (let rest = text; rest !== ""; ) {
    const match = INLINE.exec(rest);
    if (match === null) return [...nodes, rest];
    const [whole, code, bold, italic, label = "", address = ""] = match;
    nodes.push(rest.slice(0, match.index));
    if (code !== undefined) nodes.push(make("code", code));
    else if (bold !== undefined) nodes.push(make("strong", ...inline(bold)));
    else if (italic !== undefined) nodes.push(make("em", ...inline(italic)));
    else nodes.push(link(label, address));
    rest = rest.slice(match.index + whole.length);
  }
  return nodes;
}

// ---- blocks ----

const HEADING = /^(#{1,6})\s+(.*)$/;
const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;
const BEGINS_LIST = /^\s*(?:[-*+]|1[.)])\s/; // also right below a paragraph
const DEPTH_MAX = 8; // of quotations in quotations

/** Cut at empty lines, but not inside code. A block's text never changes when more comes behind the next one. @param {string} text */
export function blocksOf(text) {
  /** @type {string[]} */
  const blocks = [];
  /** @type {string[]} */
  let lines = [];
  let fenced = false;
  const end = () => {
    if (lines.length > 0) blocks.push(lines.join("\n"));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const fence = line.trimStart().startsWith("```");
    const title = !fenced && HEADING.test(line), begins = !fenced && BEGINS_LIST.test(line) && !ITEM.test(lines[0] ?? "");
    if ((fence && !fenced) || title || begins) end();
    if (line.trim() === "" && !fenced) end();
    else lines.push(line);
    if ((fence && fenced) || title) end();
    if (fence) fenced = !fenced;
  }
  end();
  return blocks;
}

/** @param {string[]} lines */
function list(lines) {
  const number = ITEM.exec(lines[0] ?? "")?.[1], element = make(number === undefined ? "ul" : "ol");
  if (element instanceof HTMLOListElement) element.start = Number(number);
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item !== null) element.append(make("li", ...inline(item[2] ?? "")));
    else element.lastElementChild?.append("\n", ...inline(line.trim()));
  }
  return element;
}

/** @param {string} line */
const cellsOf = (line) => line.replace(/^\s*\||\|\s*$/g, "").split("|").map((cell) => cell.trim());

/** @param {string[]} lines */
function table(lines) {
  /** @param {string} line @param {"th" | "td"} tag */
  const row = (line, tag) => make("tr", ...cellsOf(line).map((cell) => make(tag, ...inline(cell))));
  return make("table", make("thead", row(lines[0] ?? "", "th")), make("tbody", ...lines.slice(2).map((line) => row(line, "td"))));
}

/** @param {string[]} lines */
function paragraph(lines) {
  const nodes = lines.flatMap((line, i) => (i === 0 ? inline(line) : ["\n", ...inline(line)]));
  return make("p", ...nodes);
}

/** @param {string[]} lines @param {number} depth */
function quotation(lines, depth) {
  const said = lines.map((line) => line.replace(/^>\s?/, "")).join("\n");
  return make("blockquote", ...blocksOf(said).map((block) => elementOf(block, depth + 1)));
}

/** @param {string[]} lines */
function listing(lines) {
  const code = make("pre", make("code", lines.slice(1, lines.length > 1 && lines.at(-1)?.trim() === "```" ? -1 : undefined).join("\n")));
  code.tabIndex = 0; // it may be wider than the page
  return code;
}

/** Inside a message, whose own heading is an h2. */
const TITLES = /** @type {const} */ (["h3", "h4", "h5", "h6"]);

/** @param {string} block @param {number} [depth] @returns {HTMLElement} */
export function elementOf(block, depth = 0) {
  const lines = block.split("\n"), first = lines[0] ?? "", heading = HEADING.exec(first);
  if (first.trimStart().startsWith("```")) return listing(lines);
  if (heading !== null) return make(TITLES[(heading[1] ?? "").length - 1] ?? "h6", ...inline(heading[2] ?? ""));
  if (/^\s*(?:---+|\*\*\*+)\s*$/.test(first) && lines.length === 1) return make("hr");
  if (depth < DEPTH_MAX && lines.every((line) => line.startsWith(">"))) return quotation(lines, depth);
  if (ITEM.test(first)) return list(lines);
  if (lines.length > 1 && first.includes("|") && /^[\s|:-]+$/.test(lines[1] ?? "")) return table(lines);
  return paragraph(lines);
}

/** A text that grows: only its last blocks are made anew. */
export class Rendering {
  /** @type {string[]} */
  #blocks = [];
  #into;
  /** @param {HTMLElement} into */
  constructor(into) {
    this.#into = into;
  }
  /** @param {string} text */
  show(text) {
    const blocks = blocksOf(text);
    let same = 0;
    while (same < blocks.length && blocks[same] === this.#blocks[same]) same++;
    while (this.#into.childElementCount > same) this.#into.lastElementChild?.remove();
    this.#into.append(...blocks.slice(same).map((block) => elementOf(block)));
    this.#blocks = blocks;
  }
}
