// chat.ts - the conversation on the page: what was said, an answer while it comes, editing and asking again.
import type { ChatCompletionChunk, Engine } from "wasm-chord";
import { keep, type Conversation, type Message } from "./conversations.js";
import { Rendering } from "./markdown.js";
import { button, byId, sentenceOf, sizeText } from "./page.js";

const log = byId("log"), question = byId<HTMLTextAreaElement>("question"), status = byId("status"), statistics = byId("statistics");
const sendButton = byId<HTMLButtonElement>("send"), stopButton = byId<HTMLButtonElement>("stop");
const STATISTICS_MS = 250;

type Extra = NonNullable<ChatCompletionChunk["wasm_chord"]>;

function finalText(tokens: number, { decode_ms, bytes_read, stall_ms, prefill_ms, memory_bytes }: Extra): string {
  const perSecond = decode_ms > 0 ? ((tokens - 1) * 1000) / decode_ms : 0, total = prefill_ms + decode_ms;
  return `${tokens} tokens, ${perSecond.toFixed(1)} a second · read ${sizeText(bytes_read)} · waited for storage ${total > 0 ? Math.round((100 * stall_ms) / total) : 0} % · memory ${sizeText(memory_bytes)}`;
}

export class Chat {
  private engine: Engine | null = null;
  private answering: AbortController | null = null;
  private frame = 0;

  /** onChange: the list of conversations is to be shown anew. */
  constructor(private conversation: Conversation, private readonly onChange: () => void) {
    byId("ask").addEventListener("submit", (event) => (event.preventDefault(), this.send()));
    question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), this.send();
    });
    stopButton.addEventListener("click", () => this.stop());
    document.addEventListener("keydown", (event) => event.key === "Escape" && document.querySelector("dialog[open]") === null && this.stop());
    this.show();
  }
  use(engine: Engine | null): void {
    this.engine?.close();
    this.engine = engine;
    if (engine === null) return;
    question.placeholder = "Enter sends, Shift+Enter begins a line, Escape stops";
    this.say(`${engine.name}: ${sizeText(engine.info.fileBytes)}, ${engine.info.threads} threads`);
    question.focus();
  }
  open(conversation: Conversation): void {
    this.stop();
    this.conversation = conversation;
    this.show();
  }
  get current(): Conversation {
    return this.conversation;
  }
  stop(): void {
    this.answering?.abort();
  }
  private say(text: string): void {
    status.textContent = text;
  }

  // ---- showing ----

  private show(): void {
    const { messages } = this.conversation;
    log.replaceChildren(...messages.map((message, i) => this.article(message, i)));
    statistics.textContent = "";
    log.scrollTop = log.scrollHeight;
  }
  private article({ role, content }: Message, i: number): HTMLElement {
    const article = document.createElement("article"), heading = document.createElement("h2"), body = document.createElement("div"), actions = document.createElement("div");
    article.className = role;
    heading.textContent = role === "user" ? "You" : "Model";
    new Rendering(body).show(content);
    actions.className = "actions";
    actions.append(button("Copy", "Copy this text", () => void navigator.clipboard.writeText(this.conversation.messages[i]?.content ?? "")));
    if (role === "user") actions.append(button("Edit", "Edit this question", () => this.edit(i)));
    else actions.append(button("Again", "Again: ask for another answer", () => this.again(i)));
    article.append(heading, body, actions);
    return article;
  }

  // ---- asking ----

  /** The question goes back to where it was written; what came after it is gone when it is sent. */
  private edit(i: number): void {
    this.stop();
    question.value = this.conversation.messages[i]!.content;
    this.cut(i);
    question.focus();
  }
  private again(i: number): void {
    if (this.engine === null) return this.say("Choose a model first.");
    this.stop();
    this.cut(i);
    void this.answer();
  }
  private cut(length: number): void {
    this.conversation.messages.length = length;
    this.changed();
    this.show();
  }
  private changed(): void {
    this.conversation.changedAt = Date.now();
    if (!keep(this.conversation)) this.say("The browser has no room to keep this conversation.");
    this.onChange();
  }
  private send(): void {
    const content = question.value.trim();
    if (content === "" || this.answering !== null) return;
    if (this.engine === null) return this.say("Choose a model first.");
    question.value = "";
    this.conversation.messages.push({ role: "user", content });
    this.changed();
    this.show();
    void this.answer();
  }

  private busy(controller: AbortController | null): void {
    this.answering = controller;
    sendButton.hidden = controller !== null;
    stopButton.hidden = controller === null;
    log.setAttribute("aria-busy", String(controller !== null)); // read out when it is whole
  }
  private async answer(): Promise<void> {
    const engine = this.engine!, { messages } = this.conversation, controller = new AbortController();
    const asked = messages.map((message) => ({ ...message })), message: Message = { role: "assistant", content: "" };
    messages.push(message);
    const article = this.article(message, messages.length - 1), rendering = new Rendering(article.children[1] as HTMLElement);
    log.append(article);
    this.busy(controller);
    this.say("Reading the question");
    try {
      await this.follow(engine, asked, message, rendering, controller.signal);
      this.say("");
    } catch (error) {
      this.say(controller.signal.aborted ? "Stopped" : sentenceOf(error));
    }
    cancelAnimationFrame(this.frame);
    rendering.show(message.content);
    if (messages.includes(message) && message.content === "") messages.splice(messages.indexOf(message), 1), article.remove();
    this.busy(null);
    this.changed();
  }
  private async follow(engine: Engine, asked: Message[], message: Message, rendering: Rendering, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    let tokens = 0, first = 0, saidAt = 0;
    const paint = (): void => {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
      rendering.show(message.content);
      if (atEnd) log.scrollTop = log.scrollHeight;
      this.frame = 0;
    };
    const onProgress = ({ phase, done, total }: { phase: string; done: number; total: number }): void => {
      if (phase === "prefill" && tokens === 0) this.say(`Reading the question: ${done} of ${total}`);
    };
    for await (const chunk of await engine.chat.completions.create({ messages: asked, stream: true }, { signal, onProgress })) {
      const text = chunk.choices[0]?.delta.content, now = performance.now();
      if (chunk.wasm_chord !== undefined) statistics.textContent = finalText(tokens, chunk.wasm_chord);
      if (!text) continue;
      if (tokens++ === 0) (first = now), this.say("");
      message.content += text;
      this.frame ||= requestAnimationFrame(paint);
      if (now - saidAt < STATISTICS_MS) continue;
      saidAt = now;
      statistics.textContent = `${tokens} tokens, ${((tokens - 1) / Math.max((now - first) / 1000, 0.001)).toFixed(1)} a second · the first after ${((first - began) / 1000).toFixed(1)} s`;
    }
  }
}
