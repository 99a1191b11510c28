// server.js - answers by the server that this page comes from: OpenAI's interface, as a stream of events, and its metrics beside them.
import { rateText, shareText, sizeText } from "./page.js";
/** @import { Backend, News, Question, Settings } from "./types.js" */

const LOOK_MS = 1000;
/** Why an answer ended, where there might have been more of it. @type {Record<string, string>} */
const ENDINGS = { length: "It ends at the most tokens that were asked for.", context: "It ends where the context is full." };

/** status: what the server said; 0: nothing. */
export class ServerError extends Error {
  /** @param {number} status @param {string} sentence */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** The JSON of each event. @param {ReadableStream<BufferSource>} body */
export async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let read; !(read = await reader.read()).done; ) {
      const lines = (rest + read.value).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const data = line.startsWith("data:") ? line.slice(5).trim() : "";
        if (data === "[DONE]") return;
        if (data !== "") yield JSON.parse(data);
      }
    }
  } finally {
    await reader.cancel().catch(() => {}); // what is not read is not made
  }
  throw new ServerError(0, "The server's answer broke off.");
}

// ---- figures ----

/** By name, summed up over labels. @param {string} text */
export function figuresOf(text) {
  /** @type {Map<string, number>} */
  const figures = new Map();
  for (const [, name = "", value] of text.matchAll(/^chord_(\w+)(?:\{.*\})? (\S+)$/gm)) figures.set(name, (figures.get(name) ?? 0) + Number(value));
  return (/** @type {string} */ name) => figures.get(name) ?? 0;
}
/** @typedef {ReturnType<typeof figuresOf>} Figures */

/** What all who are answered share, since `then`. @param {Figures} then @param {Figures} now */
function besideOf(then, now) {
  const passes = now("rows_per_pass_count") - then("rows_per_pass_count"), rows = now("rows_per_pass_sum") - then("rows_per_pass_sum");
  const stalled = now("stall_seconds_total") - then("stall_seconds_total"), spent = now("pass_seconds_sum") - then("pass_seconds_sum");
  return [
    passes > 0 ? `${(rows / passes).toFixed(1)} rows a pass` : "", spent > 0 ? `waited for storage ${shareText(stalled, spent)}` : "",
    `memory ${sizeText(now("peak_bytes"))} of ${sizeText(now("budget_bytes"))}`,
  ].filter(Boolean).join(" · ");
}

/** Of the last chunk. @param {{ chord: any, timings: any }} chunk @param {string} beside */
function finalText({ chord, timings }, beside) {
  const { prompt_n: read, cache_n: known, prompt_ms: readMs, predicted_n: made, predicted_ms: madeMs } = timings;
  const question = `question: ${read} tokens${known > 0 ? `, and ${known} known before,` : ""} in ${(readMs / 1000).toFixed(1)} s`;
  return [rateText(made, madeMs), question, `read ${sizeText(chord.bytes_read)}`, beside, `seed ${chord.seed}`].filter(Boolean).join(" · ");
}

// ---- the server ----

/** @implements {Backend} */
export class Server {
  key = "";
  model = "";
  /** Called when the server wants another key. */
  onKey = () => {};

  /** Relative to the page: it may stand in a folder of a proxy. @param {string} path @param {RequestInit} [init] */
  async #ask(path, init) {
    const headers = this.key === "" ? {} : { Authorization: `Bearer ${this.key}` };
    const response = await fetch(path, { ...init, headers }).catch((error) => {
      throw init?.signal?.aborted ? error : new ServerError(0, "The server does not answer.");
    });
    if (response.ok) return response;
    const said = await response.json().catch(() => null), sentence = said?.error?.message ?? `The server says ${response.status} ${response.statusText}.`;
    if (response.status === 401) this.onKey();
    throw new ServerError(response.status, sentence);
  }

  /** Names. @returns {Promise<string[]>} */
  async models() {
    const { data } = await (await this.#ask("v1/models")).json();
    return data.map((/** @type {{ id: string }} */ { id }) => id);
  }
  /** What it takes where a request says nothing. @returns {Promise<Settings>} */
  async defaults() {
    const { default_generation_settings: settings } = await (await this.#ask("props")).json();
    return settings ?? {};
  }
  /** null: it does not say. */
  async #figures() {
    try {
      return figuresOf(await (await this.#ask("metrics", { signal: AbortSignal.timeout(LOOK_MS) })).text());
    } catch {
      return null;
    }
  }

  /** @param {Question} question @param {AbortSignal} signal @param {(news: News) => void} tell */
  async answer(question, signal, tell) {
    const began = performance.now(), body = JSON.stringify({ ...question, model: this.model, stream: true });
    /** @type {Figures | null} */
    let first = null;
    let over = false;
    const look = async () => {
      const now = await this.#figures(), waiting = now?.("requests_waiting") ?? 0;
      first ??= now;
      const note = `Reading the question, ${((performance.now() - began) / 1000).toFixed(0)} s${waiting > 0 ? `; ${waiting} in line` : ""}`;
      const beside = now === null || first === null ? "" : besideOf(first, now);
      if (!over) tell({ note, beside });
      return beside;
    };
    const timer = setInterval(look, LOOK_MS);
    try {
      void look();
      const response = await this.#ask("v1/chat/completions", { method: "POST", body, signal });
      if (response.body === null) throw new ServerError(response.status, "The server's answer is empty.");
      for await (const chunk of eventsOf(response.body)) await this.#hear(chunk, tell, look);
    } finally {
      clearInterval(timer);
      over = true;
    }
  }
  /** @param {any} chunk @param {(news: News) => void} tell @param {() => Promise<string>} look */
  async #hear(chunk, tell, look) {
    if (chunk.error !== undefined) throw new ServerError(200, chunk.error.message);
    const { content, reasoning_content: reasoning } = chunk.choices[0]?.delta ?? {};
    if (content || reasoning) tell({ text: content ?? "", reasoning: reasoning ?? "" });
    if (chunk.chord !== undefined && chunk.timings !== undefined)
      tell({ statistics: finalText(chunk, await look()), note: ENDINGS[chunk.chord.stop_reason] ?? "" });
  }
}
