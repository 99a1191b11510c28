// page.js - the elements of the page, and how figures are written.

/**
 * @template {HTMLElement} E
 * @param {string} id
 * @param {new () => E} kind
 * @returns {E}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {...(Node | string)} children
 */
export function make(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

/** @param {string} text @param {string} label @param {() => void} onClick */
export function button(text, label, onClick) {
  const element = make("button", text);
  element.type = "button";
  if (label !== text) element.setAttribute("aria-label", label);
  element.addEventListener("click", onClick);
  return element;
}

/** Also on pages without TLS, which have no clipboard of their own. @param {string} text */
export async function copy(text) {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = make("textarea", text), before = document.activeElement;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
}

/** @param {number} bytes */
export function sizeText(bytes) {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}
/** @param {number} part @param {number} whole */
export const shareText = (part, whole) => `${whole > 0 ? Math.round((100 * part) / whole) : 0} %`;

/** Of an answer, the first of whose tokens came at the beginning of that time. @param {number} tokens @param {number} milliseconds */
export const rateText = (tokens, milliseconds) => `${tokens} token${tokens === 1 ? "" : "s"}, ${(tokens > 1 && milliseconds > 0 ? ((tokens - 1) * 1000) / milliseconds : 0).toFixed(1)} a second`;

/** @param {unknown} error */
export const sentenceOf = (error) => (error instanceof Error ? error.message : String(error));
