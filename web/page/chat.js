// chat.js - the conversation on the page: what was said, an answer while it comes, editing and asking again.
import { Article } from "./article.js";
import { isSaid, keep } from "./conversations.js";
import { button, byId, copy, rateText, sentenceOf } from "./page.js";
import { isDrawn, newSeed, otherSeed, questionOf } from "./settings.js";
/** @import { Backend, Conversation, Message, News } from "./types.js" */

const log = byId("log", HTMLDivElement), question = byId("question", HTMLTextAreaElement), status = byId("status", HTMLParagraphElement), statistics = byId("statistics", HTMLParagraphElement);
const sendButton = byId("send", HTMLButtonElement), stopButton = byId("stop", HTMLButtonElement);
const STATISTICS_MS = 250;
const HOW = "Enter sends, Shift+Enter begins a line, Escape stops";

/** An answer while it comes: shown once a frame, with figures four times a second. */
class Follower {
  #began = performance.now();
  #first = 0;
  #told = 0;
  #counted = 0;
  #beside = "";
  #frame = 0;

  /** @param {Message} message @param {Article} article @param {(note: string) => void} say */
  constructor(message, article, say) {
    this.message = message;
    this.article = article;
    this.say = say;
    this.ending = "";
  }
  /** @param {News} news */
  hear = ({ text = "", reasoning = "", note, beside, statistics: all }) => {
    if (reasoning !== "") this.message.reasoning = (this.message.reasoning ?? "") + reasoning;
    this.message.content += text;
    if (beside !== undefined) this.#beside = beside;
    if (text !== "" || reasoning !== "") this.#grow(text === "" ? "Thinking" : "");
    if (all !== undefined) (statistics.textContent = all), (this.ending = note ?? "");
    else if (note !== undefined && this.#told === 0) this.say(note);
  };
  /** @param {string} doing */
  #grow(doing) {
    const now = performance.now();
    if (this.#told++ === 0) this.#first = now;
    if (status.textContent !== doing) this.say(doing);
    this.#frame ||= requestAnimationFrame(() => this.show());
    if (now - this.#counted < STATISTICS_MS) return;
    this.#counted = now;
    statistics.textContent = [rateText(this.#told, now - this.#first), `the first after ${((this.#first - this.#began) / 1000).toFixed(1)} s`, this.#beside].filter(Boolean).join(" · ");
  }
  show() {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.article.show(this.message);
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
}

export class Chat {
  /** @type {Backend | null} */
  #backend = null;
  #missing = "";
  /** @type {AbortController | null} */
  #answering = null;
  #ended = Promise.resolve();
  /** The question that is written anew. @type {Message | null} */
  #editing = null;
  #conversation;
  #onChange;

  /** onChange: the list of conversations is to be shown anew. @param {Conversation} conversation @param {() => void} onChange */
  constructor(conversation, onChange) {
    this.#conversation = conversation;
    this.#onChange = onChange;
    byId("ask", HTMLFormElement).addEventListener("submit", (event) => (event.preventDefault(), this.#send()));
    question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), this.#send();
    });
    stopButton.addEventListener("click", () => void this.stop());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && document.querySelector("dialog[open]") === null) this.#editing !== null ? this.#leave() : void this.stop();
    });
    addEventListener("pagehide", () => this.#answering !== null && keep(this.#conversation)); // what has come of the answer
    this.#show();
  }
  /** The sentence is said now; without a backend, to who asks. @param {Backend | null} backend @param {string} sentence */
  use(backend, sentence) {
    this.#backend = backend;
    this.#missing = sentence;
    question.placeholder = backend === null ? `${sentence} Then: ${HOW}` : HOW;
    this.say(backend === null ? "" : sentence);
    if (backend !== null && document.activeElement === document.body) question.focus();
  }
  get current() {
    return this.#conversation;
  }
  /** @param {Conversation} conversation */
  async open(conversation) {
    await this.stop();
    this.#conversation = conversation;
    this.#leave();
    this.#show();
  }
  /** Resolves when the answer has ended, if there was one. */
  stop() {
    this.#answering?.abort();
    return this.#ended;
  }
  /** @param {string} text */
  say(text) {
    status.textContent = text;
  }

  // ---- showing ----

  #show() {
    log.replaceChildren(...this.#conversation.messages.map((message) => this.#article(message).element));
    statistics.textContent = "";
    log.scrollTop = log.scrollHeight;
  }
  /** @param {Message} message */
  #article(message) {
    const asked = message.role === "user", again = button("Again", asked ? "Again: ask for an answer" : "Again: ask for another answer", () => void this.#again(message));
    again.className = "again"; // of questions, where there is no answer (style.css)
    const actions = [button("Copy", "Copy this text", () => void copy(message.content)), again];
    if (asked) actions.splice(1, 0, button("Edit", "Edit this question", () => void this.#edit(message)));
    return new Article(message, actions);
  }
  /** @param {Conversation} conversation */
  #changed(conversation) {
    conversation.changedAt = Date.now();
    if (!keep(conversation)) this.say("The browser has no room to keep this conversation.");
    this.#onChange();
  }

  // ---- asking ----

  #mayAsk() {
    if (this.#backend === null) this.say(this.#missing);
    return this.#backend !== null;
  }
  /** The question goes back to where it was written; what follows it is gone when it is sent. @param {Message} message */
  async #edit(message) {
    await this.stop();
    this.#editing = message;
    question.value = message.content;
    question.focus();
    this.say("This question, and what follows it, is replaced when it is sent; Escape leaves it as it is.");
  }
  #leave() {
    if (this.#editing !== null) question.value = "", this.say("");
    this.#editing = null;
  }
  #send() {
    const content = question.value.trim(), { messages } = this.#conversation;
    if (content === "" || this.#answering !== null || !this.#mayAsk()) return;
    if (this.#editing !== null && messages.includes(this.#editing)) messages.length = messages.indexOf(this.#editing);
    this.#editing = null;
    question.value = "";
    messages.push({ role: "user", content, seed: newSeed() });
    this.#changed(this.#conversation);
    this.#show();
    this.#begin([]);
  }
  /** The same past, another seed. The answer there is comes back if none takes its place. @param {Message} message an answer, or a question without one */
  async #again(message) {
    await this.stop();
    if (!this.#mayAsk()) return;
    const { messages } = this.#conversation, at = messages.indexOf(message);
    const before = at < 0 || message.role === "user" ? [] : messages.splice(at), asked = messages.at(-1);
    if (asked?.role === "user") asked.seed = otherSeed(asked.seed);
    this.#show();
    this.#begin(before);
    if (!isDrawn()) this.say("With temperature 0 every answer to this is the same.");
  }

  /** @param {AbortController | null} controller */
  #busy(controller) {
    this.#answering = controller;
    sendButton.hidden = controller !== null;
    stopButton.hidden = controller === null;
    log.setAttribute("aria-busy", String(controller !== null)); // read out when it is whole
  }
  /** @param {Message[]} before what comes back where there is no answer */
  #begin(before) {
    if (this.#backend !== null) this.#ended = this.#answer(this.#backend, before);
  }
  /** @param {Backend} backend @param {Message[]} before */
  async #answer(backend, before) {
    const conversation = this.#conversation, { messages } = conversation, controller = new AbortController(), asked = questionOf(messages);
    /** @type {Message} */
    const message = { role: "assistant", content: "" };
    const article = this.#article(message), follower = new Follower(message, article, (note) => this.say(note));
    messages.push(message);
    log.append(article.element);
    this.#busy(controller);
    this.say("Reading the question");
    try {
      await backend.answer(asked, controller.signal, follower.hear);
      this.say(isSaid(message) ? follower.ending : "The answer is empty.");
    } catch (error) {
      this.say(controller.signal.aborted ? "Stopped" : sentenceOf(error));
    }
    follower.show();
    if (!isSaid(message)) messages.splice(messages.indexOf(message), 1, ...before), this.#show();
    this.#busy(null);
    this.#changed(conversation);
  }
}
