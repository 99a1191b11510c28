// page.ts - the elements of the page, and how bytes are written.

export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element as E;
}

export function button(text: string, label: string, onClick: () => void): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  if (label !== text) element.setAttribute("aria-label", label);
  element.addEventListener("click", onClick);
  return element;
}

export function sizeText(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

export const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
