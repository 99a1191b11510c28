// article.js - one message on the page; what an answer was thought out with is folded away above it.
import { Rendering } from "./markdown.js";
import { make } from "./page.js";
/** @import { Message } from "./types.js" */

const NAMES = { user: "You", assistant: "Model" };
/** Some models think aloud first, between marks. */
const THOUGHT = /^\s*<think>([^]*?)(?:<\/think>\s*|$)/;

/** The backend may have told it apart already. @param {Message} message */
function partsOf({ content, reasoning = "" }) {
  const thought = reasoning === "" ? THOUGHT.exec(content) : null;
  return thought === null ? { content, reasoning } : { content: content.slice(thought[0].length), reasoning: (thought[1] ?? "").trim() };
}

export class Article {
  element;
  #body;
  #reasoning;
  #folded;

  /** @param {Message} message @param {HTMLButtonElement[]} actions */
  constructor(message, actions) {
    const body = make("div"), reasoning = make("div"), below = make("div", ...actions);
    this.#body = new Rendering(body);
    this.#reasoning = new Rendering(reasoning);
    this.#folded = make("details", make("summary", "Reasoning"), reasoning);
    below.className = "actions";
    this.element = make("article", make("h2", NAMES[message.role]), this.#folded, body, below);
    this.element.className = message.role;
    this.show(message);
  }
  /** @param {Message} message */
  show(message) {
    const { content, reasoning } = partsOf(message);
    this.#folded.hidden = reasoning === "";
    this.#reasoning.show(reasoning);
    this.#body.show(content);
  }
}
